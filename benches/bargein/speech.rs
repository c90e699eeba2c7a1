//! What the callers say.

use std::path::Path;

/// Peak from which on speech and tone count as heard: −40 dB of full scale.
pub(crate) const AUDIBLE: u16 = 328;

/// A pause between phrases, in samples.
const PAUSE: usize = 800;

/// How much of a phrase is said, in samples: longer than any detector takes.
const LENGTH: usize = 10_000;

/// The phrases of the fixture, each from its first audible sample on.
pub(crate) fn phrases() -> Vec<Vec<i16>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/speech-8k.wav");
    let mut reader = hound::WavReader::open(path).expect("the fixture is in the repository");
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
    split(&samples)
}

pub(crate) fn split(samples: &[i16]) -> Vec<Vec<i16>> {
    let is_audible = |sample: &i16| sample.unsigned_abs() >= AUDIBLE;
    let mut starts = Vec::new();
    let mut last = None;
    for (place, _) in samples.iter().enumerate().filter(|(_, sample)| is_audible(sample)) {
        if last.is_none_or(|last| place - last > PAUSE) {
            starts.push(place);
        }
        last = Some(place);
    }
    let phrase = |&start: &usize| samples[start..samples.len().min(start + LENGTH)].to_vec();
    starts.iter().map(phrase).collect()
}
