use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Digit, DigitSource};

/// How far apart two sources may tell of the same press.
///
/// Each tells of it in its own way and time: events in RTP as it begins, Asterisk when it is over,
/// through a WebSocket, where one lost packet costs 200 ms or more of TCP's patience; tones are heard
/// behind the jitter buffer. It may be as long as that because presses are told apart by their
/// sources, not by their distance: it counts one press for two only where, within it, each of two
/// sources misses what the other one has.
const WINDOW: Duration = Duration::from_secs(1);

/// Presses that are remembered: of more within the window, the oldest is forgotten.
const MAX_PRESSES: usize = 16;

/// Counts a press once, however many sources tell of it.
///
/// A report belongs to the oldest press of the same key, near enough in time, of which its source
/// has not told yet. Where there is none it is a new press: so two reports of one source are always
/// two presses, however quick.
#[derive(Debug, Default)]
pub struct DigitFilter(VecDeque<Press>);

#[derive(Debug)]
struct Press {
    key: char,
    /// When it ended, or was told.
    until: Instant,
    /// Who has told of it, by place in [`DigitSource::ALL`].
    told_by: [bool; DigitSource::ALL.len()],
}

impl DigitFilter {
    /// Whether nobody has told of this press yet.
    pub fn is_new(&mut self, now: Instant, digit: Digit) -> bool {
        let source = digit.source as usize;
        // Overlap, or a distance within the window, as far as durations are known.
        let earliest = now.checked_sub(digit.duration.unwrap_or_default() + WINDOW);
        let is_same = |press: &&mut Press| {
            press.key == digit.key
                && !press.told_by[source]
                && earliest.is_none_or(|earliest| press.until >= earliest)
        };
        if let Some(press) = self.0.iter_mut().find(is_same) {
            press.told_by[source] = true;
            press.until = now;
            return false;
        }
        if self.0.len() == MAX_PRESSES {
            self.0.pop_front();
        }
        let mut told_by = [false; DigitSource::ALL.len()];
        told_by[source] = true;
        self.0.push_back(Press { key: digit.key, until: now, told_by });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::DigitSource::{Ari, AudioSocket, Inband, Rtp};
    use crate::testing::epoch;

    /// Keys that count, of reports `(ms, key, source, ms of its duration)`.
    fn told(reports: &[(u64, char, DigitSource, u64)]) -> String {
        let start = epoch();
        let mut filter = DigitFilter::default();
        let mut told = String::new();
        for (at, key, source, ms) in reports {
            let duration = (*ms > 0).then(|| Duration::from_millis(*ms));
            let digit = Digit::new(*key, *source, duration).unwrap();
            if filter.is_new(start + Duration::from_millis(*at), digit) {
                told.push(*key);
            }
        }
        told
    }

    #[test]
    fn one_press_that_every_source_tells_of_counts_once() {
        let reports = [
            (0, '5', AudioSocket, 0),
            (5, '5', Ari, 100),
            (90, '5', Inband, 80),
            (95, '5', Rtp, 0),
        ];
        assert_eq!(told(&reports), "5");
    }

    #[test]
    fn two_quick_presses_count_twice_from_one_source_and_from_two() {
        assert_eq!(told(&[(0, '5', Rtp, 0), (60, '5', Rtp, 0)]), "55");
        let second_late =
            [(0, '5', Rtp, 0), (60, '5', Rtp, 0), (400, '5', Ari, 50), (460, '5', Ari, 50)];
        assert_eq!(told(&second_late), "55");
        let alternating =
            [(0, '5', Rtp, 0), (10, '5', Ari, 50), (60, '5', Ari, 50), (70, '5', Rtp, 0)];
        assert_eq!(told(&alternating), "55");
    }

    #[test]
    fn other_keys_are_other_presses() {
        let reports = [(0, '5', Rtp, 0), (5, '6', Ari, 50), (10, '5', Ari, 50), (15, '6', Rtp, 0)];
        assert_eq!(told(&reports), "56");
    }

    #[test]
    fn the_window_is_a_second_behind_the_press() {
        assert_eq!(told(&[(0, '5', Rtp, 0), (1_000, '5', Ari, 0)]), "5");
        assert_eq!(told(&[(0, '5', Rtp, 0), (1_001, '5', Ari, 0)]), "55");
        // Held for seven seconds, and told when it ended.
        assert_eq!(told(&[(0, '5', Rtp, 0), (7_900, '5', Ari, 7_000)]), "5");
    }

    #[test]
    fn what_one_source_misses_the_other_one_tells() {
        let reports = [(0, '5', Rtp, 0), (300, '5', Rtp, 0), (320, '5', Ari, 50)];
        assert_eq!(told(&reports), "55");
        let reports = [(0, '5', Ari, 50), (300, '5', Rtp, 0), (320, '5', Ari, 50)];
        assert_eq!(told(&reports), "55");
    }

    #[test]
    fn two_presses_of_which_each_source_misses_another_one_are_taken_for_one() {
        assert_eq!(told(&[(0, '5', Ari, 50), (300, '5', Rtp, 0)]), "5");
    }

    #[test]
    fn a_flood_is_counted_and_does_not_grow() {
        let start = epoch();
        let mut filter = DigitFilter::default();
        let digit = Digit::new('1', Rtp, None).unwrap();
        assert!((0..1_000).all(|_| filter.is_new(start, digit)));
        assert_eq!(filter.0.len(), MAX_PRESSES);
    }
}
