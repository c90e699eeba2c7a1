//! Longer and shorter frames of the same pitch, for clocks that differ.
//!
//! One frame at a time and without look-ahead: the signal goes on at another place that resembles
//! the one where it would have, with a fade between the two, as in WSOLA (Verhelst, Roelands, "An
//! overlap-add technique based on waveform similarity (WSOLA) for high quality time-scale
//! modification of speech", ICASSP 1993). In voiced speech that place is a whole number of pitch
//! periods away.

use super::level::energy;
use super::simd::{Kernel, Level};
use crate::audio::SampleRate;

/// The most that a frame is shortened or lengthened by, in samples per second of 15 ms: a period of
/// 67 Hz, or some of a higher voice.
const MAX_SHIFT_PER_SECOND: u32 = 66;

/// The least shift where there is something to hear: 2.5 ms, a period of 400 Hz. Less is no period
/// of most voices.
const LEAST_SHIFT_PER_SECOND: u32 = 400;

/// The least of a frame that a fade needs: 2 ms.
const LEAST_FADE_PER_SECOND: u32 = 500;

/// What a fade lasts where the shift is not longer: 5 ms.
const FADE_PER_SECOND: u32 = 200;

/// What is remembered of what went out: 20 ms.
const TAIL_PER_SECOND: u32 = 50;

/// How much of a frame's beginning is looked at: 30 ms, the longest shift and a fade as long.
const HEAD_PER_SECOND: u32 = 33;

/// How alike two places must be for a joint that is not heard: 1 less the energy of their difference
/// over the sum of theirs. It is their correlation where they are equally loud, and less where not.
/// At 0.9 the level falls by 0.2 dB in the middle of the fade, 10 log₁₀ ((1 + 0.9)/2).
const LEAST_SIMILARITY: f64 = 0.9;

/// Silence for certain: the mean square of −64 dBov.
const SILENCE: f64 = 427.0;

/// Never silence: from −46 dBov on, whatever the noise floor.
const SOUND: f64 = 26_971.0;

/// Above the noise floor by this much, as a ratio of mean squares, is no silence: 6 dB.
const ABOVE_FLOOR: f64 = 4.0;

/// How fast the noise floor rises again, per second: by 3 dB, about doubling.
const FLOOR_RISE: f64 = 0.7;

/// The least rate at which places are compared at first, in Hz.
const COARSE_HZ: u32 = 8_000;

/// The samples of tail and head at the coarse rate: 50.4 ms of at most 8,820 Hz.
const COARSE_SAMPLES: usize = 448;

/// Whether a frame's length is changed at any price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// Only where the joint is not heard. Either what is there and what went out before is silence:
    /// below −64 dBov, or less than 6 dB above the noise floor of the last seconds and below
    /// −46 dBov. Or both sides of the joint are alike to 0.9 (the energy of their difference is at
    /// most a tenth of the sum of theirs), as in steady voiced speech.
    WhereSimilar,
    /// At the best place there is.
    Always,
}

/// Changes the length of frames of one stream; see the [module](self).
///
/// Every frame of the stream has to go through one of its functions, in order. Frames of 10 to 60 ms
/// are what it is made for; of longer ones only the first 30 ms are looked at, and those of less
/// than 4 ms go out as they are. Allocates with the first frame that it remembers or is to change,
/// and for a `Vec` without room.
#[derive(Clone, Debug)]
pub struct Stretcher {
    rate: SampleRate,
    /// The last 20 ms that went out; while a frame is worked at, its first 30 ms behind that. Empty
    /// before the first frame that is remembered.
    context: Vec<i16>,
    /// Samples of the tail, and how many of them, at its end, are remembered.
    tail: usize,
    remembered: usize,
    /// Mean square of the noise floor, at least a quarter of [`SILENCE`].
    floor: f64,
}

impl Stretcher {
    /// A stretcher of a stream at `rate`, silent so far.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        let tail = (rate.hz() / TAIL_PER_SECOND) as usize;
        let floor = SILENCE / ABOVE_FLOOR;
        Self { rate, context: Vec::new(), tail, remembered: tail, floor }
    }

    /// Takes notice of a frame that goes out as it is, and does not remember it: cheaper than
    /// [`Self::pass`], but no frame is changed before 20 ms have been remembered again.
    #[inline]
    pub fn skim(&mut self, samples: &[i16]) {
        self.follow_floor(samples);
        self.remembered = 0;
    }

    /// Takes notice of a frame that goes out as it is.
    #[inline]
    pub fn pass(&mut self, samples: &[i16]) {
        self.follow_floor(samples);
        self.remembered = self.tail.min(self.remembered + samples.len());
        self.make_room();
        if samples.len() >= self.tail {
            self.context.copy_from_slice(&samples[samples.len() - self.tail..]);
        } else {
            self.context.copy_within(samples.len().., 0);
            self.context[self.tail - samples.len()..].copy_from_slice(samples);
        }
    }

    /// Takes up to `at_most` samples out of a frame and answers how many: 0 where no place was good
    /// enough, and where `at_most` is less than a period of the voice. Never more than 15 ms; of
    /// silence it is all that is asked for, up to half of the frame.
    pub fn shorten(&mut self, samples: &mut Vec<i16>, at_most: usize, effort: Effort) -> usize {
        let room = samples.len().saturating_sub(self.samples_of(LEAST_FADE_PER_SECOND));
        let shift = self.look(samples, at_most.min(room), true, effort);
        if shift > 0 {
            let fade = self.fade(shift).min(samples.len() - shift);
            let (from, to) = (self.tail, self.tail + shift);
            cross_fade(&self.context[from..from + fade], &self.context[to..], samples);
            samples.copy_within(shift + fade.., fade);
            samples.truncate(samples.len() - shift);
        }
        self.done(samples);
        shift
    }

    /// Puts up to `at_most` samples into a frame and answers how many, as [`Self::shorten`] does.
    pub fn lengthen(&mut self, samples: &mut Vec<i16>, at_most: usize, effort: Effort) -> usize {
        let shift = self.look(samples, at_most, false, effort);
        if shift > 0 {
            let length = samples.len();
            let fade = self.fade(shift).min(length);
            let (from, to) = (self.tail, self.tail - shift);
            samples.resize(length + shift, 0);
            samples.copy_within(..length, shift);
            cross_fade(&self.context[from..from + fade], &self.context[to..], samples);
            if fade < shift {
                samples[fade..shift].copy_from_slice(&self.context[to + fade..from]);
            }
        }
        self.done(samples);
        shift
    }

    /// How long a fade may be.
    fn fade(&self, shift: usize) -> usize {
        shift.max(self.samples_of(FADE_PER_SECOND))
    }

    fn samples_of(&self, per_second: u32) -> usize {
        (self.rate.hz() / per_second) as usize
    }

    /// Takes a frame's beginning behind the tail, and finds by how many samples to shift it: up to
    /// `at_most`, 0 where no shift will do.
    fn look(&mut self, samples: &[i16], at_most: usize, ahead: bool, effort: Effort) -> usize {
        if self.remembered < self.tail {
            return 0;
        }
        self.make_room();
        let head = samples.len().min(self.samples_of(HEAD_PER_SECOND));
        self.context.extend_from_slice(&samples[..head]);
        if samples.len() < 2 * self.samples_of(LEAST_FADE_PER_SECOND) {
            return 0;
        }
        let at_most = at_most.min(self.samples_of(MAX_SHIFT_PER_SECOND));
        if self.is_silent() {
            return at_most.min(samples.len() / 2);
        }
        let least = self.samples_of(LEAST_SHIFT_PER_SECOND);
        if at_most < least {
            return if effort == Effort::Always { at_most } else { 0 };
        }
        let places = Places { context: &self.context, tail: self.tail, ahead, rate: self.rate };
        let (shift, similarity) = places.best(least, at_most);
        let good = effort == Effort::Always || similarity >= LEAST_SIMILARITY;
        if good { shift } else { 0 }
    }

    /// Allocates the context, whose tail is silence.
    fn make_room(&mut self) {
        if self.context.is_empty() {
            self.context.reserve_exact(self.tail + self.samples_of(HEAD_PER_SECOND));
            self.context.resize(self.tail, 0);
        }
    }

    /// The frame goes out as it is now.
    fn done(&mut self, samples: &[i16]) {
        self.context.truncate(self.tail);
        self.pass(samples);
    }

    /// Whether both the tail and the frame's beginning are silence.
    fn is_silent(&self) -> bool {
        let limit = (self.floor * ABOVE_FLOOR).min(SOUND);
        let (tail, head) = self.context.split_at(self.tail);
        [tail, head].into_iter().all(|part| mean_square(part) < limit)
    }

    #[inline]
    fn follow_floor(&mut self, samples: &[i16]) {
        let rise = FLOOR_RISE * samples.len() as f64 / f64::from(self.rate.hz());
        let risen = self.floor * (1.0 + rise);
        if !samples.is_empty() {
            self.floor = mean_square(samples).max(SILENCE / ABOVE_FLOOR).min(risen);
        }
    }
}

fn mean_square(samples: &[i16]) -> f64 {
    energy(samples) as f64 / samples.len().max(1) as f64
}

/// Fades from one signal to the other, over the length of `from`.
fn cross_fade(from: &[i16], to: &[i16], out: &mut [i16]) {
    let length = from.len();
    // The weights lie between the ends, at which one signal would be alone: 16 bits of fraction.
    let step = (1 << 16) as f32 / (length + 1) as f32;
    for (n, (out, (&from, &to))) in (1_u16..).zip(out.iter_mut().zip(from.iter().zip(to))) {
        let weight = (step * f32::from(n)) as i32;
        let (from, to) = (i32::from(from), i32::from(to));
        // Between −2^31 and 2^31 − 2^16, for the weights add up to 2^16: room for the rounding.
        let sum = from * ((1 << 16) - weight) + to * weight;
        *out = ((sum + (1 << 15)) >> 16) as i16;
    }
}

/// The places that a frame may go on at.
struct Places<'a> {
    /// The tail and the frame's beginning.
    context: &'a [i16],
    tail: usize,
    /// Whether the other place is behind the frame's beginning, to shorten, or before it.
    ahead: bool,
    rate: SampleRate,
}

impl Places<'_> {
    /// The best shift of `least..=most` and how alike the two places are: found at the coarse rate, and
    /// then, among its neighbours, at the full one.
    fn best(&self, least: usize, most: usize) -> (usize, f64) {
        let divisor = (self.rate.hz() / COARSE_HZ).max(1).cast_signed();
        if divisor == 1 {
            return self.best_of(least, most);
        }
        let factor = divisor as usize;
        let mut coarse = [0; COARSE_SAMPLES];
        // A whole number of coarse samples ends where the frame begins.
        let skipped = self.tail % factor;
        let averages = self.context[skipped..].chunks_exact(factor).map(|chunk| {
            let sum: i32 = chunk.iter().map(|&sample| i32::from(sample)).sum();
            (sum / divisor) as i16
        });
        let mut length = 0;
        for (to, average) in coarse.iter_mut().zip(averages) {
            *to = average;
            length += 1;
        }
        let tail = self.tail / factor;
        let places = Places { context: &coarse[..length], tail, ..*self };
        let (near, _) = places.best_of(least.div_ceil(factor), most / factor);
        let centre = near * factor;
        self.best_of((centre + 1 - factor).max(least), (centre + factor - 1).min(most))
    }

    fn best_of(&self, least: usize, most: usize) -> (usize, f64) {
        let mut best = (least, f64::NEG_INFINITY);
        for shift in least..=most {
            let similarity = self.similarity(shift);
            if similarity > best.1 {
                best = (shift, similarity);
            }
        }
        best
    }

    /// How alike the two places are over the fade, and over up to a quarter of the tail before it.
    fn similarity(&self, shift: usize) -> f64 {
        let head = self.context.len() - self.tail;
        let (from, to) = if self.ahead {
            let before = self.tail / 4;
            let after = shift.max(self.tail / 4).min(head - shift);
            let from = self.tail - before..self.tail + after;
            (from.clone(), from.start + shift..from.end + shift)
        } else {
            let before = (self.tail / 4).min(self.tail - shift);
            let after = shift.max(self.tail / 4).min(head);
            let from = self.tail - before..self.tail + after;
            (from.clone(), from.start - shift..from.end - shift)
        };
        let (from, to) = (&self.context[from], &self.context[to]);
        let sum = energy(from) + energy(to);
        if sum == 0 {
            return 1.0;
        }
        2.0 * Level::best().run(Product { from, to }) as f64 / sum as f64
    }
}

/// Sum of the products of two signals, exactly.
struct Product<'a> {
    from: &'a [i16],
    to: &'a [i16],
}

impl Kernel for Product<'_> {
    type Output = i64;

    #[inline(always)]
    fn run(self) -> i64 {
        // Both halves of a product are summed apart, in 32 bits, as in `level::energy`.
        const BLOCK: usize = 16_384;
        let mut sum = 0;
        for (from, to) in self.from.chunks(BLOCK).zip(self.to.chunks(BLOCK)) {
            let (mut high, mut low) = (0_i32, 0_i32);
            for (&from, &to) in from.iter().zip(to) {
                let product = i32::from(from) * i32::from(to);
                high += product >> 16;
                low += product & 0xffff;
            }
            sum += (i64::from(high) << 16) + i64::from(low);
        }
        sum
    }
}

#[cfg(test)]
mod tests;
