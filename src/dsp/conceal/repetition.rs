//! What fills a gap: the last period of a sound, over and over, fainter and fainter.

use super::super::level::energy;
use super::super::tone::to_sample;
use super::history::History;
use super::pitch;
use super::ringing::Ringing;
use crate::audio::SampleRate;

/// When the fade ends, in ms.
const FADE_MS: usize = 100;

/// How long the difference between the repetition and the sound before it may ring, in ms.
const RINGING_MS: usize = 5;

/// How much of the sound tells its resonances, in ms.
const RESONANCE_MS: usize = 20;

/// For so many periods a sound goes on getting fainter as it did before.
const DECAYING_PERIODS: usize = 2;

/// The sound of a gap, and of its continuation behind it.
#[derive(Clone, Debug)]
pub(super) struct Repetition {
    rate: SampleRate,
    /// What was heard before the gap.
    sound: Box<[i16]>,
    /// Highest magnitude of it.
    peak: f32,
    /// In samples.
    period: usize,
    /// Samples at the period's end that are cross-faded, so that its beginning follows.
    join: usize,
    /// Where in the period the next sample is.
    position: usize,
    ringing: Ringing,
    /// How loud the sound still is by its own decay, and how that changes per sample.
    decay: f32,
    decay_step: f32,
    /// Samples so far, up to the end of the fade.
    done: usize,
}

impl Repetition {
    /// Silence, until it begins.
    pub(super) fn new(rate: SampleRate) -> Self {
        Self {
            rate,
            sound: vec![0; History::samples(rate)].into(),
            peak: 0.0,
            period: 1,
            join: 0,
            position: 0,
            ringing: Ringing::new(),
            decay: 1.0,
            decay_step: 1.0,
            done: 0,
        }
    }

    /// Begins to go on where `history` ends.
    pub(super) fn begin(&mut self, history: &History) {
        history.copy_to(&mut self.sound);
        let sound = &self.sound;
        let peak = sound.iter().map(|sample| sample.unsigned_abs()).max();
        self.peak = f32::from(peak.unwrap_or_default());
        self.period = pitch::period(sound, self.rate);
        self.join = self.period / 4;
        self.position = 0;
        self.done = 0;

        let end = sound.len() - 1;
        let resonant = &sound[sound.len() - self.samples_in(RESONANCE_MS)..];
        let difference = |n| f32::from(sound[end - n]) - f32::from(sound[end - n - self.period]);
        self.ringing.begin(resonant, self.samples_in(RINGING_MS), difference);

        let (before, last) = sound[sound.len() - 2 * self.period..].split_at(self.period);
        let ratio = (energy(last) as f32 / energy(before).max(1) as f32).sqrt();
        self.decay = 1.0;
        self.decay_step = ratio.min(1.0).powf(1.0 / self.period as f32);
    }

    /// Fills `samples` with what comes next.
    pub(super) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = to_sample(f64::from(self.next()));
        }
    }

    /// The next sample.
    pub(super) fn next(&mut self) -> f32 {
        let fade = self.samples_in(FADE_MS);
        if self.done >= fade {
            return 0.0;
        }
        let value = (self.repeated() + self.ringing.next()).clamp(-self.peak, self.peak);
        let gain = self.decay * (1.0 - self.done as f32 / fade as f32);
        self.done += 1;
        if self.done <= DECAYING_PERIODS * self.period {
            self.decay *= self.decay_step;
        }
        self.position = if self.position + 1 == self.period { 0 } else { self.position + 1 };
        value * gain
    }

    /// The period's present sample; at its end cross-faded with what leads to its beginning.
    fn repeated(&self) -> f32 {
        let at = self.sound.len() - self.period + self.position;
        let value = f32::from(self.sound[at]);
        let left = self.period - self.position;
        if left > self.join {
            return value;
        }
        let leading = f32::from(self.sound[at - self.period]);
        let share = (self.join + 1 - left) as f32 / (self.join + 1) as f32;
        value + (leading - value) * share
    }

    const fn samples_in(&self, ms: usize) -> usize {
        self.rate.hz() as usize * ms / 1_000
    }
}
