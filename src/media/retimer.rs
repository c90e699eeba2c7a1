use std::time::Duration;

use super::DriftEstimator;
use crate::audio::SampleRate;
use crate::dsp::stretch::{Effort, Stretcher};

/// How far the sender's clock may have taken its audio away from ours before a good place for a
/// correction is looked for.
const DUE: Duration = Duration::from_millis(10);

/// From here on what goes out is remembered: who looks for such a place needs the last 20 ms. Where
/// more is due at once, as behind a first estimate of 500 ppm, the correction is so much later.
const NEAR: Duration = Duration::from_millis(5);

/// From here on any place will do.
const OVERDUE: Duration = Duration::from_millis(30);

/// Keeps audio that was sampled by another clock on ours, frame by frame.
///
/// A sender whose clock is fast sends more than a second of audio in a second. What it gains is
/// taken out in pieces of up to 10 ms, and what a slow one loses is put in, where it is not heard: in
/// silence, else where the voice repeats itself, pitch preserved, a period at a time. At 200 ppm that
/// is once in 25 to 50 s.
#[derive(Debug)]
pub(super) struct Retimer {
    rate: SampleRate,
    drift: DriftEstimator,
    stretcher: Stretcher,
    /// Samples that the sender's clock has gained on ours and that are still in; below 0 where it has
    /// lost some.
    due: f64,
    /// The sender's time up to which they are counted.
    counted: Option<Duration>,
}

/// No clock is off by more, in parts per million: what seems to be is a sender that does not keep
/// real time.
const MAX_PPM: f64 = 1_000.0;

impl Retimer {
    pub(super) fn new(rate: SampleRate) -> Self {
        let (drift, stretcher) = (DriftEstimator::new(), Stretcher::new(rate));
        Self { rate, drift, stretcher, due: 0.0, counted: None }
    }

    /// Takes note of a packet: when it arrived since the call's start, and its time by the sender's
    /// clock since the timeline's first packet.
    pub(super) fn arrived(&mut self, arrival: Duration, media: Duration) {
        self.drift.push(arrival, media);
    }

    /// How fast the sender's clock is, in parts per million; `None` until it is known.
    pub(super) fn ppm(&self) -> Option<f64> {
        self.drift.ppm()
    }

    /// Makes the frame that goes out next longer or shorter where that is due, and answers by how
    /// many samples: below 0 where some were taken out. `media` is its time as for
    /// [`Self::arrived`].
    pub(super) fn retime(&mut self, media: Duration, samples: &mut Vec<i16>) -> i64 {
        self.count(media);
        let amount = self.due.abs() as usize;
        if amount < self.rate.length_of(DUE) {
            self.pass(samples);
            return 0;
        }
        let effort = if amount < self.rate.length_of(OVERDUE) {
            Effort::WhereSimilar
        } else {
            Effort::Always
        };
        let change = if self.due > 0.0 {
            -self.stretcher.shorten(samples, amount, effort).cast_signed()
        } else {
            self.stretcher.lengthen(samples, amount, effort).cast_signed()
        };
        let change = change as i64;
        self.due += change as f64;
        change
    }

    /// Takes note of a frame that goes out as it is.
    pub(super) fn pass(&mut self, samples: &[i16]) {
        if (self.due.abs() as usize) < self.rate.length_of(NEAR) {
            self.stretcher.skim(samples);
        } else {
            self.stretcher.pass(samples);
        }
    }

    /// The next packet begins another timeline of the sender. What is due stays due.
    pub(super) fn restart(&mut self) {
        self.drift.restart();
        self.counted = None;
    }

    /// Counts what the clock has gained up to `media`: what came before it was known all at once,
    /// from then on by what it is at each time, so that a better estimate does not change the past.
    fn count(&mut self, media: Duration) {
        let counted = *self.counted.get_or_insert(media);
        let Some(ppm) = self.drift.ppm().filter(|ppm| ppm.abs() <= MAX_PPM) else { return };
        let passed = media.saturating_sub(counted);
        self.due += ppm * 1e-6 * passed.as_secs_f64() * f64::from(self.rate.hz());
        self.counted = Some(media.max(counted));
    }
}
