use super::{Detector, Earshot, Energy, Gated, Silero};
use crate::audio::SampleRate;

/// The detectors there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DetectorKind {
    /// [`Gated`]: `silero` where it is louder than the noise.
    #[default]
    Auto,
    /// [`Silero`].
    Silero,
    /// [`Earshot`].
    Earshot,
    /// [`Energy`].
    Energy,
}

impl DetectorKind {
    /// Every detector with its word.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("auto", Self::Auto),
        ("silero", Self::Silero),
        ("earshot", Self::Earshot),
        ("energy", Self::Energy),
    ];

    /// A detector for a call of that rate.
    #[must_use]
    pub fn build(self, rate: SampleRate) -> Box<dyn Detector> {
        match self {
            Self::Auto => Box::new(Gated::new()),
            Self::Silero => Box::new(Silero::new()),
            Self::Earshot => Box::new(Earshot::new()),
            Self::Energy => Box::new(Energy::new(rate)),
        }
    }
}
