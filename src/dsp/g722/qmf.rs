//! The quadrature mirror filters that part 16 kHz into two bands of 8 kHz and join them again:
//! clauses 3.1 and 4.4 of ITU-T G.722.
//!
//! Both work on a block at a time, behind the filter's memory in one buffer, so that no sample is
//! moved more than once and every output is one product of contiguous sixteen-bit numbers.

use super::band::limit;
use super::tables;

/// Codes in a block: 20 ms.
pub(super) const BLOCK: usize = 160;

/// Samples that the transmit filter remembers.
const TRANSMIT_MEMORY: usize = 22;
/// Values that each half of the receive filter remembers.
const RECEIVE_MEMORY: usize = 11;

/// Coefficients of the higher band: the lower band's, every other one negative.
const MIRROR: [i16; 24] = {
    let mut taps = tables::QMF;
    let mut n = 0;
    while n < taps.len() {
        taps[n] = -taps[n];
        n += 2;
    }
    taps
};
/// Coefficients of even and odd index: the receive filter's halves, the oldest value first.
const RECEIVE: [[i16; 12]; 2] = {
    let mut halves = [[0; 12]; 2];
    let mut n = 0;
    while n < 24 {
        halves[n % 2][n / 2] = tables::QMF[n];
        n += 1;
    }
    halves
};

/// The transmit filter: 16 kHz to two sub-bands.
#[derive(Clone, Debug, Default)]
pub(super) struct Transmit {
    memory: [i16; TRANSMIT_MEMORY],
}

impl Transmit {
    /// Parts at most [`BLOCK`] pairs of samples; answers pairs of the lower and the higher band.
    #[inline(always)]
    pub(super) fn process(&mut self, pairs: &[[i16; 2]], bands: &mut [[i32; 2]; BLOCK]) {
        let mut line = [0; TRANSMIT_MEMORY + 2 * BLOCK];
        let length = 2 * pairs.len();
        line[..TRANSMIT_MEMORY].copy_from_slice(&self.memory);
        line[TRANSMIT_MEMORY..][..length].copy_from_slice(pairs.as_flattened());
        for (bands, n) in bands.iter_mut().zip((0..length).step_by(2)) {
            let window = &line[n..n + 24];
            // 15 bits are left of 16, because both bands are to be added in the decoder.
            *bands = [&tables::QMF, &MIRROR].map(|taps| limit(product(window, taps) >> 14));
        }
        self.memory.copy_from_slice(&line[length..][..TRANSMIT_MEMORY]);
    }
}

/// The receive filter: two sub-bands to 16 kHz.
#[derive(Clone, Debug, Default)]
pub(super) struct Receive {
    /// Differences and sums of the bands.
    memory: [[i16; RECEIVE_MEMORY]; 2],
}

impl Receive {
    /// Joins as many pairs of the lower and the higher band as `pairs` has room for, at most
    /// [`BLOCK`].
    #[inline(always)]
    pub(super) fn process(&mut self, bands: &[[i32; 2]; BLOCK], pairs: &mut [[i16; 2]]) {
        let mut lines = [[0; RECEIVE_MEMORY + BLOCK]; 2];
        for (line, memory) in lines.iter_mut().zip(&self.memory) {
            line[..RECEIVE_MEMORY].copy_from_slice(memory);
        }
        for (n, &[lower, higher]) in bands.iter().enumerate().take(pairs.len()) {
            // 15 bits each: their sum and difference have 16.
            lines[0][RECEIVE_MEMORY + n] = (lower - higher) as i16;
            lines[1][RECEIVE_MEMORY + n] = (lower + higher) as i16;
        }
        for (n, pair) in pairs.iter_mut().enumerate() {
            let sample = |half: usize, taps: &[i16; 12]| {
                let value = product(&lines[half][n..n + 12], taps) >> 11;
                value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
            };
            *pair = [sample(0, &RECEIVE[1]), sample(1, &RECEIVE[0])];
        }
        for (memory, line) in self.memory.iter_mut().zip(&lines) {
            memory.copy_from_slice(&line[pairs.len()..][..RECEIVE_MEMORY]);
        }
    }
}

#[inline(always)]
fn product<const TAPS: usize>(window: &[i16], taps: &[i16; TAPS]) -> i32 {
    window.iter().zip(taps).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}
