use std::collections::VecDeque;

use crate::audio::Position;
use crate::processor::bot::Told;

/// Most notices that wait, besides audio.
const MOST_NOTICES: usize = 1_024;

/// What a bot has not been told yet, in order. Bounded: of audio the oldest goes, of notices also.
#[derive(Debug)]
pub(super) struct Waiting {
    items: VecDeque<Told>,
    samples: usize,
    max_samples: usize,
}

impl Waiting {
    /// Room for so many samples.
    pub(super) fn new(max_samples: usize) -> Self {
        Self { items: VecDeque::new(), samples: 0, max_samples }
    }

    /// Adds something, and answers how many samples had to go for that.
    pub(super) fn push(&mut self, told: Told) -> u64 {
        self.samples += samples_of(&told);
        self.items.push_back(told);
        let mut dropped = 0;
        while self.samples > self.max_samples {
            dropped += self.drop_first(|told| matches!(told, Told::Audio(_)));
        }
        // Audio has its own bound, in pieces of 20 ms or more.
        if self.items.len() > MOST_NOTICES && self.notices() > MOST_NOTICES {
            self.drop_first(|told| matches!(told, Told::Notice { .. }));
        }
        dropped
    }

    /// The oldest.
    pub(super) fn pop(&mut self) -> Option<Told> {
        let told = self.items.pop_front()?;
        self.samples -= samples_of(&told);
        Some(told)
    }

    /// Where the audio that waits begins.
    pub(super) fn begins(&self) -> Option<Position> {
        self.items.iter().find_map(|told| match told {
            Told::Audio(piece) => Some(piece.position),
            Told::Notice { .. } => None,
        })
    }

    /// Drops what only the bot of the connection that was could make sense of.
    pub(super) fn forget_connection(&mut self) {
        self.items.retain(Told::outlives_connection);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn notices(&self) -> usize {
        self.items.iter().filter(|told| matches!(told, Told::Notice { .. })).count()
    }

    fn drop_first(&mut self, which: impl Fn(&Told) -> bool) -> u64 {
        let place = self.items.iter().position(which);
        let dropped = place.and_then(|place| self.items.remove(place));
        let samples = dropped.as_ref().map_or(0, samples_of);
        self.samples -= samples;
        samples as u64
    }
}

fn samples_of(told: &Told) -> usize {
    match told {
        Told::Audio(piece) => piece.samples.len(),
        Told::Notice { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SampleRate;
    use crate::processor::Piece;
    use crate::processor::bot::Notice;

    fn audio(position: u64) -> Told {
        let mut piece = Piece::new(SampleRate::HZ_8000);
        piece.restart(Position(position));
        piece.samples.resize(160, 1);
        Told::Audio(piece)
    }

    fn notice(at_ms: u64) -> Told {
        Told::Notice { media_ms: 0, notice: Notice::SpeechStarted { at_ms } }
    }

    #[test]
    fn the_oldest_audio_goes_and_no_notice_with_it() {
        let mut waiting = Waiting::new(320);
        assert_eq!(waiting.push(notice(1)), 0);
        let dropped: Vec<_> = (0..4).map(|n| waiting.push(audio(160 * n))).collect();
        assert_eq!(dropped, [0, 0, 160, 160]);
        assert_eq!(waiting.begins(), Some(Position(320)));
        let left: Vec<_> = std::iter::from_fn(|| waiting.pop()).collect();
        assert_eq!(left, [notice(1), audio(320), audio(480)]);
        assert!(waiting.is_empty() && waiting.samples == 0);
    }

    #[test]
    fn of_too_many_notices_the_oldest_goes() {
        let mut waiting = Waiting::new(320);
        waiting.push(audio(0));
        let dropped: u64 = (0..MOST_NOTICES as u64 + 3).map(|n| waiting.push(notice(n))).sum();
        assert_eq!(dropped, 0, "no audio");
        assert_eq!(waiting.pop(), Some(audio(0)));
        assert_eq!(waiting.pop(), Some(notice(3)));
        assert_eq!(waiting.items.len(), MOST_NOTICES - 1);
    }
}
