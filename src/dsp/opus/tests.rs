//! Against signals with known answers, the fixture, libopus' own answers, and arbitrary bytes.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::dsp::find_offset;

mod loss;

const WIDE: SampleRate = SampleRate::HZ_16000;
/// Redundancy in nearly every packet with a voice in it.
const LOSSY: Settings = Settings {
    bitrate_bps: 32_000,
    complexity: 5,
    fec: true,
    dtx: false,
    expected_loss_percent: 20,
};

/// Two seconds of something like a voice over a telephone: a pitch that glides from 180 to 260 Hz
/// and back, its harmonics between 900 Hz and 3 kHz, three syllables a second. The same signal at
/// every rate, and above what the encoder's own high-pass filter for voice turns in phase.
fn voice(rate: SampleRate) -> Vec<i16> {
    let sample = |n: u32| {
        let time = f64::from(n) / f64::from(rate.hz());
        let pitch = TAU * 220.0 * time + 40.0 / 1.5 * (TAU * 1.5 * time).sin();
        let harmonics: f64 = (5..=11).map(|k| (f64::from(k) * pitch).sin() / f64::from(k)).sum();
        let syllable = 0.5 - 0.45 * (TAU * 3.0 * time).cos();
        (12_000.0 * syllable * harmonics) as i16
    };
    (0..2 * rate.hz()).map(sample).collect()
}

/// Five seconds of speech, behind a header of 44 bytes.
fn fixture() -> Vec<i16> {
    let wav = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/speech-16k.wav"));
    wav[44..].as_chunks().0.iter().map(|&bytes| i16::from_le_bytes(bytes)).collect()
}

/// The packets of `signal`, in frames of `units` times 2.5 ms.
fn packets(rate: SampleRate, settings: &Settings, signal: &[i16], units: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(rate, settings).unwrap();
    let frames = signal.chunks_exact(units * unit_samples(rate));
    let mut packet = Vec::new();
    frames
        .map(|frame| {
            let _ = encoder.encode(frame, &mut packet).unwrap();
            packet.clone()
        })
        .collect()
}

fn decode_all(decoder: &mut Decoder, packets: &[Vec<u8>]) -> Vec<i16> {
    let mut samples = Vec::new();
    let mut all = Vec::new();
    for packet in packets {
        decoder.decode(packet, &mut samples).unwrap();
        all.extend_from_slice(&samples);
    }
    all
}

#[test]
fn a_stream_of_any_rate_is_decoded_at_any_rate_after_the_delay_that_is_told() {
    for from in RATES {
        let packets = packets(from, &Settings::default(), &voice(from), 8);
        let delay = Encoder::new(from, &Settings::default()).unwrap().output_delay();
        assert_eq!(delay, from.hz() as usize * 13 / 2000);
        for to in RATES {
            let decoded = decode_all(&mut Decoder::new(to).unwrap(), &packets);
            let found = find_offset(&voice(to), &decoded, -2000..=2000);
            let off = found.lag - (delay * to.hz() as usize / from.hz() as usize).cast_signed();
            // What libopus' resamplers are off: 0.07 ms, which are 3 samples at 48 kHz.
            let exact = from == to && from <= WIDE;
            let allowed = if exact { 0 } else { (to.hz() / 16_000).max(1) };
            assert!(off.unsigned_abs() <= allowed as usize, "{from} to {to}: {off}");
            // Half a sample of 8 kHz turns a sound of 2 kHz by 45 degrees.
            let least = if from == to || to == SampleRate::HZ_48000 { 0.98 } else { 0.9 };
            assert!(found.coefficient > least, "{from} to {to}: {found:?}");
        }
    }
}

#[test]
fn speech_comes_through_and_is_not_late() {
    let speech = fixture();
    let packets = packets(WIDE, &Settings::default(), &speech, 8);
    let decoded = decode_all(&mut Decoder::new(WIDE).unwrap(), &packets);
    let found = find_offset(&speech, &decoded, -2000..=2000);
    assert_eq!(found.lag, 104);
    // For VoIP libopus removes what lies below the voice, and turns the fundamental's phase doing
    // so: no bit rate gets this low voice beyond 0.973.
    assert!(found.coefficient > 0.96, "{found:?}");
    let bitrate = packets.iter().map(Vec::len).sum::<usize>() * 8 * 50 / packets.len();
    assert!((24_000..34_000).contains(&bitrate), "{bitrate}");
}

#[test]
fn frames_of_every_length_keep_their_length_even_mixed_in_one_stream() {
    for rate in RATES {
        let unit = unit_samples(rate);
        let mut encoder = Encoder::new(rate, &Settings::default()).unwrap();
        let mut decoder = Decoder::new(rate).unwrap();
        let (signal, mut packet, mut samples) = (voice(rate), Vec::new(), Vec::new());
        let (mut decoded, mut at) = (Vec::new(), 0);
        for units in FRAME_UNITS.into_iter().cycle() {
            let Some(frame) = signal.get(at..at + units * unit) else { break };
            at += frame.len();
            assert_eq!(encoder.encode(frame, &mut packet), Ok(Encoded::Send));
            assert_eq!(Decoder::packet_samples(&packet, rate), Ok(frame.len()));
            decoder.decode(&packet, &mut samples).unwrap();
            assert_eq!(samples.len(), frame.len());
            decoded.extend_from_slice(&samples);
        }
        let found = find_offset(&signal, &decoded, -2000..=2000);
        // Short frames switch to the CELT layer and back, which costs quality.
        assert!(found.coefficient > 0.9, "{rate}: {found:?}");

        for length in
            (0..=24 * unit + 1).filter(|n| !FRAME_UNITS.contains(&(n / unit)) || n % unit != 0)
        {
            let error = OpusError::FrameLength { actual: length, rate };
            assert_eq!(encoder.encode(&signal[..length], &mut packet), Err(error));
            assert!(packet.is_empty());
        }
    }
}

#[test]
fn silence_needs_hardly_any_packets() {
    for rate in RATES {
        let settings = Settings { dtx: true, ..Settings::default() };
        let mut encoder = Encoder::new(rate, &settings).unwrap();
        let mut decoder = Decoder::new(rate).unwrap();
        let (mut packet, mut samples) = (Vec::new(), Vec::new());
        let mut sent = Vec::new();
        let signal = [voice(rate), vec![0; 4 * rate.hz() as usize], voice(rate)].concat();
        for frame in signal.chunks_exact(8 * unit_samples(rate)) {
            let encoded = encoder.encode(frame, &mut packet).unwrap();
            assert_eq!(encoded == Encoded::Silence, packet.len() <= 2);
            // What need not be sent may be.
            decoder.decode(&packet, &mut samples).unwrap();
            assert_eq!(samples.len(), frame.len());
            sent.push(encoded == Encoded::Send);
        }
        let count = |range: std::ops::Range<usize>| sent[range].iter().filter(|it| **it).count();
        // It is believed after 200 ms; then one frame of 21 tells what the silence sounds like.
        assert!((9..22).contains(&count(100..300)), "{rate}: {}", count(100..300));
        assert_eq!(count(0..95) + count(305..400), 190, "{rate}");
    }
}

#[test]
fn after_a_reset_nothing_of_the_former_stream_is_left() {
    for rate in RATES {
        let cautious = Settings { expected_loss_percent: 10, ..Settings::default() };
        for settings in [Settings::default(), cautious, Settings { dtx: true, ..LOSSY }] {
            let signal = voice(rate);
            let encode = |encoder: &mut Encoder| {
                let mut packet = Vec::new();
                let frames = signal.chunks_exact(8 * unit_samples(rate));
                let packets: Vec<_> = frames
                    .map(|frame| (encoder.encode(frame, &mut packet), packet.clone()))
                    .collect();
                packets
            };
            let mut encoder = Encoder::new(rate, &settings).unwrap();
            let first = encode(&mut encoder);
            encoder.reset();
            assert!(encode(&mut encoder) == first, "{rate}");

            let packets: Vec<_> = first.into_iter().map(|(_, packet)| packet).collect();
            let mut decoder = Decoder::new(rate).unwrap();
            let first = decode_all(&mut decoder, &packets);
            assert!(decode_all(&mut decoder, &packets) != first, "{rate}");
            decoder.conceal(&mut [0; 1000]);
            decoder.reset();
            assert!(decode_all(&mut decoder, &packets) == first, "{rate}");
        }
    }
}

#[test]
fn what_is_out_of_range_is_named_with_what_is_allowed() {
    for actual in [SampleRate::HZ_32000, SampleRate::HZ_44100, SampleRate::HZ_96000] {
        let error = OpusError::Rate { actual };
        assert_eq!(Decoder::new(actual).unwrap_err(), error);
        assert_eq!(Encoder::new(actual, &Settings::default()).unwrap_err(), error);
        assert_eq!(Decoder::packet_samples(&[0], actual), Err(error));
        assert!(error.to_string().contains(&actual.to_string()), "{error}");
        assert!(error.to_string().contains("8000, 12000, 16000, 24000, 48000"), "{error}");
    }
    let good = Settings::default();
    let refused = |settings| Encoder::new(WIDE, &settings).unwrap_err();
    for actual in [0, 5_999, 300_001, u32::MAX] {
        let error = refused(Settings { bitrate_bps: actual, ..good });
        assert_eq!(error, OpusError::Bitrate { actual });
    }
    let error = refused(Settings { complexity: 11, ..good });
    assert_eq!(error, OpusError::Complexity { actual: 11 });
    let error = refused(Settings { expected_loss_percent: 101, ..good });
    assert_eq!(error, OpusError::ExpectedLoss { actual: 101 });
}

#[test]
fn every_setting_reaches_the_library() {
    let inner = Encoder::new(WIDE, &LOSSY).unwrap().inner;
    assert_eq!(inner.application(), Ok(Application::Voip));
    assert_eq!(inner.signal(), Ok(Signal::Voice));
    assert_eq!(i32::from(inner.bitrate().unwrap()), 32_000);
    assert_eq!(inner.complexity(), Ok(5));
    assert_eq!(inner.inband_fec(), Ok(true));
    assert_eq!(inner.packet_loss_perc(), Ok(20));
    assert_eq!(inner.encoder_ctl_request(ffi::OPUS_GET_DTX_REQUEST), Ok(0));
    let inner = Encoder::new(WIDE, &Settings { dtx: true, ..LOSSY }).unwrap().inner;
    assert_eq!(inner.encoder_ctl_request(ffi::OPUS_GET_DTX_REQUEST), Ok(1));
}

#[test]
fn the_ends_of_every_range_are_taken() {
    let rate = SampleRate::HZ_48000;
    for (bitrate_bps, complexity, expected_loss_percent) in [(6_000, 0, 100), (300_000, 10, 0)] {
        let settings = Settings { bitrate_bps, complexity, expected_loss_percent, ..LOSSY };
        let bytes: usize = packets(rate, &settings, &voice(rate), 24).iter().map(Vec::len).sum();
        // Two seconds; the bit rate is a mean that one signal may miss.
        let (actual, wanted) = (bytes as f64 * 4.0, f64::from(bitrate_bps));
        assert!((actual / wanted - 1.0).abs() < 0.25, "{actual} of {wanted}");
    }
}

#[test]
fn coders_move_between_threads_and_the_library_tells_its_version() {
    fn assert_send<T: Send + std::fmt::Debug>() {}
    assert_send::<Decoder>();
    assert_send::<Encoder>();
    assert!(version().starts_with("libopus "), "{}", version());
}

proptest! {
    /// Bytes as they are, and the packets of an encoder with some bytes changed.
    #[test]
    fn arbitrary_bytes_yield_an_error_or_their_duration(
        rate in 0..RATES.len(),
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20),
    ) {
        let rate = RATES[rate];
        let good = packets(rate, &LOSSY, &voice(rate)[..80 * unit_samples(rate)], 8);
        let mut decoder = Decoder::new(rate).unwrap();
        let mut samples = Vec::new();
        for (noise, good) in noise.iter().zip(good.iter().cycle()) {
            let mut changed = good.clone();
            for pair in noise.chunks_exact(2).take(3) {
                let at = usize::from(pair[0]) % changed.len();
                changed[at] = pair[1];
            }
            for packet in [noise, &changed] {
                let mut gap = vec![0; noise.len() * 7];
                decoder.recover(packet, &mut gap);
                let duration = Decoder::packet_samples(packet, rate);
                match decoder.decode(packet, &mut samples) {
                    Ok(()) => prop_assert_eq!(Ok(samples.len()), duration),
                    Err(error) => {
                        prop_assert!(samples.is_empty());
                        let malformed = OpusError::Malformed { bytes: packet.len() };
                        prop_assert!(duration == Err(error) || error == malformed, "{}", error);
                    }
                }
                decoder.conceal(&mut gap);
            }
        }
    }
}
