use std::fmt;

use super::Detector;
use crate::audio::SampleRate;
use crate::dsp::resample::{Quality, Resampler};

/// What a detector says of a frame.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// The frame's first sample and the one behind its last, of the audio that was pushed since the
    /// start or the last [`Scorer::restart`].
    pub begin: u64,
    /// See there.
    pub end: u64,
    /// How likely it is speech.
    pub speech: f32,
}

/// Cuts a call's audio into the frames that its detector wants, at the rate that it wants.
pub struct Scorer {
    detector: Box<dyn Detector>,
    rate: SampleRate,
    resampler: Option<Resampler>,
    resampled: Vec<i16>,
    /// The frame that is not full yet.
    frame: Vec<i16>,
    /// Samples at the detector's rate in whole frames.
    scored: u64,
}

impl Scorer {
    /// For audio of `rate`.
    #[must_use]
    pub fn new(detector: Box<dyn Detector>, rate: SampleRate) -> Self {
        let resampler = (detector.rate() != rate)
            .then(|| Resampler::new(rate, detector.rate(), Quality::Voice));
        let frame = Vec::with_capacity(detector.frame_samples());
        Self { detector, rate, resampler, resampled: Vec::new(), frame, scored: 0 }
    }

    /// Takes the next piece of the audio, and tells of each frame that it completes.
    ///
    /// Allocates where a piece is longer than all before it, at another rate than the detector's.
    pub fn push(&mut self, samples: &[i16], mut tell: impl FnMut(Score)) {
        let Self { detector, rate, resampler, resampled, frame, scored } = self;
        let (ours, theirs) = (u64::from(rate.hz()), u64::from(detector.rate().hz()));
        let delay = resampler.as_ref().map_or(0, Resampler::output_delay) as u64;
        let pushed = |scored: u64| scored.saturating_sub(delay) * ours / theirs;
        let mut samples = match resampler {
            None => samples,
            Some(resampler) => {
                resampler.process(samples, resampled);
                &resampled[..]
            }
        };
        let length = detector.frame_samples();
        while !samples.is_empty() {
            let (head, rest) = samples.split_at(samples.len().min(length - frame.len()));
            frame.extend_from_slice(head);
            samples = rest;
            if frame.len() == length {
                let begin = pushed(*scored);
                *scored += length as u64;
                tell(Score { begin, end: pushed(*scored), speech: detector.detect(frame) });
                frame.clear();
            }
        }
    }

    /// Begins to count anew: what comes next does not follow what came last. The detector keeps
    /// what it knows of the call.
    pub fn restart(&mut self) {
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        self.frame.clear();
        self.scored = 0;
    }
}

impl fmt::Debug for Scorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scorer").field("rate", &self.rate).finish_non_exhaustive()
    }
}
