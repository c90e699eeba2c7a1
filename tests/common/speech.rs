//! The speech fixture at any rate, and in any format.

// Every test binary uses its own part of this module.
#![allow(dead_code)]

use std::path::Path;

use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::codec::Encoder;
use sidetone::dsp::opus;
use sidetone::dsp::resample::{Quality, Resampler};

/// A file of `fixtures/`: its rate and its samples.
pub(crate) fn fixture(name: &str) -> (u32, Vec<i16>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    let mut reader = hound::WavReader::open(path).expect("the fixture is there");
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16));
    let samples = reader.samples().map(|sample| sample.expect("the fixture is whole"));
    (spec.sample_rate, samples.collect())
}

/// The first `seconds` of the wide-band speech at `rate`.
pub(crate) fn speech(rate: SampleRate, seconds: f64) -> Vec<i16> {
    let (_, samples) = fixture("speech-16k.wav");
    let mut resampled = Vec::new();
    Resampler::new(SampleRate::HZ_16000, rate, Quality::High).process(&samples, &mut resampled);
    resampled.truncate((seconds * f64::from(rate.hz())) as usize);
    resampled
}

/// Samples of 20 ms.
pub(crate) fn frame_samples(rate: SampleRate) -> usize {
    rate.hz() as usize / 50
}

/// What a sender of `format` puts into its packets of 20 ms.
pub(crate) fn payloads(
    format: MediaFormat,
    rate: SampleRate,
    settings: &opus::Settings,
    samples: &[i16],
) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(format, rate, settings).expect("the codec has the rate");
    let mut encode = |frame: &[i16]| {
        let mut payload = vec![9; 7];
        let _ = encoder.encode(frame, &mut payload).expect("20 ms are a frame of every codec");
        payload
    };
    samples.chunks_exact(frame_samples(rate)).map(&mut encode).collect()
}
