//! The wire through its public API: round trips, perturbed encodings, every way to cut a stream,
//! and wrapping numbers against a model that does not wrap.

#[path = "../fuzz/checks.rs"]
mod checks;
#[path = "common/seeds.rs"]
mod seeds;

use checks::{Answer, decode};
use proptest::collection::vec;
use proptest::prelude::*;
use sidetone::audio::SampleRate;
use sidetone::wire::audiosocket::{
    ErrorCode, encode_audio, encode_dtmf, encode_error, encode_hangup, encode_uuid,
};
use sidetone::wire::{
    PayloadType, RtpHeader, RtpPacket, RtpTs, Seq, SeqExtender, Ssrc, TsExtender, rtp,
};
use uuid::Uuid;

fn headers() -> impl Strategy<Value = RtpHeader> {
    let fields = (any::<bool>(), 0_u8..128, any::<u16>(), any::<u32>(), any::<u32>());
    fields.prop_map(|(marker, payload_type, seq, timestamp, ssrc)| RtpHeader {
        marker,
        payload_type: PayloadType::new(payload_type).expect("below 128"),
        seq: Seq(seq),
        timestamp: RtpTs(timestamp),
        ssrc: Ssrc(ssrc),
    })
}

/// A datagram with everything that RFC 3550 allows in it, and the payload that it carries.
fn datagrams() -> impl Strategy<Value = (RtpHeader, Vec<u8>, Vec<u8>)> {
    let sources = vec(any::<[u8; 4]>(), 0..16);
    let extension = proptest::option::of(vec(any::<[u8; 4]>(), 0..20));
    let padding = proptest::option::of(1_u8..=255);
    (headers(), sources, extension, vec(any::<u8>(), 0..400), padding).prop_map(
        |(header, sources, extension, payload, padding)| {
            let mut bytes = Vec::new();
            rtp::write(&header, &[], &mut bytes);
            bytes[0] |= u8::try_from(sources.len()).expect("at most 15");
            bytes.extend(sources.concat());
            if let Some(words) = &extension {
                bytes[0] |= 0x10;
                bytes.extend([0xbe, 0xde]);
                bytes.extend(u16::try_from(words.len()).expect("below 20").to_be_bytes());
                bytes.extend(words.concat());
            }
            bytes.extend(&payload);
            if let Some(count) = padding {
                bytes[0] |= 0x20;
                bytes.resize(bytes.len() + usize::from(count) - 1, 0xaa);
                bytes.push(count);
            }
            (header, payload, bytes)
        },
    )
}

/// What may happen to bytes on their way, or be done to them.
#[derive(Clone, Debug)]
enum Damage {
    Flip { place: prop::sample::Index, bit: u8 },
    Set { place: prop::sample::Index, value: u8 },
    Truncate { place: prop::sample::Index },
    Insert { place: prop::sample::Index, bytes: Vec<u8> },
    Remove { place: prop::sample::Index },
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Insert { place, bytes: more } => {
                let at = place.index(bytes.len() + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            _ if bytes.is_empty() => {}
            Self::Flip { place, bit } => *place.get_mut(bytes) ^= 1 << bit,
            Self::Set { place, value } => *place.get_mut(bytes) = *value,
            Self::Truncate { place } => bytes.truncate(place.index(bytes.len())),
            Self::Remove { place } => {
                bytes.remove(place.index(bytes.len()));
            }
        }
    }
}

fn damages() -> impl Strategy<Value = Vec<Damage>> {
    let place = any::<prop::sample::Index>;
    let damage = prop_oneof![
        4 => (place(), 0_u8..8).prop_map(|(place, bit)| Damage::Flip { place, bit }),
        2 => (place(), any::<u8>()).prop_map(|(place, value)| Damage::Set { place, value }),
        1 => place().prop_map(|place| Damage::Truncate { place }),
        1 => (place(), vec(any::<u8>(), 1..30))
            .prop_map(|(place, bytes)| Damage::Insert { place, bytes }),
        1 => place().prop_map(|place| Damage::Remove { place }),
    ];
    vec(damage, 1..6)
}

/// One frame as its sender encodes it.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out);
        out
    }
    let audio = (prop::sample::select(&SampleRate::ALL[..]), vec(any::<i16>(), 1..400));
    prop_oneof![
        6 => audio.prop_map(|(rate, samples)| encoded(|out| encode_audio(rate, &samples, out))),
        1 => any::<u128>().prop_map(|id| encoded(|out| encode_uuid(Uuid::from_u128(id), out))),
        1 => any::<u8>().prop_map(|digit| encoded(|out| encode_dtmf(digit, out))),
        1 => any::<u8>().prop_map(|code| encoded(|out| encode_error(ErrorCode(code), out))),
        1 => Just(encoded(encode_hangup)),
    ]
}

/// Cuts `bytes` at `places`, taken modulo the length.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> =
        places.iter().map(|place| place.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_is_written_is_read_back(header in headers(), payload in vec(any::<u8>(), 0..1500)) {
        let mut bytes = Vec::new();
        rtp::write(&header, &payload, &mut bytes);
        let packet = RtpPacket::parse(&bytes).unwrap();
        prop_assert_eq!(packet.header(), &header);
        prop_assert_eq!(packet.payload(), &payload[..]);
    }

    #[test]
    fn the_payload_is_found_among_sources_extension_and_padding(
        (header, payload, bytes) in datagrams(),
    ) {
        let packet = RtpPacket::parse(&bytes).unwrap();
        prop_assert_eq!(packet.header(), &header);
        prop_assert_eq!(packet.payload(), &payload[..]);
    }

    #[test]
    fn a_damaged_datagram_is_refused_or_valid(
        (_, _, mut bytes) in datagrams(),
        damages in damages(),
    ) {
        for damage in damages {
            damage.apply(&mut bytes);
            checks::rtp_parse(&bytes);
        }
    }

    #[test]
    fn random_bytes_are_refused_or_valid(mut bytes in vec(any::<u8>(), 0..100)) {
        checks::rtp_parse(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        checks::rtp_parse(&bytes);
        checks::audiosocket_decode(&bytes);
    }

    #[test]
    fn a_stream_gives_the_same_frames_wherever_it_is_cut(
        frames in vec(frames(), 0..8),
        places in vec(any::<prop::sample::Index>(), 0..40),
        limit in 19_usize..1000,
    ) {
        let stream = frames.concat();
        let whole = decode(limit, &[&stream]);
        prop_assert_eq!(&decode(limit, &cut(&stream, &places)), &whole);
        let fits = frames.iter().all(|frame| frame.len() <= limit);
        prop_assert_eq!(whole.last() == Some(&Answer::Pending(0)), fits);
        let audio = |answer: &Answer| match answer {
            Answer::Audio(bytes) => Some(bytes.clone()),
            _ => None,
        };
        if fits {
            prop_assert_eq!(whole.len(), frames.len() + 1);
            let sent = frames.iter().filter(|frame| (0x10..=0x18).contains(&frame[0])).cloned();
            let received: Vec<_> = whole.iter().filter_map(audio).collect();
            prop_assert_eq!(received, sent.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_damaged_stream_gives_the_same_answers_wherever_it_is_cut(
        frames in vec(frames(), 1..6),
        damages in damages(),
        places in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut stream = frames.concat();
        for damage in damages {
            damage.apply(&mut stream);
            prop_assert_eq!(decode(700, &cut(&stream, &places)), decode(700, &[&stream]));
        }
    }

    #[test]
    fn sequence_numbers_extend_as_if_they_had_64_bits(
        first in any::<u16>(),
        steps in vec(-0x8000_i64..0x8000, 1..300),
    ) {
        let mut extender = SeqExtender::new();
        // The model counts without wrapping, far enough up not to fall below zero.
        let first = u64::from(first) + (1 << 20);
        let mut highest = first;
        let low = |number: u64| Seq((number & 0xffff) as u16);
        let start = extender.extend(low(first));
        for step in steps {
            let number = highest.checked_add_signed(step).unwrap();
            let extended = extender.extend(low(number));
            prop_assert_eq!(extended.since(start), number.cast_signed() - first.cast_signed());
            prop_assert_eq!(extended.seq(), low(number));
            highest = highest.max(number);
            prop_assert_eq!(extender.highest().unwrap().since(start), (highest - first).cast_signed());
        }
    }

    #[test]
    fn timestamps_extend_as_if_they_had_64_bits(
        first in any::<u32>(),
        steps in vec(-0x8000_0000_i64..0x8000_0000, 1..300),
    ) {
        let mut extender = TsExtender::new();
        let first = u64::from(first) + (1 << 40);
        let mut highest = first;
        let low = |number: u64| RtpTs((number & 0xffff_ffff) as u32);
        let start = extender.extend(low(first));
        for step in steps {
            let number = highest.checked_add_signed(step).unwrap();
            let extended = extender.extend(low(number));
            prop_assert_eq!(extended.since(start), number.cast_signed() - first.cast_signed());
            prop_assert_eq!(extended.ts(), low(number));
            highest = highest.max(number);
        }
    }
}

#[test]
fn a_short_call_decodes_the_same_at_every_pair_of_cuts() {
    let mut stream = Vec::new();
    let mut frame = Vec::new();
    encode_uuid(Uuid::from_u128(7), &mut frame);
    stream.extend(&frame);
    encode_audio(SampleRate::HZ_16000, &[1, -2, 3], &mut frame);
    stream.extend(&frame);
    stream.extend([0x10, 0, 1, 9]); // half a sample: counted, and the stream goes on
    encode_dtmf(b'7', &mut frame);
    stream.extend(&frame);
    encode_hangup(&mut frame);
    stream.extend(&frame);

    let whole = decode(64, &[&stream]);
    assert_eq!(whole.len(), 6);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(decode(64, &pieces), whole, "cut at {first} and {second}");
        }
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode(64, &single), whole);
}

#[test]
fn every_truncation_of_a_full_datagram_is_refused_or_valid() {
    let mut datagram = vec![0xb2, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    datagram.extend([0; 8]);
    datagram.extend([0xbe, 0xde, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
    datagram.extend([1, 2, 3, 4, 0, 2]);
    assert_eq!(RtpPacket::parse(&datagram).unwrap().payload(), [1, 2, 3, 4]);
    for length in 0..datagram.len() {
        checks::rtp_parse(&datagram[..length]);
    }
    // 12 + 8 + 12 bytes of header and one of padding: nothing shorter is a packet.
    assert!((0..33).all(|length| RtpPacket::parse(&datagram[..length]).is_err()));
}

#[test]
fn the_seeds_of_the_fuzz_targets_pass() {
    seeds::check([
        ("rtp_parse", checks::rtp_parse),
        ("audiosocket_decode", checks::audiosocket_decode),
    ]);
}
