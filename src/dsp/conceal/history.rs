//! What was heard last.

use crate::audio::SampleRate;
use crate::dsp::prefetch::prefetch;

/// The last samples of a stream: two of the longest periods, so that the last one can be compared
/// with the one before.
#[derive(Clone, Debug)]
pub(super) struct History {
    ring: Box<[i16]>,
    /// Where the oldest sample stands.
    oldest: usize,
}

impl History {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self { ring: vec![0; Self::samples(rate)].into(), oldest: 0 }
    }

    /// How many samples it holds: 30 ms.
    pub(super) const fn samples(rate: SampleRate) -> usize {
        2 * super::pitch::longest(rate)
    }

    /// Asks for the memory of the samples.
    pub(super) fn prefetch(&self) {
        prefetch(&self.ring[..]);
    }

    /// Adds what went out.
    #[inline]
    pub(super) fn push(&mut self, samples: &[i16]) {
        let length = self.ring.len();
        let last = &samples[samples.len().saturating_sub(length)..];
        let (to_the_end, rest) = last.split_at(last.len().min(length - self.oldest));
        self.ring[self.oldest..self.oldest + to_the_end.len()].copy_from_slice(to_the_end);
        self.ring[..rest.len()].copy_from_slice(rest);
        self.oldest += last.len();
        if self.oldest >= length {
            self.oldest -= length;
        }
    }

    /// Copies all into `to`, which is as long, the oldest first.
    pub(super) fn copy_to(&self, to: &mut [i16]) {
        let (new, old) = self.ring.split_at(self.oldest);
        to[..old.len()].copy_from_slice(old);
        to[old.len()..].copy_from_slice(new);
    }

    pub(super) fn clear(&mut self) {
        self.ring.fill(0);
        self.oldest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_samples_come_out_in_order_however_they_came_in() {
        let all: Vec<i16> = (0..5_000).collect();
        let mut to = vec![0; History::samples(SampleRate::HZ_8000)];
        for pieces in [vec![160; 20], vec![1; 700], vec![240, 240, 241], vec![3, 1_000, 0, 79]] {
            let mut history = History::new(SampleRate::HZ_8000);
            let mut end = 0;
            for piece in pieces {
                history.push(&all[end..end + piece]);
                end += piece;
            }
            history.copy_to(&mut to);
            assert_eq!(to, &all[end - to.len()..end]);
        }
    }
}
