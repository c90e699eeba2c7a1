//! A service that gets Opus and decodes it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sidetone::audio::SampleRate;
use sidetone::dsp::find_offset;
use sidetone::event::EventKind;
use sidetone::processor::stt::{Dialect, Encoding, OpenLine};
use sidetone::runtime::stt::SttSettings;

use crate::media_rig::{Call, block_on};
use crate::rig::{Rig, quick, reasons};
use crate::steady::steady;
use crate::websocket_peer::{Behaviour, Peer, Trade};

/// 6.5 ms, by which a decoder is late.
const DELAY: isize = 52;

/// A packet of 20 ms.
const PACKET: usize = 160;

fn deepgram(peer: &Peer) -> SttSettings {
    let mut settings = quick(format!("{}/v1/listen?model=nova-3", peer.url()));
    settings.session.dialect = Dialect::Deepgram;
    settings.session.encoding = Encoding::Opus;
    settings
}

/// A decoder heard all that the caller said, from the first packet on, and a packet more, for what
/// the encoder held back of the last.
fn check_heard(heard: &[i16], call: &Call) {
    assert_eq!(heard.len(), call.said.len() + PACKET);
    let found = find_offset(&call.said, heard, 0..=400);
    assert_eq!(found.lag, DELAY, "{found:?}");
    // The caller says noise, for which Opus was not made: it keeps 0.95.
    assert!(found.coefficient > 0.9, "{found:?}");
    let begins = find_offset(&call.said[..PACKET * 5], &heard[..PACKET * 5], 0..=400);
    assert_eq!(begins.lag, DELAY, "{begins:?}");
}

#[test]
fn a_service_that_decodes_hears_the_caller_and_its_words_lie_where_they_were_said() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::Deepgram, &[Behaviour::Good]).await;
            let rig = Rig::start(deepgram(&peer)).await;
            let mut call = rig.call("stt", 50, 1).await;
            call.check_echo();
            rig.service.finish().await;
            let asked = "encoding=opus&sample_rate=8000&channels=1&interim_results=true";
            assert_eq!(peer.requests(), [format!("/v1/listen?model=nova-3&{asked}")]);
            check_heard(&peer.heard(0), &call);
            let events = call.told();
            let last = events.iter().find_map(|event| match &event.kind {
                EventKind::Transcript(heard) if heard.is_final => Some(heard),
                _ => None,
            });
            let heard = last.expect("the last words");
            assert_eq!(heard.text, "bye");
            let ready = |kind: &EventKind| matches!(kind, EventKind::MediaReady { .. });
            let first = events.iter().find(|event| ready(&event.kind)).expect("audio comes");
            // The first frame lies where it arrived, to the nearest sample.
            let half = Duration::from_micros(63);
            let possible = [first.media_time.saturating_sub(half), first.media_time + half];
            let possible = possible.map(|at| at.as_millis());
            assert!(possible.contains(&u128::from(heard.start_ms - 100)), "{first:?}: {heard:?}");
            assert_eq!(heard.end_ms - heard.start_ms, 300);
            rig.stop().await;
        });
    });
}

#[test]
fn after_a_lost_connection_the_next_one_begins_a_stream_that_can_be_decoded() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::Deepgram, &[Behaviour::Killed, Behaviour::Good]).await;
            let rig = Rig::start(deepgram(&peer)).await;
            let mut call = rig.call("stt", 100, 2).await;
            call.check_echo();
            rig.service.finish().await;
            assert_eq!(reasons(&call.events()).len(), 1);
            assert_eq!(peer.connections(), 2);
            assert_eq!(peer.heard(0).len(), 10 * PACKET);
            check_heard(&peer.heard(1), &call);
            let replayed = rig.service.metrics().replayed_samples.load(Ordering::Relaxed);
            assert!(replayed as usize >= peer.heard(0).len());
            rig.stop().await;
        });
    });
}

#[test]
fn the_audio_has_a_rate_of_opus() {
    block_on(async {
        let peer = Peer::start(Trade::Deepgram, &[Behaviour::Good]).await;
        for (configured, call, rate) in [
            (None, SampleRate::HZ_16000, SampleRate::HZ_16000),
            (None, SampleRate::HZ_44100, SampleRate::HZ_48000),
            (Some(SampleRate::HZ_24000), SampleRate::HZ_8000, SampleRate::HZ_24000),
            (Some(SampleRate::HZ_32000), SampleRate::HZ_8000, SampleRate::HZ_48000),
        ] {
            let rig = Rig::start(SttSettings { rate: configured, ..deepgram(&peer) }).await;
            assert_eq!(rig.service.rate(call), rate);
            rig.stop().await;
        }
    });
}
