//! What a sender may do to its stream, and what strangers may try.

use std::net::SocketAddr;

use proptest::prelude::*;
use sidetone::audio::{MediaFormat, Origin, SampleRate};
use sidetone::engine::Input;
use sidetone::event::EventKind;
use sidetone::media::Rejected;

use crate::driver::{JOIN, Kept, Rig, Sender, Track, assert_in_order, ms, peer, sample};

const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// Places in the sender's stream of all real frames heard live, by their samples.
fn places(rig: &Rig, format: MediaFormat, until: u64) -> Vec<(u64, u64)> {
    let seen = rig.seen();
    assert_in_order(&seen);
    // The beginning of a frame behind what was made up is joined to that.
    let join = usize::try_from(format.sample_rate().samples_in(JOIN)).expect("it is short");
    let place = |kept: &Kept| {
        let heard = |place: &u64| {
            let mut samples = kept.samples.iter().zip(*place..).skip(join);
            samples.all(|(&s, p)| s == sample(format, p))
        };
        (0..until).find(heard).expect("the samples are the sender's")
    };
    seen.of(Track::Uplink)
        .filter(|kept| kept.origin == Origin::Real)
        .map(|kept| (kept.position, place(kept)))
        .collect()
}

#[test]
fn another_ssrc_is_followed_without_losing_a_packet() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..100 {
        if n == 50 {
            (sender.ssrc, sender.seq, sender.ts) = (99, 40_000, 7);
        }
        rig.datagram(ms(20 * n), &sender.packet());
    }
    let heard = places(&rig, FORMAT, 16_000);
    assert_eq!(heard, (0..100).map(|n| (160 * n, 160 * n)).collect::<Vec<_>>());
    let stats = rig.stats();
    assert_eq!((stats.stream_restarts, stats.packets_received), (1, 100));
    assert_eq!((stats.packets_lost, stats.timestamp_jumps, stats.rejected.total()), (0, 0, 0));
}

#[test]
fn a_sequence_that_starts_anew_is_followed_without_losing_a_packet() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..100 {
        if n == 50 {
            sender.seq = sender.seq.wrapping_add(20_000);
        }
        rig.datagram(ms(20 * n), &sender.packet());
    }
    assert_eq!(places(&rig, FORMAT, 16_000).len(), 100);
    assert_eq!((rig.stats().stream_restarts, rig.stats().packets_lost), (1, 0));
}

#[test]
fn what_waits_behind_a_hole_is_heard_before_the_new_stream() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..10 {
        if n == 6 {
            (sender.ssrc, sender.seq) = (99, 40_000);
        }
        let packet = sender.packet();
        if n != 4 {
            rig.datagram(ms(20 * n), &packet);
        }
    }
    let heard: Vec<_> =
        places(&rig, FORMAT, 1_600).into_iter().map(|(_, place)| place / 160).collect();
    assert_eq!(heard, [0, 1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!((rig.stats().packets_received, rig.stats().packets_lost), (9, 1));
}

#[test]
fn a_change_of_stream_that_loses_its_first_packets_loses_no_more() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..20 {
        if n == 10 {
            (sender.ssrc, sender.seq, sender.ts) = (99, 65_534, u32::MAX - 300);
        }
        let packet = sender.packet();
        if !(10..13).contains(&n) {
            rig.datagram(ms(20 * n), &packet);
        }
    }
    let heard = places(&rig, FORMAT, 3_200);
    let expected: Vec<_> = (0..10).chain(13..20).map(|n| (160 * n, 160 * n)).collect();
    assert_eq!(heard, expected);
}

#[test]
fn a_forged_source_is_not_heard_and_counted() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    let foreign: [SocketAddr; 2] = [([192, 0, 2, 1], 4001).into(), ([192, 0, 2, 2], 4000).into()];
    for n in 0..50 {
        let packet = sender.packet();
        for from in foreign {
            // The same numbers as the true packet, and before it.
            let mut forged = packet.clone();
            forged[12..].fill(0x55);
            rig.input(ms(20 * n), Input::Datagram { from, bytes: &forged });
        }
        rig.datagram(ms(20 * n), &packet);
    }
    assert_eq!(places(&rig, FORMAT, 8_000).len(), 50);
    let stats = rig.stats();
    assert_eq!((stats.packets_received, stats.rejected.of(Rejected::ForeignSource)), (50, 100));
    assert_eq!(stats.rejected.total(), 100);
}

#[test]
fn a_foreign_ssrc_beside_ours_is_not_heard_and_counted() {
    let mut sender = Sender::new(FORMAT);
    let mut foreign = Sender { ssrc: 666, place: 1 << 40, ..Sender::new(FORMAT) };
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..50 {
        rig.datagram(ms(20 * n), &sender.packet());
        rig.datagram(ms(20 * n + 10), &foreign.packet());
    }
    rig.datagram(ms(1_000), &sender.packet());
    assert_eq!(places(&rig, FORMAT, 8_160).len(), 51);
    let stats = rig.stats();
    assert_eq!((stats.packets_received, stats.stream_restarts), (51, 0));
    assert_eq!(stats.rejected.of(Rejected::ForeignSsrc), 50);
}

#[test]
fn nothing_is_heard_before_the_peer_is_known() {
    let mut sender = Sender::new(FORMAT);
    let settings = sidetone::media::MediaSettings::default();
    let mut rig = Rig::rtp_without_peer(FORMAT, settings, crate::driver::idle(), true);
    rig.datagram(ms(0), &sender.packet());
    rig.run_until(ms(1_000));
    assert_eq!(rig.sent().count(), 0);
    assert!(rig.seen().frames.is_empty());
    assert_eq!(rig.stats().rejected.of(Rejected::ForeignSource), 1);
}

#[test]
fn another_payload_type_is_told_once_and_counted_each_time() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..50 {
        let packet = if n < 10 { sender.packet() } else { sender.side(8, &[0xd5; 160]) };
        rig.datagram(ms(20 * n), &packet);
    }
    let told: Vec<_> = rig
        .events()
        .filter_map(|(_, kind)| match kind {
            EventKind::FormatMismatch { expected, actual } => Some((*expected, *actual)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(FORMAT, 8)]);
    assert_eq!(rig.stats().rejected.of(Rejected::PayloadType), 40);
    assert_eq!(rig.seen().of(Track::Uplink).count(), 10);
}

#[test]
fn narrow_slin_is_heard_under_both_of_its_payload_types() {
    let format = MediaFormat::Slin(SampleRate::HZ_8000);
    let mut rig = Rig::rtp(format);
    let mut sender = Sender::new(format);
    for n in 0..10 {
        let mut packet = sender.packet();
        packet[1] = if n % 2 == 0 { 10 } else { 11 };
        rig.datagram(ms(20 * n), &packet);
    }
    assert_eq!(rig.seen().of(Track::Uplink).count(), 10);
    assert_eq!(rig.stats().rejected.total(), 0);
}

#[test]
fn payloads_that_are_no_whole_samples_are_counted() {
    let format = MediaFormat::Slin(SampleRate::HZ_16000);
    let mut sender = Sender::new(format);
    let mut rig = Rig::rtp(format);
    for payload in [&[][..], &[1], &[1, 2, 3]] {
        let packet = sender.side(format.payload_type(), payload);
        rig.datagram(ms(0), &packet);
    }
    assert_eq!(rig.stats().rejected.of(Rejected::PayloadSize), 3);
    assert_eq!(rig.seen().of(Track::Uplink).count(), 0);
}

#[test]
fn truncated_datagrams_are_counted_as_malformed() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    let packet = sender.packet();
    for length in 0..12 {
        rig.datagram(ms(0), &packet[..length]);
    }
    let mut wrong_version = packet.clone();
    wrong_version[0] = 0x40;
    rig.datagram(ms(0), &wrong_version);
    assert_eq!(rig.stats().rejected.of(Rejected::Malformed), 13);
    rig.datagram(ms(0), &packet);
    assert_eq!((rig.stats().packets_received, rig.stats().rejected.total()), (1, 13));
}

#[test]
fn a_pause_of_the_sender_leaves_a_gap_of_its_length() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..100 {
        if (30..80).contains(&n) {
            sender.pause(160);
        } else {
            rig.datagram(ms(20 * n), &sender.packet());
        }
    }
    let heard = places(&rig, FORMAT, 16_000);
    let expected: Vec<_> = (0..30).chain(80..100).map(|n| (160 * n, 160 * n)).collect();
    assert_eq!(heard, expected);
    let stats = rig.stats();
    assert_eq!((stats.packets_lost, stats.frames_concealed, stats.timestamp_jumps), (0, 0, 0));
}

#[test]
fn a_timestamp_that_jumps_is_bridged_and_counted() {
    for jump in [1 << 20, 1 << 31, u32::MAX - 3_000] {
        let mut sender = Sender::new(FORMAT);
        let mut rig = Rig::rtp(FORMAT);
        for n in 0..20 {
            if n == 10 {
                sender.ts = sender.ts.wrapping_add(jump);
            }
            rig.datagram(ms(20 * n), &sender.packet());
        }
        let heard = places(&rig, FORMAT, 3_200);
        assert_eq!(heard, (0..20).map(|n| (160 * n, 160 * n)).collect::<Vec<_>>());
        assert_eq!((rig.stats().timestamp_jumps, rig.stats().packets_lost), (1, 0));
    }
}

#[test]
fn a_late_packet_from_before_a_jump_is_not_put_far_ahead() {
    let mut sender = Sender::new(FORMAT);
    sender.ts = 1 << 30;
    let mut rig = Rig::rtp(FORMAT);
    let mut missed = Vec::new();
    for n in 0..20 {
        if n == 10 {
            sender.ts = 0;
        }
        let packet = sender.packet();
        if n == 5 {
            missed = packet;
        } else {
            rig.datagram(ms(20 * n), &packet);
        }
    }
    rig.datagram(ms(400), &missed);
    assert_eq!(rig.seen().of(Track::Late).count(), 0);
    assert_eq!(rig.stats().rejected.of(Rejected::TooLate), 1);
}

#[test]
fn packets_beside_the_audio_hold_their_number_and_leave_no_hole() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    for n in 0..60 {
        if n % 3 == 0 {
            let side = sender.side(if n % 2 == 0 { 13 } else { 101 }, &[0x40, 0, 0, 0]);
            rig.datagram(ms(20 * n), &side);
        }
        rig.datagram(ms(20 * n), &sender.packet());
    }
    assert_eq!(places(&rig, FORMAT, 9_600).len(), 60);
    let stats = rig.stats();
    assert_eq!((stats.packets_lost, stats.frames_concealed, stats.packets_received), (0, 0, 80));
    assert_eq!(stats.rejected.total(), 0);
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::FormatMismatch { .. })), 0);
}

#[test]
fn comfort_noise_is_a_sign_of_life() {
    let mut sender = Sender::new(FORMAT);
    let mut rig = Rig::rtp(FORMAT);
    rig.datagram(ms(0), &sender.packet());
    for second in 1..200 {
        sender.pause(8_000);
        let side = sender.side(13, &[70]);
        rig.datagram(ms(1_000 * second), &side);
    }
    assert_eq!(
        rig.count(|kind| matches!(kind, EventKind::NoMedia { .. } | EventKind::CallEnded { .. })),
        0
    );
}

proptest! {
    #[test]
    fn random_bytes_never_harm_the_call(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..100),
    ) {
        let mut rig = Rig::rtp(FORMAT);
        let mut sender = Sender::new(FORMAT);
        rig.datagram(ms(0), &sender.packet());
        let given = datagrams.len() as u64;
        for bytes in &datagrams {
            // Whatever parses is of no version 2 stream of ours.
            let bytes: Vec<_> = bytes.iter().enumerate().map(|(i, b)| if i == 0 { b & 0x3f } else { *b }).collect();
            rig.input(ms(5), Input::Datagram { from: peer(), bytes: &bytes });
        }
        rig.datagram(ms(20), &sender.packet());
        prop_assert_eq!(rig.stats().rejected.of(Rejected::Malformed), given);
        prop_assert_eq!(rig.stats().packets_received, 2);
        prop_assert_eq!(rig.seen().of(Track::Uplink).count(), 2);
    }
}
