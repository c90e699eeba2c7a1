use std::collections::VecDeque;

use crate::audio::Position;

/// What is to be sent to a service, and what it has been sent and not acknowledged: a queue with a
/// place in it. Bounded in samples: the oldest goes.
#[derive(Debug)]
pub(super) struct Backlog {
    items: VecDeque<Item>,
    /// How many of them have been sent on this connection.
    sent: usize,
    /// How many of them have been sent on any.
    sent_ever: usize,
    samples: usize,
    max_samples: usize,
}

/// One thing to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Item {
    /// Audio with its place in the call.
    Audio { position: Position, samples: Vec<i16> },
    /// The utterance is over.
    Finalize,
}

impl Backlog {
    pub(super) fn new(max_samples: usize) -> Self {
        Self { items: VecDeque::new(), sent: 0, sent_ever: 0, samples: 0, max_samples }
    }

    /// Adds audio, and answers how many samples were dropped for it that had never been sent.
    pub(super) fn push_audio(&mut self, position: Position, samples: Vec<i16>) -> usize {
        if samples.is_empty() {
            return 0;
        }
        self.samples += samples.len();
        self.items.push_back(Item::Audio { position, samples });
        let mut dropped = 0;
        while self.samples > self.max_samples && self.items.len() > 1 {
            let was_sent = self.sent_ever > 0;
            if let Some(Item::Audio { samples, .. }) = self.pop()
                && !was_sent
            {
                dropped += samples.len();
            }
        }
        dropped
    }

    /// Adds the end of an utterance, where there is one.
    pub(super) fn push_finalize(&mut self) {
        if matches!(self.items.back(), Some(Item::Audio { .. })) {
            self.items.push_back(Item::Finalize);
        }
    }

    /// What is to be sent next.
    pub(super) fn peek(&self) -> Option<&Item> {
        self.items.get(self.sent)
    }

    /// Takes note that [`Self::peek`] was sent; true where it had been sent before.
    pub(super) fn advance(&mut self) -> bool {
        self.sent += 1;
        let again = self.sent <= self.sent_ever;
        self.sent_ever = self.sent_ever.max(self.sent);
        again
    }

    /// Forgets what was sent and ends before `position`.
    pub(super) fn acknowledge(&mut self, position: Position) {
        while self.sent > 0 {
            let done = match self.items.front() {
                Some(Item::Audio { position: start, samples }) => {
                    start.plus(samples.len()) <= position
                }
                Some(Item::Finalize) => true,
                None => false,
            };
            if !done {
                return;
            }
            self.pop();
        }
    }

    /// Begins anew with the oldest that is not acknowledged: the connection is another one.
    pub(super) fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Where the oldest audio lies that is not acknowledged.
    pub(super) fn begins(&self) -> Option<Position> {
        self.items.iter().find_map(|item| match item {
            Item::Audio { position, .. } => Some(*position),
            Item::Finalize => None,
        })
    }

    /// Whether all has been sent.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.items.len()
    }

    /// Whether audio that was sent is not acknowledged.
    pub(super) fn is_owed(&self) -> bool {
        self.items.range(..self.sent).any(|item| matches!(item, Item::Audio { .. }))
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Audio { samples, .. } = &item {
            self.samples -= samples.len();
        }
        self.sent = self.sent.saturating_sub(1);
        self.sent_ever = self.sent_ever.saturating_sub(1);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(backlog: &mut Backlog, number: u64) -> usize {
        backlog.push_audio(Position(number * 100), vec![0; 100])
    }

    /// The places of what is still to be sent, which is sent by that.
    fn send_all(backlog: &mut Backlog) -> Vec<(u64, bool)> {
        let mut places = Vec::new();
        while let Some(item) = backlog.peek() {
            let place = match item {
                Item::Audio { position, .. } => position.0,
                Item::Finalize => u64::MAX,
            };
            places.push((place, backlog.advance()));
        }
        places
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let mut backlog = Backlog::new(1_000);
        backlog.push_finalize();
        (0..3).for_each(|number| assert_eq!(push(&mut backlog, number), 0));
        backlog.push_finalize();
        backlog.push_finalize();
        let all = [(0, false), (100, false), (200, false), (u64::MAX, false)];
        assert_eq!(send_all(&mut backlog), all, "an end without an utterance is none");
        push(&mut backlog, 3);
        // Acknowledged in the middle of a piece: it is kept whole.
        backlog.acknowledge(Position(150));
        backlog.rewind();
        let again = [(100, true), (200, true), (u64::MAX, true), (300, false)];
        assert_eq!(send_all(&mut backlog), again);
        assert!(backlog.is_sent() && backlog.is_owed());
        backlog.acknowledge(Position(400));
        backlog.rewind();
        assert_eq!(send_all(&mut backlog), []);
        assert!(!backlog.is_owed());
    }

    #[test]
    fn the_oldest_goes_and_counts_only_if_it_was_never_sent() {
        let mut backlog = Backlog::new(300);
        (0..3).for_each(|number| assert_eq!(push(&mut backlog, number), 0));
        backlog.advance();
        assert_eq!(push(&mut backlog, 3), 0, "the one that went had been sent");
        assert_eq!(push(&mut backlog, 4), 100);
        backlog.rewind();
        assert_eq!(send_all(&mut backlog), [(200, false), (300, false), (400, false)]);
        backlog.rewind();
        assert_eq!(push(&mut backlog, 5), 0, "sent on the connection before");
        assert_eq!(backlog.push_audio(Position(600), vec![0; 5_000]), 100);
        assert_eq!(send_all(&mut backlog), [(600, false)], "the latest is kept in any case");
    }

    #[test]
    fn what_was_not_sent_is_not_acknowledged() {
        let mut backlog = Backlog::new(1_000);
        push(&mut backlog, 0);
        push(&mut backlog, 1);
        backlog.advance();
        backlog.acknowledge(Position(10_000));
        assert_eq!(send_all(&mut backlog), [(100, false)]);
    }
}
