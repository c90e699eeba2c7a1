//! Changing a stream's sample rate, between any two rates of [`SampleRate`].
//!
//! A polyphase FIR filter of linear phase: the input, thought of at the lowest common multiple of
//! both rates, goes through one low-pass filter, of which only the products are computed that are
//! not zero and only for the samples that are kept (Crochiere and Rabiner, Multirate Digital Signal
//! Processing, section 2.4). `docs/dsp.md` has the figures of both qualities.

mod design;
mod kernel;
mod lanes;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::mem;
use std::sync::OnceLock;

use dasp::Sample as _;

use self::design::Bank;
use self::kernel::{Cursor, Deal, Interleave, OVERRUN, Rows, Singly};
use super::simd::Level;
use crate::audio::SampleRate;

/// Input that is worked on at a time, in samples.
const BLOCK: usize = 960;

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
    /// aliases 95 dB down from 0.5 (4,000 Hz) on. Delay 100 periods (12.5 ms).
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
    /// The latest input, as much as the next output may need.
    memory: Box<[i16]>,
    cursor: Cursor,
}

/// What a thread works with while it resamples, whichever call it is for: so a call's own state is
/// small, and this stays in the cache.
#[derive(Default)]
struct Workspace {
    line: Vec<i16>,
    planes: Vec<[i16; 2]>,
    rows: Vec<i16>,
    narrow: Vec<i16>,
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
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
        let memory = vec![0; bank.map_or(0, |bank| bank.taps - 1)].into_boxed_slice();
        Self { bank, level, memory, cursor: Cursor::default() }
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
    /// Allocates where `output` has too little room, and where this thread has not yet resampled so
    /// much between such rates.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        output.clear();
        let Some(bank) = self.bank else { return output.extend_from_slice(input) };
        output.resize(self.output_len(input.len()), 0);
        let mut output = &mut output[..];
        WORKSPACE.with_borrow_mut(|workspace| {
            for input in input.chunks(BLOCK) {
                let (made, rest) =
                    mem::take(&mut output).split_at_mut(self.output_len(input.len()));
                self.filter(bank, input, workspace, made);
                output = rest;
            }
        });
    }

    /// The same with output in floats of which 1 is full scale, as neural networks take them.
    pub fn process_to_f32(&mut self, input: &[i16], output: &mut Vec<f32>) {
        let mut samples = WORKSPACE.with_borrow_mut(|workspace| mem::take(&mut workspace.narrow));
        self.process(input, &mut samples);
        output.clear();
        output.extend(samples.iter().map(|sample| sample.to_sample::<f32>()));
        WORKSPACE.with_borrow_mut(|workspace| workspace.narrow = samples);
    }

    /// Forgets what was heard: the next sample is the first one again.
    pub fn reset(&mut self) {
        self.memory.fill(0);
        self.cursor = Cursor::default();
    }

    /// Makes all the output that the input allows for.
    fn filter(
        &mut self,
        bank: &Bank,
        input: &[i16],
        workspace: &mut Workspace,
        output: &mut [i16],
    ) {
        let Self { level, memory, cursor, .. } = self;
        let Workspace { line, planes, rows, .. } = workspace;
        let outputs = output.len();
        line.clear();
        line.extend_from_slice(memory);
        line.extend_from_slice(input);
        if bank.has_rows() {
            let mut parities = [false; 2];
            for row in 0..bank.up.min(outputs) {
                parities[cursor.after(row * bank.down, bank).input % 2] = true;
            }
            grow(planes, bank.down * bank.plane_len);
            let planes = &mut planes[..bank.down * bank.plane_len];
            level.run(Deal { bank, line, parities, planes });
            let row_len = outputs.div_ceil(bank.up) + OVERRUN;
            grow(rows, bank.up * row_len);
            let rows = &mut rows[..bank.up * row_len];
            level.run(Rows { bank, planes, cursor: *cursor, outputs, rows, row_len });
            level.run(Interleave { rows, row_len, up: bank.up, output });
        } else {
            level.run(Singly { bank, line, cursor: *cursor, output });
        }
        let next = cursor.after(outputs * bank.down, bank);
        *cursor = Cursor { input: next.input - input.len(), ..next };
        memory.copy_from_slice(&line[input.len()..]);
    }
}

/// Makes room for `len` values, whatever they are.
fn grow<T: Clone + Default>(values: &mut Vec<T>, len: usize) {
    if values.len() < len {
        values.resize(len, T::default());
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
