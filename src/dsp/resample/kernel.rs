//! The resampler's loops. Each output sample is one sum of products, in whole numbers, so that the
//! order of the products does not matter; what differs is which of them are taken side by side.

use super::design::{Bank, DOT, SUM_BITS};
use super::lanes::{Lanes, Portable};
use crate::dsp::simd::Kernel;

/// Where the next output lies: input samples ahead of the line's first window, and the phase there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cursor {
    pub(super) input: usize,
    pub(super) phase: usize,
}

impl Cursor {
    /// The cursor so many ticks later.
    #[inline(always)]
    pub(super) fn after(self, ticks: usize, bank: &Bank) -> Self {
        let phase = self.phase + ticks;
        Self { input: self.input + phase / bank.up, phase: phase % bank.up }
    }
}

/// One output after the other, for banks of many phases.
pub(super) struct Singly<'a> {
    pub(super) bank: &'a Bank,
    /// The filter's memory, then the input.
    pub(super) line: &'a [i16],
    pub(super) cursor: Cursor,
    pub(super) output: &'a mut [i16],
}

impl Singly<'_> {
    #[inline(always)]
    fn run_with<L: Lanes>(self) {
        let Self { bank, line, mut cursor, output } = self;
        let step = Cursor::default().after(bank.down, bank);
        for sample in output {
            let window = &line[cursor.input..][..bank.taps];
            let mut total = 0;
            for layer in &bank.layers {
                let taps = layer.phase(cursor.phase);
                let mut start = 0;
                for &end in &layer.segments {
                    total += dot::<L>(&taps[start..end], &window[start..end]) >> layer.shift;
                    start = end;
                }
            }
            *sample = to_i16(total);
            cursor.input += step.input;
            cursor.phase += step.phase;
            if cursor.phase >= bank.up {
                cursor.phase -= bank.up;
                cursor.input += 1;
            }
        }
    }
}

/// Sum of the products of two slices of the same length, a multiple of [`DOT`].
#[inline(always)]
fn dot<L: Lanes>(a: &[i16], b: &[i16]) -> i32 {
    let mut sums = L::zero();
    for (a, b) in a.as_chunks::<DOT>().0.iter().zip(b.as_chunks::<DOT>().0) {
        let (a, b) = (a.as_chunks::<2>().0, b.as_chunks::<2>().0);
        for (a, b) in a.chunks_exact(L::COUNT).zip(b.chunks_exact(L::COUNT)) {
            // SAFETY: both have so many pairs.
            let (a, b) = unsafe { (L::load(a.as_ptr()), L::load(b.as_ptr())) };
            sums = sums.plus_products(a, b);
        }
    }
    sums.total()
}

/// Registers of samples that [`Rows`] makes at a time: with 16 samples each, a frame of 20 ms at 8 kHz.
const WIDE: usize = 10;

/// Most outputs that [`Rows`] makes beyond the ones that are wanted.
pub(super) const OVERRUN: usize = 16;

/// All outputs of one phase side by side, phase by phase. Their windows begin `down` samples after
/// each other; so that a register can be loaded with samples of many windows, the line is dealt out
/// to planes first ([`Deal`]).
pub(super) struct Rows<'a> {
    pub(super) bank: &'a Bank,
    pub(super) planes: &'a [[i16; 2]],
    pub(super) cursor: Cursor,
    pub(super) outputs: usize,
    /// Row after row, each of `row_len` samples.
    pub(super) rows: &'a mut [i16],
    /// Outputs of one row, and [`OVERRUN`].
    pub(super) row_len: usize,
}

impl Rows<'_> {
    #[inline(always)]
    fn run_with<L: Lanes>(self) {
        let Self { bank, planes, cursor, outputs, rows, row_len } = self;
        assert!(
            planes.len() >= bank.down * bank.plane_len,
            "as many planes as windows may begin in"
        );
        for (row, samples) in rows.chunks_exact_mut(row_len).enumerate() {
            let Some(wanted) = outputs.checked_sub(row) else { break };
            let first = cursor.after(row * bank.down, bank);
            let registers = wanted.div_ceil(bank.up).div_ceil(L::COUNT);
            let places = &bank.places[first.input % bank.down];
            let mut start = first.input / bank.down;
            assert!(
                start + registers * L::COUNT <= bank.plane_len - bank.taps,
                "the planes hold all windows"
            );
            let samples = &mut samples[..registers * L::COUNT];
            let (wide, rest) = samples.split_at_mut(registers / WIDE * WIDE * L::COUNT);
            for samples in wide.chunks_exact_mut(WIDE * L::COUNT) {
                // SAFETY: a place lies in one of `down` planes, in the first `taps` pairs of it; that
                // the planes are there, and that the windows end in them, is asserted above.
                unsafe { products::<L, WIDE>(bank, first.phase, planes, places, start, samples) };
                start += WIDE * L::COUNT;
            }
            for samples in rest.chunks_exact_mut(L::COUNT) {
                // SAFETY: as above.
                unsafe { products::<L, 1>(bank, first.phase, planes, places, start, samples) };
                start += L::COUNT;
            }
        }
    }
}

/// Makes `REGISTERS` registers of samples of one phase, whose windows begin at `start` and on.
///
/// # Safety
/// So many pairs lie behind each of the places that are `start` further on.
#[inline(always)]
unsafe fn products<L: Lanes, const REGISTERS: usize>(
    bank: &Bank,
    phase: usize,
    planes: &[[i16; 2]],
    places: &[usize],
    start: usize,
    samples: &mut [i16],
) {
    let mut totals = [L::zero(); REGISTERS];
    for layer in &bank.layers {
        let taps = layer.phase(phase).as_chunks::<2>().0;
        let mut first = 0;
        for &end in &layer.segments {
            let pairs = first..end / 2;
            first = end / 2;
            let mut parts = [L::zero(); REGISTERS];
            for (&taps, &place) in taps[pairs.clone()].iter().zip(&places[pairs]) {
                let taps = L::splat(taps);
                // SAFETY: the caller promises as much.
                let pairs = unsafe { planes.as_ptr().add(place + start) };
                for (n, part) in parts.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let pairs = unsafe { L::load(pairs.add(n * L::COUNT)) };
                    *part = part.plus_products(pairs, taps);
                }
            }
            for (total, part) in totals.iter_mut().zip(parts) {
                *total = total.plus_shifted(part, layer.shift);
            }
        }
    }
    for (total, samples) in totals.into_iter().zip(samples.chunks_exact_mut(L::COUNT)) {
        total.each(|n, sum| samples[n] = to_i16(sum));
    }
}

macro_rules! kernel_of_lanes {
    ($kernel:ident) => {
        impl Kernel for $kernel<'_> {
            type Output = ();

            #[inline(always)]
            fn run(self) {
                self.run_with::<Portable>();
            }

            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn run_avx2(self) {
                self.run_with::<super::lanes::Avx2>();
            }

            #[cfg(target_arch = "x86_64")]
            #[inline(always)]
            unsafe fn run_avx512(self) {
                self.run_with::<super::lanes::Avx512>();
            }
        }
    };
}

kernel_of_lanes!(Singly);
kernel_of_lanes!(Rows);

/// Deals a line out to `down` planes, every sample together with the one behind it: pair `n` of
/// plane `r` is samples `down · n + r` and `down · n + r + 1`.
pub(super) struct Deal<'a> {
    pub(super) bank: &'a Bank,
    pub(super) line: &'a [i16],
    /// Whether windows begin at even samples, and at odd ones: with an even `down` the planes of the
    /// others are not looked at.
    pub(super) parities: [bool; 2],
    pub(super) planes: &'a mut [[i16; 2]],
}

impl Kernel for Deal<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { bank, line, parities, planes } = self;
        for (r, plane) in planes.chunks_exact_mut(bank.plane_len).enumerate() {
            if bank.down.is_multiple_of(2) && !parities[r % 2] {
                continue;
            }
            let line = line.get(r..).unwrap_or_default();
            match bank.down {
                1 => {
                    let next = line.get(1..).unwrap_or_default();
                    for ((pair, &first), &second) in plane.iter_mut().zip(line).zip(next) {
                        *pair = [first, second];
                    }
                }
                2 => deal::<2>(line, plane),
                3 => deal::<3>(line, plane),
                4 => deal::<4>(line, plane),
                6 => deal::<6>(line, plane),
                down => {
                    for (pair, window) in plane.iter_mut().zip(line.chunks(down)) {
                        if let [first, second, ..] = window {
                            *pair = [*first, *second];
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn deal<const DOWN: usize>(line: &[i16], plane: &mut [[i16; 2]]) {
    let (windows, rest) = line.as_chunks::<DOWN>();
    for (pair, window) in plane.iter_mut().zip(windows) {
        *pair = [window[0], window[1]];
    }
    if let [first, second, ..] = rest {
        plane[windows.len()] = [*first, *second];
    }
}

/// Puts the samples of [`Rows`] into their order.
pub(super) struct Interleave<'a> {
    pub(super) rows: &'a [i16],
    pub(super) row_len: usize,
    pub(super) up: usize,
    pub(super) output: &'a mut [i16],
}

impl Kernel for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { rows, row_len, up, output } = self;
        match up {
            1 => output.copy_from_slice(&rows[..output.len()]),
            2 => interleave::<2>(rows, row_len, output),
            3 => interleave::<3>(rows, row_len, output),
            6 => interleave::<6>(rows, row_len, output),
            _ => {
                for (row, values) in rows.chunks_exact(row_len).enumerate() {
                    for (sample, value) in output.iter_mut().skip(row).step_by(up).zip(values) {
                        *sample = *value;
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn interleave<const UP: usize>(rows: &[i16], row_len: usize, output: &mut [i16]) {
    let (groups, rest) = output.as_chunks_mut::<UP>();
    let mut row = rows.chunks_exact(row_len);
    let rows: [&[i16]; UP] =
        std::array::from_fn(|_| row.next().map_or(&[][..], |row| &row[..=groups.len()]));
    for (n, group) in groups.iter_mut().enumerate() {
        for (sample, row) in group.iter_mut().zip(rows) {
            *sample = row[n];
        }
    }
    for (sample, row) in rest.iter_mut().zip(rows) {
        *sample = row[groups.len()];
    }
}

/// A sum as the nearest 16-bit sample, limited to the range.
#[inline(always)]
fn to_i16(sum: i32) -> i16 {
    let rounded = (sum + (1 << (SUM_BITS - 1))) >> SUM_BITS;
    rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
