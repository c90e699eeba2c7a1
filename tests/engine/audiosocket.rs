//! Calls over AudioSocket.

use proptest::prelude::*;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::EndReason;
use sidetone::event::EventKind;
use sidetone::media::{DigitSource, MediaSettings, Rejected};
use sidetone::wire::audiosocket::ErrorCode;
use sidetone::wire::audiosocket::{encode_audio, encode_dtmf, encode_error, encode_uuid};
use uuid::Uuid;

use crate::driver::{Kept, Moment, Rig, Script, Track, assert_in_order, ms, sample};

const RATE: SampleRate = SampleRate::HZ_8000;

/// A frame of the samples that a test stream has from `place` on.
fn frame(rate: SampleRate, place: u64, samples: u64) -> Vec<u8> {
    let format = MediaFormat::Slin(rate);
    let samples: Vec<i16> = (place..place + samples).map(|p| sample(format, p)).collect();
    let mut out = Vec::new();
    encode_audio(rate, &samples, &mut out);
    out
}

fn uplink(rig: &Rig) -> Vec<Kept> {
    let seen = rig.seen();
    assert_in_order(&seen);
    seen.of(Track::Uplink).cloned().collect()
}

/// Digits of the caller that were told.
fn digits(rig: &Rig) -> String {
    let digit = |(_, kind): (_, &EventKind)| match kind {
        EventKind::Dtmf { digit, source: DigitSource::AudioSocket, .. } => Some(*digit),
        _ => None,
    };
    rig.events().filter_map(digit).collect()
}

/// Whatever a peer may send in a short call.
fn busy_stream() -> Vec<u8> {
    let mut piece = Vec::new();
    let mut stream = frame(RATE, 0, 160);
    encode_dtmf(b'5', &mut piece);
    stream.extend(&piece);
    stream.extend(frame(RATE, 160, 160));
    encode_error(ErrorCode::FRAME_FORWARDING, &mut piece);
    stream.extend(&piece);
    stream.extend([0x10, 0, 3, 1, 2, 3]);
    stream.extend(frame(RATE, 320, 40));
    stream.extend([0x42, 0, 1, 9]);
    stream.extend(frame(SampleRate::HZ_16000, 0, 7));
    encode_dtmf(b'#', &mut piece);
    stream.extend(&piece);
    stream
}

#[test]
fn every_split_of_the_stream_gives_the_same_call() {
    let stream = busy_stream();
    let outcome = |rig: &Rig| (uplink(rig), digits(rig), rig.stats().rejected);
    let whole = {
        let mut rig = Rig::audiosocket(Some(RATE));
        rig.stream(ms(100), &stream);
        outcome(&rig)
    };
    assert_eq!(whole.0.iter().map(|kept| kept.position).collect::<Vec<_>>(), [800, 960, 1_120]);
    assert_eq!(whole.1, "5#");
    assert_eq!(whole.2.total(), 4);
    for split in 0..=stream.len() {
        let mut rig = Rig::audiosocket(Some(RATE));
        rig.stream(ms(100), &stream[..split]);
        rig.stream(ms(100), &stream[split..]);
        assert_eq!(outcome(&rig), whole, "split at {split}");
    }
    let mut rig = Rig::audiosocket(Some(RATE));
    for byte in &stream {
        rig.stream(ms(100), &[*byte]);
    }
    assert_eq!(outcome(&rig), whole);
}

proptest! {
    #[test]
    fn any_pieces_of_the_stream_give_the_same_frames(
        cuts in prop::collection::vec(0_usize..1_500, 0..30),
    ) {
        let stream = busy_stream();
        let mut rig = Rig::audiosocket(Some(RATE));
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        for (n, pair) in (0..).zip(cuts.windows(2)) {
            rig.stream(ms(100 + n), &stream[pair[0]..pair[1]]);
        }
        let format = MediaFormat::Slin(RATE);
        let heard: Vec<_> = uplink(&rig).into_iter().flat_map(|kept| kept.samples).collect();
        let sent: Vec<_> = (0..360).map(|place| sample(format, place)).collect();
        prop_assert_eq!(heard, sent);
    }
}

#[test]
fn audio_passes_at_once_and_lies_behind_what_came_before_at_every_rate() {
    for rate in SampleRate::ALL {
        let mut rig = Rig::audiosocket(Some(rate));
        let count = u64::from(rate.hz()) / 50;
        for n in 0..50 {
            rig.stream(ms(7 + 20 * n + n % 5), &frame(rate, n * count, count));
        }
        let frames = uplink(&rig);
        let start = rate.samples_in(ms(7));
        for (n, kept) in (0..).zip(&frames) {
            assert_eq!(kept.position, start + n * count);
            assert_eq!(kept.now, rate.samples_in(ms(7 + 20 * n + n % 5)));
            assert_eq!(kept.samples[1], sample(MediaFormat::Slin(rate), n * count + 1));
        }
        assert_eq!((frames.len(), rig.stats().packets_received), (50, 50));
        let sent = rig.sent().last().expect("silence goes out");
        assert_eq!(sent.1.len() as u64, 3 + 2 * count);
    }
}

#[test]
fn silence_goes_out_every_20_ms_from_the_first_moment() {
    let mut rig = Rig::audiosocket(Some(SampleRate::HZ_16000));
    rig.run_until(ms(1_000));
    for (n, (at, bytes)) in (0..).zip(rig.sent()) {
        assert_eq!(at, ms(20 * n));
        assert_eq!((bytes.len(), &bytes[..3]), (643, &[0x12, 2, 0x80][..]));
        assert!(bytes[3..].iter().all(|&byte| byte == 0));
    }
    assert_eq!(rig.sent().count(), 51);
}

#[test]
fn an_unknown_rate_is_told_by_the_first_frame() {
    let rate = SampleRate::HZ_48000;
    let mut rig = Rig::audiosocket(None);
    rig.run_until(ms(50));
    assert_eq!(rig.engine.info().format, None);
    assert_eq!(rig.sent().last().map(|(_, bytes)| bytes.len()), Some(323), "8 kHz until then");
    rig.stream(ms(50), &frame(rate, 0, 960));
    rig.run_until(ms(60));
    let format = MediaFormat::Slin(rate);
    assert_eq!(rig.engine.info().format, Some(format));
    let ready = rig.events().any(|(at, kind)| {
        at == ms(50) && matches!(kind, EventKind::MediaReady { format: told } if *told == format)
    });
    assert!(ready);
    assert_eq!(rig.sent().last().map(|(_, bytes)| bytes.len()), Some(3 + 1_920));
    assert_eq!(uplink(&rig)[0].position, 2_400);
}

#[test]
fn another_rate_is_told_once_and_counted_each_time() {
    let mut rig = Rig::audiosocket(Some(RATE));
    for n in 0..10 {
        rig.stream(ms(20 * n), &frame(RATE, 160 * n, 160));
        rig.stream(ms(20 * n), &frame(SampleRate::HZ_24000, 0, 480));
    }
    let told: Vec<_> = rig
        .events()
        .filter_map(|(_, kind)| match kind {
            EventKind::FormatMismatch { expected, actual } => Some((*expected, *actual)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(MediaFormat::Slin(RATE), 0x13)]);
    assert_eq!(rig.stats().rejected.of(Rejected::PayloadType), 10);
    assert_eq!(uplink(&rig).len(), 10);
}

#[test]
fn the_peers_hangup_ends_the_call_behind_its_last_audio() {
    let mut rig = Rig::audiosocket(Some(RATE));
    let stream = [frame(RATE, 0, 160), vec![0, 0, 0], frame(RATE, 160, 160)].concat();
    rig.stream(ms(30), &stream);
    assert_eq!(rig.ended(), EndReason::PeerHangup);
    assert_eq!(uplink(&rig).len(), 1);
}

#[test]
fn digits_are_told_in_capitals_and_what_is_no_digit_is_counted() {
    let mut rig = Rig::audiosocket(Some(RATE));
    let mut piece = Vec::new();
    for byte in 0..=u8::MAX {
        encode_dtmf(byte, &mut piece);
        rig.stream(ms(1), &piece);
    }
    assert_eq!(digits(&rig), "#*0123456789ABCDABCD");
    assert_eq!(rig.stats().rejected.of(Rejected::Malformed), 256 - 20);
}

#[test]
fn what_does_not_belong_here_is_counted_and_the_call_goes_on() {
    let mut rig = Rig::audiosocket(Some(RATE));
    let mut piece = Vec::new();
    encode_error(ErrorCode::MEMORY, &mut piece);
    rig.stream(ms(1), &piece);
    encode_uuid(Uuid::nil(), &mut piece);
    rig.stream(ms(1), &piece);
    rig.stream(ms(1), &[0x42, 0, 0]);
    rig.stream(ms(1), &[0x10, 0, 0]);
    rig.stream(ms(1), &[0x10, 0, 1, 7]);
    rig.stream(ms(1), &frame(RATE, 0, 160));
    let rejected = rig.stats().rejected;
    assert_eq!(rejected.of(Rejected::PeerError), 1);
    assert_eq!(rejected.of(Rejected::Unexpected), 2);
    assert_eq!(rejected.of(Rejected::PayloadSize), 2);
    assert_eq!((rejected.total(), uplink(&rig).len()), (5, 1));
}

#[test]
fn a_frame_beyond_the_limit_ends_the_call() {
    let mut rig = Rig::audiosocket(Some(RATE));
    // 8,192 bytes with the header are allowed, one more is not.
    rig.stream(ms(10), &frame(RATE, 0, (8_192 - 4) / 2));
    assert_eq!(uplink(&rig).len(), 1);
    rig.stream(ms(20), &[0x10, 0x1f, 0xfe]);
    assert_eq!(rig.ended(), EndReason::ProtocolError);
    assert_eq!(rig.stats().rejected.of(Rejected::Malformed), 1);
}

#[test]
fn frames_of_any_length_keep_their_places() {
    let mut rig = Rig::audiosocket(Some(RATE));
    let mut place = 0;
    for (n, length) in (0..).zip([160, 1, 37, 320, 80, 2_000, 160]) {
        rig.stream(ms(100 + n), &frame(RATE, place, length));
        place += length;
    }
    let frames = uplink(&rig);
    let heard: Vec<_> = frames.iter().flat_map(|kept| kept.samples.clone()).collect();
    let sent: Vec<_> = (0..place).map(|p| sample(MediaFormat::Slin(RATE), p)).collect();
    assert_eq!((frames[0].position, heard), (800, sent));
}

#[test]
fn what_is_played_goes_out_whole() {
    let script: Script = Box::new(|moment, cx| {
        if let Moment::Uplink(frame) = moment {
            assert_eq!(cx.play(frame.samples), frame.samples.len());
        }
    });
    let rate = SampleRate::HZ_16000;
    let mut rig = Rig::audiosocket_with(Some(rate), MediaSettings::default(), script);
    for n in 0..100 {
        rig.stream(ms(10 + 20 * n), &frame(rate, 320 * n, 320));
    }
    rig.run_until(ms(2_000));
    // Behind the silence at 0, each frame comes back 10 ms after it came.
    let sent: Vec<_> = rig.sent().skip(1).map(|(at, bytes)| (at, bytes.to_vec())).collect();
    let expected = (0..100).map(|n| (ms(20 + 20 * n), frame(rate, 320 * n, 320)));
    assert_eq!(sent, expected.collect::<Vec<_>>());
}

#[test]
fn a_pause_leaves_a_gap_of_its_length_and_a_burst_after_a_stall_leaves_none() {
    let mut rig = Rig::audiosocket(Some(RATE));
    for n in 0..5 {
        rig.stream(ms(100 + 20 * n), &frame(RATE, 160 * n, 160));
    }
    // Three seconds with nothing to say.
    rig.stream(ms(3_200), &frame(RATE, 800, 160));
    // Two seconds in which what was said did not come through.
    let held_up: Vec<u8> = (6..106).flat_map(|n| frame(RATE, 160 * n, 160)).collect();
    rig.stream(ms(5_220), &held_up);
    let positions: Vec<_> = uplink(&rig).iter().map(|kept| kept.position).collect();
    assert_eq!(positions[..5], [800, 960, 1_120, 1_280, 1_440]);
    assert_eq!(positions[5], 8 * 3_200);
    let burst: Vec<_> = (1..=100).map(|n| 8 * 3_200 + 160 * n).collect();
    assert_eq!(positions[6..], burst);
    assert_eq!(rig.stats().timestamp_jumps, 1);
}

#[test]
fn a_peer_that_sends_far_faster_than_real_time_is_cut_off() {
    let mut rig = Rig::audiosocket(Some(RATE));
    for n in 0..4_000 {
        rig.stream(ms(100), &frame(RATE, 160 * n, 160));
    }
    assert_eq!(rig.ended(), EndReason::ProtocolError);
    // A minute of audio, and the frame that was one too many.
    assert_eq!(rig.stats().packets_received, 60 * 50 + 1);
    assert_eq!(rig.stats().rejected.of(Rejected::Overflow), 1);
}

#[test]
fn the_first_frame_behind_a_pause_is_not_lost_when_the_call_ends_with_it() {
    for by_the_peer in [true, false] {
        let mut rig = Rig::audiosocket(Some(RATE));
        rig.stream(ms(100), &frame(RATE, 0, 160));
        rig.stream(ms(2_000), &frame(RATE, 160, 160));
        if by_the_peer {
            rig.input(ms(2_005), sidetone::engine::Input::StreamClosed);
        } else {
            rig.end(ms(2_005), EndReason::Requested);
        }
        let positions: Vec<_> = uplink(&rig).iter().map(|kept| kept.position).collect();
        assert_eq!(positions, [800, 8 * 2_000], "by the peer: {by_the_peer}");
    }
}
