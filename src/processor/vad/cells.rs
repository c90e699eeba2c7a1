//! The level of the latest audio in small pieces, to find where speech really began and ended.

use crate::audio::SampleRate;
use crate::dsp::level::energy;
use crate::dsp::vad::NoiseFloor;

/// Pieces that are remembered: 640 ms.
const CELLS: u64 = 64;

/// How far a cell is above the noise that is not noise: 6 dB.
const LOUD: f32 = 4.0;

/// How far before the first frame that is told speech may have begun: 120 ms; and how far into it.
const EARLIER: u64 = 12;
const LATER: u64 = 4;

/// How far before the first frame that is not speech it may have ended: 240 ms.
const ENDED: u64 = 24;

/// Powers of pieces of 10 ms, counted from where the audio began or was taken up again.
#[derive(Clone, Debug)]
pub(super) struct Cells {
    length: u64,
    powers: [f32; CELLS as usize],
    /// Cells that are whole.
    count: u64,
    /// What the next one has.
    energy: u64,
    samples: u64,
    floor: NoiseFloor,
}

impl Cells {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self {
            length: u64::from(rate.hz()) / 100,
            powers: [0.0; CELLS as usize],
            count: 0,
            energy: 0,
            samples: 0,
            floor: NoiseFloor::UNKNOWN,
        }
    }

    /// Takes the next piece of the audio.
    pub(super) fn push(&mut self, mut samples: &[i16]) {
        while !samples.is_empty() {
            let room = (self.length - self.samples) as usize;
            let (head, rest) = samples.split_at(samples.len().min(room));
            self.energy += energy(head);
            self.samples += head.len() as u64;
            if self.samples == self.length {
                let power = self.energy as f32 / self.length as f32;
                self.floor.excess(power);
                self.powers[(self.count % CELLS) as usize] = power;
                self.count += 1;
                (self.energy, self.samples) = (0, 0);
            }
            samples = rest;
        }
    }

    /// Forgets where the audio lies, but not how loud the noise is.
    pub(super) fn restart(&mut self) {
        (self.count, self.energy, self.samples) = (0, 0, 0);
    }

    /// Where speech began of which the frame from `at` on is the first that is told.
    pub(super) fn begin(&self, at: u64) -> u64 {
        let first = at / self.length;
        if !self.is_loud(first) {
            let later = (first + 1..first + 1 + LATER).find(|&cell| self.is_loud(cell));
            return later.map_or(at, |cell| cell * self.length);
        }
        let earliest = first.saturating_sub(EARLIER);
        let quiet = (earliest..first).rev().find(|&cell| !self.is_loud(cell));
        quiet.map_or(earliest, |cell| cell + 1) * self.length
    }

    /// Where speech ended of which the frame before `at` is the last that is told.
    pub(super) fn end(&self, at: u64) -> u64 {
        let next = at / self.length;
        if self.is_loud(next) {
            let quiet = (next..self.count).find(|&cell| !self.is_loud(cell));
            return quiet.unwrap_or(self.count) * self.length;
        }
        let loud = (next.saturating_sub(ENDED)..next).rev().find(|&cell| self.is_loud(cell));
        loud.map_or(at, |cell| (cell + 1) * self.length)
    }

    /// The mean power from one place to another, as far as it is remembered.
    pub(super) fn power(&self, begin: u64, end: u64) -> f32 {
        let cells = begin / self.length..end.div_ceil(self.length).min(self.count);
        let (mut sum, mut count) = (0.0, 0.0);
        for power in cells.filter_map(|cell| self.remembered(cell)) {
            sum += power;
            count += 1.0;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// The power of the noise.
    pub(super) fn noise(&self) -> f32 {
        self.floor.power()
    }

    /// Whether that power is so far above the noise that it is not noise.
    pub(super) fn is_above_noise(&self, power: f32) -> bool {
        power > LOUD * self.floor.power()
    }

    fn is_loud(&self, cell: u64) -> bool {
        self.remembered(cell).is_some_and(|power| self.is_above_noise(power))
    }

    fn remembered(&self, cell: u64) -> Option<f32> {
        let is_there = cell < self.count && cell + CELLS >= self.count;
        is_there.then(|| self.powers[(cell % CELLS) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;

    /// A second of noise that is hardly heard, half a second that is, and the first again.
    fn cells() -> Cells {
        let mut cells = Cells::new(RATE);
        for (amplitude, count) in [(30, 800), (1_000, 400), (30, 800)] {
            let samples: Vec<i16> = (0..count).map(|n| amplitude * (1 - n % 2 * 2)).collect();
            // In pieces that are no cells.
            samples.chunks(70).for_each(|piece| cells.push(piece));
        }
        cells
    }

    #[test]
    fn the_begin_is_where_it_gets_loud_wherever_a_frame_of_it_was_told() {
        let cells = cells();
        // A frame that begins before it, in it, and so late that it cannot be the same.
        for at in [600, 700, 800, 900, 1_190] {
            assert_eq!(cells.begin(at), 800, "told from {at} on");
        }
        assert_eq!(cells.begin(400), 400);
    }

    #[test]
    fn the_end_is_where_it_gets_quiet() {
        let cells = cells();
        for at in [1_000, 1_200, 1_300, 2_000] {
            assert_eq!(cells.end(at), 1_200, "told up to {at}");
        }
    }

    #[test]
    fn what_is_forgotten_moves_nothing() {
        let mut cells = cells();
        cells.push(&[0; 8_000]);
        assert_eq!((cells.begin(900), cells.end(1_200)), (900, 1_200));
        cells.restart();
        assert_eq!((cells.begin(900), cells.end(1_200)), (900, 1_200));
    }

    #[test]
    fn the_power_is_that_of_the_cells_that_are_touched() {
        assert_eq!(cells().power(880, 1_100), 1e6);
        assert_eq!(cells().power(100_000, 100_100), 0.0);
    }
}
