//! What the callers say.

use std::path::Path;

/// Peak from which on speech and tone count as heard: −40 dB of full scale.
pub(crate) const AUDIBLE: u16 = 328;

/// Where in the fixture, in samples, somebody begins to speak: a sentence, and two clauses behind a
/// pause. Their first words are unbroken for 430, 160 and 250 ms.
const PLACES: [usize; 3] = [0, 13_680, 28_160];

/// How much is said, in samples, where there is as much: longer than any detector takes.
const LENGTH: usize = 4_000;

/// What is said: each from its first audible sample on.
pub(crate) fn phrases() -> Vec<Vec<i16>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/speech-8k.wav");
    let mut reader = hound::WavReader::open(path).expect("the fixture is in the repository");
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
    let phrase = |place: usize| {
        let rest = &samples[place..];
        let first = rest.iter().position(|sample| sample.unsigned_abs() >= AUDIBLE);
        rest[first.expect("somebody speaks")..].iter().copied().take(LENGTH).collect()
    };
    PLACES.map(phrase).into()
}
