//! Changing a stream's sample rate, between any two rates of [`SampleRate`].
//!
//! A polyphase FIR filter of linear phase: the input, thought of at the lowest common multiple of
//! both rates, goes through one low-pass filter, of which only the products are computed that are
//! not zero and only for the samples that are kept (Crochiere and Rabiner, Multirate Digital Signal
//! Processing, section 2.4). `docs/dsp.md` has the figures of both qualities.

mod design;
mod kernel;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use self::design::Bank;
use self::kernel::{Convolve, Cursor, Interpolate};
use super::simd::Level;
use crate::audio::SampleRate;

/// What a [`Resampler`] keeps of a signal, and what it costs. Bands are fractions of the lower of
/// the two rates, in brackets what they are where that is 8 kHz.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Quality {
    /// For conversations: flat within 0.1 dB up to 0.425 (3,400 Hz), images and aliases 60 dB down
    /// from 0.5 (4,000 Hz) on and 70 dB down from 0.575 (4,600 Hz) on. Delay 26 periods of the lower
    /// rate (3.25 ms).
    #[default]
    Voice,
    /// For recordings and measurements: flat within 0.01 dB up to 0.47 (3,760 Hz), images and
    /// aliases 95 dB down from 0.5 (4,000 Hz) on. Delay 112 periods (14 ms).
    High,
}

/// Turns a mono stream into one of another sample rate.
///
/// It keeps its state from call to call: how the stream is cut does not matter, and after `n`
/// samples of input just those output samples have been made that lie before the `n`th. It has
/// heard silence before its first sample.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// None where both rates are the same.
    bank: Option<&'static Bank>,
    level: Level,
    /// The latest input: the filter's memory, then what is being worked on.
    line: Vec<f32>,
    cursor: Cursor,
    /// Output before it is rounded.
    exact: Vec<f32>,
}

impl Resampler {
    /// A resampler from one rate to another.
    ///
    /// The first one of a pair and quality designs their filter, which all later ones share.
    #[must_use]
    pub fn new(from: SampleRate, to: SampleRate, quality: Quality) -> Self {
        Self::with_level(from, to, quality, Level::best())
    }

    /// A resampler that uses no better than that instruction set. The output is the same at each.
    #[must_use]
    pub fn with_level(from: SampleRate, to: SampleRate, quality: Quality, level: Level) -> Self {
        let bank = (from != to).then(|| bank(from, to, quality));
        Self {
            bank,
            level,
            line: vec![0.0; bank.map_or(0, |bank| bank.taps - 1)],
            cursor: Cursor::default(),
            exact: Vec::new(),
        }
    }

    /// Delay of the filter, in output samples: an impulse in input sample 0 has its peak in just
    /// this sample of the output.
    #[must_use]
    pub fn output_delay(&self) -> usize {
        self.bank.map_or(0, |bank| bank.output_delay)
    }

    /// How many samples of output the next `inputs` samples of input will make.
    #[must_use]
    pub fn output_len(&self, inputs: usize) -> usize {
        let Some(bank) = self.bank else { return inputs };
        let next = self.cursor.input * bank.up + self.cursor.phase;
        (inputs * bank.up).saturating_sub(next).div_ceil(bank.down)
    }

    /// Turns `input` into `output`, which is cleared before. Samples are rounded to the nearest,
    /// and limited where the filter overshoots.
    ///
    /// Allocates only while `input` is longer than ever before.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        let Some(bank) = self.bank else {
            output.clear();
            return output.extend_from_slice(input);
        };
        let memory = bank.taps - 1;
        self.line.resize(memory + input.len(), 0.0);
        self.level.map(input, &mut self.line[memory..], kernel::widen);
        let mut exact = std::mem::take(&mut self.exact);
        self.filter(bank, input.len(), &mut exact);
        output.resize(exact.len(), 0);
        self.level.map(&exact, output, kernel::round);
        self.exact = exact;
    }

    /// Turns `input` into `output`, which is cleared before, without rounding. Any scale will do;
    /// nothing is limited.
    ///
    /// Allocates only while `input` is longer than ever before.
    pub fn process_f32(&mut self, input: &[f32], output: &mut Vec<f32>) {
        let Some(bank) = self.bank else {
            output.clear();
            return output.extend_from_slice(input);
        };
        self.line.extend_from_slice(input);
        self.filter(bank, input.len(), output);
    }

    /// Forgets what was heard: the next sample is the first one again.
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.cursor = Cursor::default();
    }

    /// Makes all the output that the last `inputs` samples of the line allow for.
    fn filter(&mut self, bank: &Bank, inputs: usize, output: &mut Vec<f32>) {
        let count = self.output_len(inputs);
        output.resize(count, 0.0);
        let Self { level, line, cursor, .. } = self;
        match (bank.up, bank.down) {
            (2, 1) => level.run(Interpolate::<2> { bank, line, output }),
            (3, 1) => level.run(Interpolate::<3> { bank, line, output }),
            (4, 1) => level.run(Interpolate::<4> { bank, line, output }),
            (6, 1) => level.run(Interpolate::<6> { bank, line, output }),
            _ => {
                let next = level.run(Convolve { bank, line, cursor: *cursor, output });
                *cursor = Cursor { input: next.input - inputs, ..next };
            }
        }
        line.drain(..inputs);
    }
}

/// The filter of a pair of rates, designed when it is first wanted.
fn bank(from: SampleRate, to: SampleRate, quality: Quality) -> &'static Bank {
    const RATES: usize = SampleRate::ALL.len();
    static BANKS: [[[OnceLock<Bank>; 2]; RATES]; RATES] =
        [const { [const { [const { OnceLock::new() }; 2] }; RATES] }; RATES];
    let index = |rate| {
        let place = SampleRate::ALL.iter().position(|&known| known == rate);
        place.expect("every rate is in the list of all")
    };
    BANKS[index(from)][index(to)][quality as usize].get_or_init(|| Bank::new(from, to, quality))
}
