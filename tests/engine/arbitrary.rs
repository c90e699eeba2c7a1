//! Whatever happens to an engine, in whatever order: no panic, and its promises hold.

use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::{EndReason, Transport};
use sidetone::engine::{Command, Input};
use sidetone::event::EventKind;
use sidetone::media::{MediaSettings, ReturnFormat, SilencePolicy};

use crate::driver::{Done, Rig, Script, Sender, Track, assert_in_order, noise, peer};

/// Something that happens to a call.
#[derive(Clone, Debug)]
enum Happening {
    /// A packet of the sender, so many numbers and ticks from where it would be.
    Packet {
        seq: u16,
        ts: u32,
        bytes: usize,
    },
    /// The sender's next packet.
    NextPacket,
    /// A packet of another payload type, beside the audio or foreign.
    Side(u8),
    NewSsrc(u32),
    Garbage(Vec<u8>),
    Stream(Vec<u8>),
    Audio {
        kind: u8,
        bytes: usize,
    },
    Forged,
    StreamClosed,
    TransmitFailed,
    SetPeer,
    End,
    Timeout,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        20 => Just(Happening::NextPacket),
        8 => (prop_oneof![0_u16..10, 65_500_u16..65_535, any::<u16>()],
              prop_oneof![Just(0_u32), 0_u32..1_000, any::<u32>()],
              0_usize..400)
            .prop_map(|(seq, ts, bytes)| Happening::Packet { seq, ts, bytes }),
        2 => (0_u8..128).prop_map(Happening::Side),
        1 => any::<u32>().prop_map(Happening::NewSsrc),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Happening::Garbage),
        4 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Happening::Stream),
        8 => (0x10_u8..0x12, 0_usize..500).prop_map(|(kind, bytes)| Happening::Audio { kind, bytes }),
        1 => Just(Happening::Forged),
        1 => Just(Happening::TransmitFailed),
        1 => Just(Happening::SetPeer),
        5 => Just(Happening::Timeout),
    ]
}

/// Mostly calls in their middle; a few of the things that end one.
fn happenings() -> impl Strategy<Value = Vec<(i64, Happening)>> {
    let step = prop_oneof![
        30 => 0_i64..25_000,
        2 => -50_000_i64..0,
        2 => 0_i64..3_000_000,
        // Up to ten days.
        1 => 0_i64..864_000_000_000,
    ];
    let ending = prop_oneof![Just(Happening::End), Just(Happening::StreamClosed)];
    let any = prop_oneof![200 => happening(), 1 => ending];
    prop::collection::vec((step, any), 0..150)
}

/// Does something of everything that a processor may do, as the numbers say.
fn busy_script(numbers: Vec<u8>) -> Script {
    let mut numbers = numbers.into_iter().cycle();
    Box::new(move |_, cx| match numbers.next().unwrap_or(0) {
        0..20 => {
            cx.play(&[500; 333]);
        }
        20..30 => cx.mark("mark"),
        30..35 => {
            cx.clear();
        }
        35..40 => cx.emit(EventKind::PlaybackDone),
        40 => {
            cx.play(&[500; 100_000]);
        }
        41 if cx.now().0 % 977 == 0 => cx.hangup(),
        42 => cx.pause(),
        43..46 => cx.resume(),
        46 => cx.duck(-20.0),
        47 => cx.unduck(),
        48 => cx.watch_queue(Duration::from_millis(100), Duration::from_millis(200)),
        49 if cx.now().0 % 977 == 0 => cx.hangup_when_played(),
        50 => cx.set_processor("0", true).expect("it is in the pipeline"),
        _ => {}
    })
}

fn give(rig: &mut Rig, sender: &mut Sender, at: Duration, happening: &Happening) {
    let audio;
    let packet;
    let bytes = match happening {
        Happening::Packet { seq, ts, bytes } => {
            let mut other = sender.clone();
            other.seq = other.seq.wrapping_add(*seq);
            other.ts = other.ts.wrapping_add(*ts);
            let place = u64::from(other.ts);
            let bytes = (place..place + *bytes as u64).map(|place| (noise(place) & 0xff) as u8);
            packet = other.side(sender.format.payload_type(), &bytes.collect::<Vec<u8>>());
            &packet
        }
        Happening::NextPacket => {
            packet = sender.packet();
            &packet
        }
        Happening::Side(payload_type) => {
            packet = sender.side(*payload_type, &[0; 4]);
            &packet
        }
        Happening::NewSsrc(ssrc) => {
            sender.ssrc = *ssrc;
            return;
        }
        Happening::Garbage(bytes) => bytes,
        Happening::Stream(bytes) => return rig.give(at, Input::Stream(bytes)),
        Happening::Audio { kind, bytes } => {
            let length = u16::try_from(*bytes).expect("below 500").to_be_bytes();
            audio = [&[*kind, length[0], length[1]][..], &vec![3; *bytes]].concat();
            return rig.give(at, Input::Stream(&audio));
        }
        Happening::Forged => {
            let from = SocketAddr::from(([203, 0, 113, 9], 9));
            return rig.give(at, Input::Datagram { from, bytes: &[0x80; 172] });
        }
        Happening::StreamClosed => return rig.give(at, Input::StreamClosed),
        Happening::TransmitFailed => return rig.give(at, Input::TransmitFailed),
        Happening::SetPeer => return rig.give(at, Input::Command(Command::SetPeer(peer()))),
        Happening::End => {
            return rig.give(at, Input::Command(Command::End(EndReason::Requested)));
        }
        Happening::Timeout => return rig.give(at, Input::Timeout),
    };
    rig.give(at, Input::Datagram { from: peer(), bytes });
}

fn check(
    mut rig: Rig,
    format: MediaFormat,
    happenings: &[(i64, Happening)],
) -> Result<(), TestCaseError> {
    let mut sender = Sender::new(format);
    sender.seq = 65_500;
    let mut at = Duration::ZERO;
    for (step, happening) in happenings {
        let span = Duration::from_micros(step.unsigned_abs());
        at = if *step < 0 { at.saturating_sub(span) } else { at + span };
        give(&mut rig, &mut sender, at, happening);
    }
    let seen = rig.seen();
    assert_in_order(&seen);
    for kept in seen.of(Track::Late) {
        // What is trusted ahead of real time, and one frame.
        let ahead = u64::from(format.sample_rate().hz()) / 2 + 8_192;
        prop_assert!(kept.position <= kept.now + ahead + last_end(&seen, kept.now));
    }
    let mut downlink = 0;
    for kept in seen.of(Track::Downlink) {
        prop_assert!(kept.position >= downlink && kept.position <= kept.now);
        downlink = kept.end();
    }
    let ends = rig.count(|kind| matches!(kind, EventKind::CallEnded { .. }));
    prop_assert!(ends <= 1);
    prop_assert!(seen.finished.len() <= ends);
    prop_assert_eq!(seen.after_finish, 0);
    if ends == 1 {
        let last = rig.events().last().map(|(_, kind)| kind.clone());
        let is_end = matches!(last, Some(EventKind::CallEnded { .. }));
        prop_assert!(is_end, "the end is the last event");
        prop_assert!(matches!(rig.done.last(), Some((_, Done::Ended))));
    }
    let told: Vec<_> = rig.events().map(|(at, _)| at).collect();
    prop_assert!(told.is_sorted());
    let mismatches = rig.count(|kind| matches!(kind, EventKind::FormatMismatch { .. }));
    prop_assert!(mismatches <= 1);
    Ok(())
}

/// Where live audio had come to at media time `now`.
fn last_end(seen: &crate::driver::Seen, now: u64) -> u64 {
    let before = seen.of(Track::Uplink).filter(|kept| kept.now <= now);
    before.map(crate::driver::Kept::end).max().unwrap_or(0)
}

fn settings(suppress: bool) -> MediaSettings {
    MediaSettings {
        silence: if suppress { SilencePolicy::Suppress } else { SilencePolicy::Send },
        // Leaps of ten days must not end every call.
        end_after: Duration::ZERO,
        ..MediaSettings::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_harms_a_call_over_rtp(
        happenings in happenings(),
        numbers in prop::collection::vec(any::<u8>(), 1..50),
        suppress in any::<bool>(),
        format in prop::sample::select(Transport::Rtp.formats()),
        same in any::<bool>(),
    ) {
        let return_format = if same { ReturnFormat::Same } else { ReturnFormat::Auto };
        let settings = MediaSettings { return_format, ..settings(suppress) };
        let rig = Rig::rtp_with(format, settings, busy_script(numbers));
        check(rig, format, &happenings)?;
    }

    #[test]
    fn nothing_harms_a_call_over_audiosocket(
        happenings in happenings(),
        numbers in prop::collection::vec(any::<u8>(), 1..50),
        rate_known in any::<bool>(),
    ) {
        let rate = rate_known.then_some(SampleRate::HZ_8000);
        let rig = Rig::audiosocket_with(rate, settings(false), busy_script(numbers));
        check(rig, MediaFormat::Ulaw, &happenings)?;
    }
}
