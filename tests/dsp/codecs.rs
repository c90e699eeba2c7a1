//! The contract that every codec keeps.

use std::sync::LazyLock;

use proptest::prelude::*;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::codec::{Decoder, Encoder};
use sidetone::dsp::opus::Recovery;
use sidetone::dsp::{find_offset, level, opus};

use crate::speech::{self, frame_samples, speech};

/// Every format at every rate that it has.
fn all() -> Vec<(MediaFormat, SampleRate)> {
    let rates = |format: MediaFormat| match format {
        MediaFormat::Opus => opus::RATES.to_vec(),
        other => vec![other.sample_rate()],
    };
    MediaFormat::ALL.into_iter().flat_map(|f| rates(f).into_iter().map(move |r| (f, r))).collect()
}

fn decoder(format: MediaFormat, rate: SampleRate) -> Decoder {
    Decoder::new(format, rate).unwrap()
}

fn encoder(format: MediaFormat, rate: SampleRate) -> Encoder {
    Encoder::new(format, rate, &opus::Settings::default()).unwrap()
}

/// A fifth of a second of speech at the rates of the formats that may be cut anywhere.
static ORIGINALS: LazyLock<[(SampleRate, Vec<i16>); 2]> = LazyLock::new(|| {
    [SampleRate::HZ_8000, SampleRate::HZ_16000].map(|rate| (rate, speech(rate, 0.2)))
});

fn payloads(format: MediaFormat, rate: SampleRate, samples: &[i16]) -> Vec<Vec<u8>> {
    speech::payloads(format, rate, &opus::Settings::default(), samples)
}

fn decode_all(decoder: &mut Decoder, payloads: &[Vec<u8>]) -> Vec<i16> {
    let (mut samples, mut all) = (vec![7; 3], Vec::new());
    for payload in payloads {
        decoder.decode(payload, &mut samples).unwrap();
        all.extend_from_slice(&samples);
    }
    all
}

#[test]
fn what_goes_in_comes_out_later_by_the_delay() {
    for (format, rate) in all() {
        let original = speech(rate, 4.0);
        let payloads = payloads(format, rate, &original);
        let heard = decode_all(&mut decoder(format, rate), &payloads);
        assert_eq!(heard.len(), original.len(), "{format} {rate}");
        let delay = encoder(format, rate).output_delay().cast_signed();
        let reach = frame_samples(rate).cast_signed() / 2;
        let found = find_offset(&original, &heard, -reach..=reach);
        // libopus is off by up to 0.07 ms where it resamples inside.
        let slack = if format == MediaFormat::Opus { rate.hz().cast_signed() / 12_000 } else { 0 };
        assert!(found.lag.abs_diff(delay) <= slack as usize, "{format} {rate}: {found:?} {delay}");
        // Opus keeps the sound rather than the waveform.
        let bound = if format == MediaFormat::Opus { 0.95 } else { 0.99 };
        assert!(found.coefficient > bound, "{format} {rate}: {found:?}");
    }
}

#[test]
fn a_codec_that_was_reset_is_as_new() {
    for (format, rate) in all() {
        let original = speech(rate, 0.2);
        let expected = payloads(format, rate, &original);
        let mut encoder = encoder(format, rate);
        let mut payload = Vec::new();
        for frame in original.chunks_exact(frame_samples(rate)).rev() {
            let _ = encoder.encode(frame, &mut payload).unwrap();
        }
        encoder.reset();
        for (frame, expected) in original.chunks_exact(frame_samples(rate)).zip(&expected) {
            let _ = encoder.encode(frame, &mut payload).unwrap();
            assert_eq!(&payload, expected, "{format} {rate}");
        }
        let mut decoder = decoder(format, rate);
        let first = decode_all(&mut decoder, &expected);
        decoder.conceal(None, &mut [0; 100]);
        decoder.reset();
        assert_eq!(decode_all(&mut decoder, &expected), first, "{format} {rate}");
    }
}

#[test]
fn an_empty_payload_is_an_error_and_harms_nothing() {
    for (format, rate) in all() {
        let payloads = payloads(format, rate, &speech(rate, 0.2));
        let expected = decode_all(&mut decoder(format, rate), &payloads);
        let mut decoder = decoder(format, rate);
        let (first, rest) = payloads.split_at(4);
        let mut heard = decode_all(&mut decoder, first);
        let mut samples = vec![1; 5];
        let error = decoder.decode(&[], &mut samples).unwrap_err();
        assert!(samples.is_empty() && error.to_string().contains('0'), "{error}");
        heard.extend(decode_all(&mut decoder, rest));
        assert_eq!(heard, expected, "{format} {rate}");
    }
}

#[test]
fn a_foreign_rate_is_refused_by_name() {
    let foreign = SampleRate::HZ_44100;
    for format in [MediaFormat::Ulaw, MediaFormat::Alaw, MediaFormat::G722, MediaFormat::Opus] {
        let error = Decoder::new(format, foreign).unwrap_err().to_string();
        assert!(error.contains("44100"), "{error}");
        let settings = opus::Settings::default();
        assert_eq!(Encoder::new(format, foreign, &settings).unwrap_err().to_string(), error);
    }
}

#[test]
fn every_decoder_knows_its_format() {
    for (format, rate) in all() {
        assert_eq!(decoder(format, rate).format(), format);
    }
}

#[test]
fn opus_alone_makes_something_up_for_what_is_missing() {
    for (format, rate) in all() {
        let original = speech(rate, 4.0);
        let frames = original.chunks_exact(frame_samples(rate));
        let loudest = frames.enumerate().max_by_key(|(_, frame)| level::energy(frame)).unwrap().0;
        let mut decoder = decoder(format, rate);
        decode_all(&mut decoder, &payloads(format, rate, &original)[..=loudest]);
        let mut missing = vec![1; frame_samples(rate)];
        assert_eq!(decoder.conceal(None, &mut missing), Recovery::Concealment);
        let loud = missing.iter().any(|sample| sample.unsigned_abs() > 500);
        assert_eq!(loud, format == MediaFormat::Opus, "{format} {rate}");
        if !loud {
            assert!(missing.iter().all(|&sample| sample == 0), "{format} {rate}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_payload_harms(
        (format, rate) in prop::sample::select(all()),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6),
        lost in prop::collection::vec(any::<bool>(), 6),
    ) {
        let mut decoder = decoder(format, rate);
        let mut samples = Vec::new();
        for (payload, lost) in payloads.iter().zip(lost) {
            if lost {
                let mut missing = vec![0; payload.len()];
                decoder.conceal(Some(payload), &mut missing);
            }
            let result = decoder.decode(payload, &mut samples);
            prop_assert_eq!(result.is_err(), samples.is_empty());
            // 120 ms of Opus, two samples a byte of G.722.
            let most = if format == MediaFormat::Opus { rate.hz() as usize * 120 / 1000 } else { 400 };
            prop_assert!(samples.len() <= most);
        }
    }

    #[test]
    fn how_a_stream_is_cut_does_not_matter(
        format in prop::sample::select(&[
            MediaFormat::Ulaw,
            MediaFormat::Alaw,
            MediaFormat::G722,
            MediaFormat::Slin(SampleRate::HZ_16000),
        ][..]),
        cuts in prop::collection::vec(1_usize..300, 1..8),
    ) {
        let rate = format.sample_rate();
        let original = &ORIGINALS.iter().find(|(of, _)| *of == rate).unwrap().1;
        let (mut whole, mut piece) = (Vec::new(), Vec::new());
        let _ = encoder(format, rate).encode(original, &mut whole).unwrap();
        let (mut encoder, mut pieces, mut rest) = (encoder(format, rate), Vec::new(), &original[..]);
        for cut in cuts.iter().map(|cut| 2 * cut).chain([usize::MAX]) {
            let (frame, after) = rest.split_at(cut.min(rest.len()));
            let _ = encoder.encode(frame, &mut piece).unwrap();
            pieces.extend_from_slice(&piece);
            rest = after;
        }
        prop_assert_eq!(&pieces, &whole);
        let mut heard = Vec::new();
        decoder(format, rate).decode(&whole, &mut heard).unwrap();
        let chunks: Vec<Vec<u8>> = whole.chunks(2 * cuts[0]).map(<[u8]>::to_vec).collect();
        prop_assert_eq!(decode_all(&mut decoder(format, rate), &chunks), heard);
    }
}
