use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_queue::SegQueue;
use tokio::sync::Notify;

use crate::processor::bot::{BotLine, Notice, Order, Told, Wish};
use crate::processor::{Piece, PieceLine, Waker};
use crate::runtime::lane::Lane;
use crate::runtime::line_state::{LineState, State};

/// Pieces and notices of one call that wait for its task, which takes them as soon as it runs.
const WAITING: usize = 128;

/// Pieces that lie ready to be filled.
const SPARE_PIECES: usize = 8;

/// Orders that wait for the call, beyond which nothing is read from the bot.
const MOST_ORDERS: usize = 1_024;

/// What a bot processor and its task share. Neither ever waits for the other.
pub(super) struct Line {
    piece_samples: usize,
    told: Lane<Told>,
    /// As many as the bot sends, which is read no further where too many wait.
    orders: SegQueue<Order>,
    /// Samples of the bot in them.
    ordered: AtomicUsize,
    /// Samples of the bot that the processor has, and that are not played yet.
    queued: AtomicUsize,
    /// From so many on nothing is read.
    max_queued: usize,
    /// The task does not read, and wants to know when it can.
    held: AtomicBool,
    /// Something has come for the task.
    pub(super) ready: Notify,
    waker: Waker,
    dropped_samples: AtomicU64,
    dropped_notices: AtomicU64,
    discarded_samples: AtomicU64,
    state: LineState,
}

/// What went by the way since this was last asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Losses {
    /// Samples of the caller, because the task did not run.
    pub(super) samples: u64,
    /// Notices, for the same reason.
    pub(super) notices: u64,
    /// Samples of the bot that the caller was not to hear any more.
    pub(super) discarded: u64,
}

impl Line {
    /// A line for pieces of so many samples, that is to hold back a bot of which `max_queued`
    /// samples wait.
    pub(super) fn new(piece_samples: usize, max_queued: usize, waker: Waker) -> Self {
        Self {
            piece_samples,
            told: Lane::new(WAITING, SPARE_PIECES),
            orders: SegQueue::new(),
            ordered: AtomicUsize::new(0),
            queued: AtomicUsize::new(0),
            max_queued,
            held: AtomicBool::new(false),
            ready: Notify::new(),
            waker,
            dropped_samples: AtomicU64::new(0),
            dropped_notices: AtomicU64::new(0),
            discarded_samples: AtomicU64::new(0),
            state: LineState::open(),
        }
    }

    /// Whether the call goes on. Looked at before what it tells: once it is over, the line holds the
    /// last of that.
    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// The oldest thing that waits for the bot.
    pub(super) fn pop(&self) -> Option<Told> {
        self.told.pop()
    }

    /// Gives a piece back to be filled again.
    pub(super) fn recycle(&self, piece: Piece) {
        self.told.recycle(Told::Audio(piece));
    }

    pub(super) fn take_losses(&self) -> Losses {
        let take = |counter: &AtomicU64| match counter.load(Ordering::Relaxed) {
            0 => 0,
            _ => counter.swap(0, Ordering::Relaxed),
        };
        Losses {
            samples: take(&self.dropped_samples),
            notices: take(&self.dropped_notices),
            discarded: take(&self.discarded_samples),
        }
    }

    /// Hands something to the call. [`Line::wake`] must follow.
    pub(super) fn order(&self, order: Order) {
        if let Order::Wish(Wish::Audio(samples)) = &order {
            self.ordered.fetch_add(samples.len(), Ordering::Relaxed);
        }
        self.orders.push(order);
    }

    /// Lets the call look.
    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    /// Samples of the bot that wait.
    pub(super) fn waiting(&self) -> usize {
        self.ordered.load(Ordering::Relaxed) + self.queued.load(Ordering::Relaxed)
    }

    /// Whether the bot may send more. Where not, the task hears when it may.
    pub(super) fn has_room(&self) -> bool {
        // Said first, so that who makes room after this look sees it.
        self.held.store(true, Ordering::SeqCst);
        let room = self.waiting() < self.max_queued && self.orders.len() < MOST_ORDERS;
        if room {
            self.held.store(false, Ordering::SeqCst);
        }
        room
    }

    fn made_room(&self) {
        if self.held.load(Ordering::SeqCst) {
            self.ready.notify_one();
        }
    }

    fn push(&self, told: Told) {
        match self.told.push(told) {
            None => {}
            Some(Told::Audio(oldest)) => {
                self.dropped_samples.fetch_add(oldest.samples.len() as u64, Ordering::Relaxed);
                self.recycle(oldest);
            }
            Some(Told::Notice { .. }) => {
                self.dropped_notices.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.ready.notify_one();
    }
}

/// A processor's end of a [`Line`].
pub(super) struct LineEnd(pub(super) Arc<Line>);

impl PieceLine for LineEnd {
    fn piece(&mut self) -> Piece {
        match self.0.told.spare() {
            Some(Told::Audio(piece)) => piece,
            _ => Piece::with_room(self.0.piece_samples),
        }
    }

    fn push(&mut self, piece: Piece) {
        self.0.push(Told::Audio(piece));
    }
}

impl BotLine for LineEnd {
    fn tell(&mut self, media_ms: u64, notice: Notice) {
        self.0.push(Told::Notice { media_ms, notice });
    }

    fn poll(&mut self) -> Option<Order> {
        let order = self.0.orders.pop()?;
        if let Order::Wish(Wish::Audio(samples)) = &order {
            self.0.ordered.fetch_sub(samples.len(), Ordering::Relaxed);
        }
        self.0.made_room();
        Some(order)
    }

    fn set_queued(&mut self, samples: usize) {
        self.0.queued.store(samples, Ordering::Relaxed);
        self.0.made_room();
    }

    fn discarded(&mut self, samples: usize) {
        self.0.discarded_samples.fetch_add(samples as u64, Ordering::Relaxed);
    }

    fn close(self: Box<Self>) {
        self.0.state.close();
        self.0.ready.notify_one();
    }
}

impl Drop for LineEnd {
    fn drop(&mut self) {
        self.0.state.abandon();
        self.0.ready.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> (Arc<Line>, LineEnd) {
        let line = Arc::new(Line::new(160, 480, Waker::default()));
        (Arc::clone(&line), LineEnd(line))
    }

    #[test]
    fn a_bot_is_held_back_while_too_much_of_it_waits() {
        let (line, mut end) = line();
        assert!(line.has_room());
        line.order(Order::Wish(Wish::Audio(vec![0; 320])));
        assert!(line.has_room());
        line.order(Order::Wish(Wish::Audio(vec![0; 160])));
        assert!(!line.has_room());
        while end.poll().is_some() {}
        end.set_queued(480);
        assert!(!line.has_room(), "the processor has it");
        end.set_queued(479);
        assert!(line.has_room());
    }

    #[test]
    fn a_bot_is_held_back_while_too_many_of_its_wishes_wait() {
        let (line, mut end) = line();
        (0..MOST_ORDERS).for_each(|_| line.order(Order::Wish(Wish::Clear)));
        assert!(!line.has_room());
        assert!(end.poll().is_some() && line.has_room());
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted_by_what_it_was() {
        let (line, mut end) = line();
        for _ in 0..2 {
            end.tell(0, Notice::SpeechStarted { at_ms: 0 });
            let mut piece = end.piece();
            piece.samples.resize(160, 1);
            PieceLine::push(&mut end, piece);
        }
        (0..WAITING - 1).for_each(|_| end.tell(0, Notice::SpeechEnded { at_ms: 0 }));
        let losses = Losses { samples: 160, notices: 2, discarded: 0 };
        assert_eq!(line.take_losses(), losses);
        assert_eq!(line.take_losses(), Losses { samples: 0, notices: 0, discarded: 0 });
    }

    #[test]
    fn an_end_that_was_told_is_one_and_a_loss_is_not() {
        for closes in [true, false] {
            let (line, end) = line();
            assert_eq!(line.state(), State::Open);
            let end = Box::new(end);
            if closes {
                end.close();
            } else {
                drop(end);
            }
            assert_eq!(line.state(), if closes { State::Closed } else { State::Abandoned });
        }
    }
}
