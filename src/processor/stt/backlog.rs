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
    /// Samples of one message, where all messages are equally long.
    message_samples: Option<usize>,
    /// The latest audio, while it does not fill a message.
    open: Option<Open>,
}

/// Audio that waits for more.
#[derive(Debug)]
struct Open {
    position: Position,
    samples: Vec<i16>,
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
    /// A queue of at most so many samples. With `message_samples`, audio is cut into items of so
    /// many, whatever pieces it comes in; the rest waits for what continues it, and becomes a shorter
    /// item where that does not come: at a gap, and with [`Self::close`].
    pub(super) fn new(max_samples: usize, message_samples: Option<usize>) -> Self {
        Self {
            items: VecDeque::new(),
            sent: 0,
            sent_ever: 0,
            samples: 0,
            max_samples,
            message_samples,
            open: None,
        }
    }

    /// Adds audio, and answers how many samples were dropped for it that had never been sent.
    pub(super) fn push_audio(&mut self, position: Position, samples: Vec<i16>) -> usize {
        if samples.is_empty() {
            return 0;
        }
        self.samples += samples.len();
        match self.message_samples {
            None => self.items.push_back(Item::Audio { position, samples }),
            Some(most) => self.fill(position, &samples, most),
        }
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

    /// Nothing continues the latest audio.
    pub(super) fn close(&mut self) {
        if let Some(Open { position, samples }) = self.open.take() {
            self.items.push_back(Item::Audio { position, samples });
        }
    }

    /// Adds the end of an utterance, where there is one.
    pub(super) fn push_finalize(&mut self) {
        self.close();
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
        let first = self.items.iter().find_map(|item| match item {
            Item::Audio { position, .. } => Some(*position),
            Item::Finalize => None,
        });
        first.or(self.open.as_ref().map(|open| open.position))
    }

    /// Whether all has been sent but what waits for more.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.items.len()
    }

    /// Whether audio that was sent is not acknowledged.
    pub(super) fn is_owed(&self) -> bool {
        self.items.range(..self.sent).any(|item| matches!(item, Item::Audio { .. }))
    }

    /// Adds audio in items of `most` samples.
    fn fill(&mut self, mut position: Position, mut samples: &[i16], most: usize) {
        while !samples.is_empty() {
            if self.open.as_ref().is_some_and(|open| open.end() != position) {
                self.close();
            }
            let new = || Open { position, samples: Vec::with_capacity(most) };
            let open = self.open.get_or_insert_with(new);
            let (head, rest) = samples.split_at(samples.len().min(most - open.samples.len()));
            open.samples.extend_from_slice(head);
            if open.samples.len() == most {
                self.close();
            }
            position = position.plus(head.len());
            samples = rest;
        }
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

impl Open {
    fn end(&self) -> Position {
        self.position.plus(self.samples.len())
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
        let mut backlog = Backlog::new(1_000, None);
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
        let mut backlog = Backlog::new(300, None);
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

    /// Where items of audio lie, which are sent by that, and how long they are.
    fn lengths(backlog: &mut Backlog) -> Vec<(u64, usize)> {
        let mut lengths = Vec::new();
        while let Some(item) = backlog.peek() {
            if let Item::Audio { position, samples } = item {
                assert!(
                    samples
                        .iter()
                        .zip(position.0..)
                        .all(|(is, at)| u64::from(is.unsigned_abs()) == at)
                );
                lengths.push((position.0, samples.len()));
            }
            backlog.advance();
        }
        lengths
    }

    fn push_ramp(backlog: &mut Backlog, from: i16, count: i16) -> usize {
        backlog.push_audio(Position(from.unsigned_abs().into()), (from..from + count).collect())
    }

    #[test]
    fn messages_of_one_length_are_full_unless_nothing_continues_them() {
        for piece in [1_i16, 7, 160, 333, 1_000] {
            let mut backlog = Backlog::new(10_000, Some(160));
            for from in (0..1_000).step_by(piece.unsigned_abs().into()) {
                push_ramp(&mut backlog, from, piece.min(1_000 - from));
            }
            let whole: Vec<_> = (0..6).map(|number| (number * 160, 160)).collect();
            assert_eq!(lengths(&mut backlog), whole, "pieces of {piece}");
            assert!(backlog.is_sent());
            // What continues the rest fills it; a gap does not.
            push_ramp(&mut backlog, 1_000, 150);
            assert_eq!(lengths(&mut backlog), [(960, 160)]);
            push_ramp(&mut backlog, 5_000, 10);
            assert_eq!(lengths(&mut backlog), [(1_120, 30)]);
            backlog.push_finalize();
            backlog.push_finalize();
            assert_eq!(backlog.items.len(), 10);
            assert_eq!(lengths(&mut backlog), [(5_000, 10)]);
            push_ramp(&mut backlog, 5_010, 1);
            assert_eq!(backlog.begins(), Some(Position(0)));
            backlog.acknowledge(Position(5_010));
            assert_eq!(backlog.begins(), Some(Position(5_010)));
            backlog.close();
            assert_eq!(lengths(&mut backlog), [(5_010, 1)], "behind the end of an utterance");
        }
    }

    #[test]
    fn the_oldest_messages_go_and_what_waits_for_more_counts() {
        let mut backlog = Backlog::new(400, Some(160));
        assert_eq!(push_ramp(&mut backlog, 0, 400), 0);
        assert_eq!(push_ramp(&mut backlog, 400, 1), 160);
        assert_eq!(push_ramp(&mut backlog, 401, 599), 480);
        backlog.close();
        assert_eq!(lengths(&mut backlog), [(640, 160), (800, 160), (960, 40)]);
    }

    #[test]
    fn what_was_not_sent_is_not_acknowledged() {
        let mut backlog = Backlog::new(1_000, None);
        push(&mut backlog, 0);
        push(&mut backlog, 1);
        backlog.advance();
        backlog.acknowledge(Position(10_000));
        assert_eq!(send_all(&mut backlog), [(100, false)]);
    }
}
