//! How calls live and end.

use std::time::Duration;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::EndReason;
use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::{MediaSettings, SilencePolicy};
use sidetone::wire::audiosocket::{encode_audio, encode_hangup};

use crate::driver::{Moment, Rig, Script, Sender, Track, idle, ms, peer};

const FORMAT: MediaFormat = MediaFormat::Alaw;
const RATE: SampleRate = SampleRate::HZ_8000;
const HANGUP: &[u8] = &[0, 0, 0];
const REASONS: [EndReason; 11] = [
    EndReason::CallerGone,
    EndReason::PeerClosed,
    EndReason::PeerHangup,
    EndReason::ProtocolError,
    EndReason::NoMedia,
    EndReason::Processor,
    EndReason::Transferred,
    EndReason::Requested,
    EndReason::SetupFailed,
    EndReason::ShuttingDown,
    EndReason::Panicked,
];

fn audio(samples: usize) -> Vec<u8> {
    let mut out = Vec::new();
    encode_audio(RATE, &vec![1_000; samples], &mut out);
    out
}

fn names(rig: &Rig) -> Vec<String> {
    let name = |kind: &EventKind| {
        let json = serde_json::to_value(kind).expect("events have a JSON form");
        json["type"].as_str().expect("its type is a string").to_owned()
    };
    rig.events().map(|(_, kind)| name(kind)).collect()
}

/// Throws everything at a call that is over, and checks that nothing comes of it.
fn assert_over(rig: &mut Rig, at: Duration) {
    let (done, stats) = (rig.done.len(), rig.stats());
    let mut sender = Sender::new(FORMAT);
    for _ in 0..3 {
        rig.give(at, Input::Datagram { from: peer(), bytes: &sender.packet() });
        rig.give(at, Input::Stream(&audio(160)));
        rig.give(at, Input::StreamClosed);
        rig.give(at, Input::TransmitFailed);
        rig.give(at, Input::Command(Command::SetPeer(peer())));
        rig.give(at, Input::Command(Command::End(EndReason::Requested)));
        rig.give(at + Duration::from_secs(3_600), Input::Timeout);
    }
    assert_eq!((rig.done.len(), rig.stats()), (done, stats));
    assert_eq!(rig.wake(), None);
    assert_eq!(rig.seen().after_finish, 0);
    assert_eq!(rig.seen().finished.len(), 1);
}

#[test]
fn a_call_over_rtp_tells_its_life_in_order() {
    let mut rig = Rig::rtp(FORMAT);
    let mut sender = Sender::new(FORMAT);
    for n in 0..10 {
        rig.datagram(ms(20 * n), &sender.packet());
    }
    rig.end(ms(205), EndReason::CallerGone);
    assert_eq!(names(&rig), ["call_started", "media_ready", "call_ended"]);
    assert_eq!(rig.ended(), EndReason::CallerGone);
    let (duration, stats) = rig.seen().finished[0];
    assert_eq!((duration, stats), (ms(205), rig.stats()));
    assert_over(&mut rig, ms(210));
}

#[test]
fn every_reason_ends_a_call_over_rtp_once_and_in_silence() {
    for reason in REASONS {
        let mut rig = Rig::rtp(FORMAT);
        rig.run_until(ms(55));
        rig.end(ms(60), reason);
        assert_eq!(rig.ended(), reason);
        assert_eq!(names(&rig).last().map(String::as_str), Some("call_ended"));
        assert!(rig.sent_after_end().is_empty());
        assert_eq!(rig.seen().finished.len(), 1);
        assert_over(&mut rig, ms(80));
    }
}

#[test]
fn every_reason_ends_an_audiosocket_with_one_hangup() {
    for reason in REASONS {
        let mut rig = Rig::audiosocket(Some(RATE));
        rig.stream(ms(10), &audio(160));
        rig.end(ms(65), reason);
        assert_eq!(rig.ended(), reason);
        assert_eq!(rig.sent_after_end(), [HANGUP]);
        assert_eq!(rig.sent().filter(|(_, bytes)| *bytes == HANGUP).count(), 1);
        assert_over(&mut rig, ms(80));
    }
}

#[test]
fn a_call_may_end_before_its_peer_is_known() {
    let mut rig = Rig::rtp_without_peer(FORMAT, MediaSettings::default(), idle(), true);
    rig.end(ms(5), EndReason::SetupFailed);
    assert_eq!(rig.ended(), EndReason::SetupFailed);
    assert_eq!(names(&rig), ["call_started", "call_ended"]);
    assert_over(&mut rig, ms(10));
}

#[test]
fn a_peer_that_ends_its_stream_gets_no_hangup_back() {
    let mut hangup = Vec::new();
    encode_hangup(&mut hangup);
    let too_long = [0x10, 0xff, 0xff];
    let endings: [(Input<'_>, EndReason); 3] = [
        (Input::StreamClosed, EndReason::PeerClosed),
        (Input::Stream(&hangup), EndReason::PeerHangup),
        (Input::Stream(&too_long), EndReason::ProtocolError),
    ];
    for (input, reason) in endings {
        let mut rig = Rig::audiosocket(Some(RATE));
        rig.stream(ms(10), &audio(160));
        rig.input(ms(50), input);
        assert_eq!(rig.ended(), reason);
        assert!(rig.sent_after_end().is_empty(), "{reason}");
        assert_over(&mut rig, ms(80));
    }
}

/// Hangs up at the n-th thing of a kind.
fn hangs_up(at: fn(&Moment<'_, '_>) -> bool, mut nth: u32) -> Script {
    Box::new(move |moment, cx| {
        if at(&moment) {
            nth -= 1;
            if nth == 0 {
                cx.hangup();
                cx.hangup();
            }
        }
    })
}

#[test]
fn a_processor_that_hangs_up_in_the_uplink_ends_the_call_at_once() {
    let mut rig = Rig::rtp_with(
        FORMAT,
        MediaSettings::default(),
        hangs_up(|m| matches!(m, Moment::Uplink(_)), 3),
    );
    let mut sender = Sender::new(FORMAT);
    for n in 0..10 {
        rig.datagram(ms(20 * n + 5), &sender.packet());
    }
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.seen().of(Track::Uplink).count(), 3);
    assert_eq!(rig.sent().last().map(|(at, _)| at), Some(ms(40)));
    assert_over(&mut rig, ms(500));
}

#[test]
fn a_processor_that_hangs_up_in_the_downlink_gets_that_frame_sent_and_no_more() {
    for silence in [SilencePolicy::Send, SilencePolicy::Suppress] {
        let settings = MediaSettings { silence, ..MediaSettings::default() };
        let script = hangs_up(|m| matches!(m, Moment::Downlink(_)), 3);
        let mut rig = Rig::rtp_with(FORMAT, settings, script);
        // Frames are owed: none of them may reach a chain that is finished.
        rig.give(ms(90), Input::Timeout);
        assert_eq!(rig.ended(), EndReason::Processor);
        assert_eq!(rig.sent().count(), if silence == SilencePolicy::Send { 3 } else { 0 });
        assert!(rig.sent_after_end().is_empty());
        assert_eq!(rig.seen().of(Track::Downlink).count(), 3);
        assert_over(&mut rig, ms(500));
    }
}

#[test]
fn a_bot_that_hangs_up_at_its_last_mark_has_said_its_last_word() {
    let script: Script = Box::new(|moment, cx| match moment {
        Moment::Uplink(_) => {
            cx.play(&[1_000; 480]);
            cx.mark("bye");
        }
        Moment::Event(EventKind::Mark { .. }) => cx.hangup(),
        _ => {}
    });
    let mut rig = Rig::audiosocket_with(Some(RATE), MediaSettings::default(), script);
    rig.stream(ms(10), &audio(160));
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    let word = audio(160);
    assert_eq!(rig.sent().filter(|(_, bytes)| *bytes == word).count(), 3);
    assert_eq!(rig.sent_after_end(), [HANGUP]);
    assert_eq!(rig.sent().filter(|(_, bytes)| *bytes == HANGUP).count(), 1);
    // What is asked for at the news of a mark is done at the next turn: one frame later at most.
    assert!(rig.sent().last().is_some_and(|(at, _)| at <= ms(80)));
    assert_over(&mut rig, ms(600));
}

#[test]
fn a_downlink_hangup_over_audiosocket_is_one_hangup_behind_the_frame() {
    let script = hangs_up(|m| matches!(m, Moment::Downlink(_)), 3);
    let mut rig = Rig::audiosocket_with(Some(RATE), MediaSettings::default(), script);
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    let lengths: Vec<_> = rig.sent().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [323, 323, 323, 3]);
    assert_eq!(rig.stats().packets_sent, 3);
}

#[test]
fn silence_on_the_wire_is_told_and_ends_the_call_at_the_configured_times() {
    let settings =
        MediaSettings { no_media_after: ms(700), end_after: ms(1_500), ..MediaSettings::default() };
    let mut rig = Rig::rtp_with(FORMAT, settings, idle());
    let mut sender = Sender::new(FORMAT);
    rig.datagram(ms(110), &sender.packet());
    rig.run_until(ms(1_000));
    // It comes back, and goes for good.
    rig.datagram(ms(1_005), &sender.packet());
    rig.run_until(ms(10_000));
    let told: Vec<_> = rig
        .events()
        .filter_map(|(at, kind)| match kind {
            EventKind::NoMedia { silent_ms } => Some((at.as_millis(), *silent_ms)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(810, 700), (1_705, 700)]);
    assert_eq!(rig.ended(), EndReason::NoMedia);
    let end = rig.events().last().map(|(at, _)| at);
    assert_eq!(end, Some(ms(2_505)));
    assert_over(&mut rig, ms(11_000));
}

#[test]
fn a_call_that_never_hears_anything_ends_too() {
    for rig in [
        Rig::rtp(FORMAT),
        Rig::audiosocket(None),
        Rig::rtp_without_peer(FORMAT, MediaSettings::default(), idle(), true),
    ] {
        let mut rig = rig;
        rig.run_until(Duration::from_secs(100));
        assert_eq!(rig.ended(), EndReason::NoMedia);
        assert_eq!(rig.events().last().map(|(at, _)| at), Some(Duration::from_secs(60)));
    }
}

#[test]
fn zero_means_never() {
    let settings = MediaSettings {
        no_media_after: Duration::ZERO,
        end_after: Duration::ZERO,
        ..MediaSettings::default()
    };
    let mut rig = Rig::rtp_without_peer(FORMAT, settings, idle(), true);
    assert_eq!(rig.wake(), None);
    rig.give(Duration::from_secs(86_400), Input::Timeout);
    assert_eq!(names(&rig), ["call_started"]);
}

#[test]
fn a_processor_may_hang_up_at_the_news_that_no_media_comes() {
    let script: Script = Box::new(|moment, cx| {
        if matches!(moment, Moment::Event(EventKind::NoMedia { .. })) {
            cx.hangup();
        }
    });
    // No peer, hence no frame to send: nothing else wakes the engine.
    let settings = MediaSettings { end_after: Duration::ZERO, ..MediaSettings::default() };
    let mut rig = Rig::rtp_without_peer(FORMAT, settings, script, true);
    rig.run_until(Duration::from_secs(6));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.events().last().map(|(at, _)| at), Some(Duration::from_secs(5)));
}

#[test]
fn what_a_processor_emits_is_told_to_the_chain_and_outside_once() {
    let script: Script = Box::new(|moment, cx| {
        if let Moment::Uplink(_) = moment {
            cx.emit(EventKind::PlaybackDone);
        }
    });
    let mut rig = Rig::rtp_with(FORMAT, MediaSettings::default(), script);
    let mut sender = Sender::new(FORMAT);
    rig.datagram(ms(5), &sender.packet());
    rig.run_until(ms(100));
    assert_eq!(names(&rig), ["call_started", "media_ready", "playback_done"]);
    let seen = rig.seen();
    assert!(matches!(seen.events[..], [EventKind::MediaReady { .. }, EventKind::PlaybackDone]));
}
