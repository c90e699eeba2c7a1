mod edges;
mod fader;
mod marks;
#[cfg(test)]
mod tests;
mod watermarks;

use std::collections::VecDeque;
use std::time::Duration;

pub use marks::DueMark;
pub use watermarks::QueueLevel;

use self::edges::Edges;
use self::fader::Fader;
use self::marks::Marks;
use self::watermarks::Watermarks;
use crate::audio::{Ptime, SampleRate};
use crate::dsp::prefetch::{prefetch, prefetch_at};

/// Audio for which the queue keeps its memory: live audio needs no more, and so allocates nothing any
/// more once it was there.
const KEPT: Duration = Duration::from_secs(1);

/// How long what is cleared fades out: a click less, and not heard as more speech.
const CLEAR_FADE: Duration = Duration::from_millis(4);

/// What processors queued for the caller, and has not been sent.
///
/// Any amount, at any speed, in any chunk size; bounded in time, hence in bytes. One frame leaves
/// per tick; a frame that has left is beyond reach, and so is the next one where audio is stopped in
/// the middle: it fades out. Marks are told when the last sample before them has been sent.
#[derive(Debug)]
pub struct Playout {
    rate: SampleRate,
    frame_samples: usize,
    max_samples: usize,
    kept_samples: usize,
    queue: VecDeque<i16>,
    marks: Marks,
    pushed: u64,
    pulled: u64,
    /// Value of `pulled` when the queue was last empty: where the present playback began.
    began: u64,
    /// The latest frame was, at least in part, silence for want of samples.
    dry: bool,
    paused: bool,
    edges: Edges,
    fader: Fader,
    watermarks: Option<Watermarks>,
}

/// What [`Playout::pull`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pulled {
    /// Samples from the queue at the frame's head; the rest of the frame is silence.
    pub queued_samples: usize,
    /// The queue ran empty with this frame.
    pub drained: bool,
}

/// What [`Playout::clear`] threw away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cleared {
    /// Audio of the present playback (since the queue was last empty) that had been sent, with what
    /// fades out in the next frame.
    pub played: Duration,
    /// Audio that was thrown away.
    pub discarded: Duration,
    /// Marks that stood in it or behind it, in order.
    pub marks: Vec<String>,
}

impl Playout {
    /// An empty queue for at most `max_queue` of audio; it allocates as it fills.
    #[must_use]
    pub fn new(rate: SampleRate, ptime: Ptime, max_queue: Duration) -> Self {
        Self {
            rate,
            frame_samples: ptime.samples(rate),
            max_samples: rate.length_of(max_queue),
            kept_samples: rate.length_of(KEPT),
            queue: VecDeque::new(),
            marks: Marks::default(),
            pushed: 0,
            pulled: 0,
            began: 0,
            dry: true,
            paused: false,
            edges: Edges::default(),
            fader: Fader::UP,
            watermarks: None,
        }
    }

    /// Rate of the samples.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Samples of one frame.
    #[must_use]
    pub fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    /// Asks for the memory of the frame that is sent next, and of the one that is queued next.
    pub(crate) fn prefetch(&self) {
        let (front, back) = self.queue.as_slices();
        let frame = self.frame_samples;
        prefetch(&front[..front.len().min(frame)]);
        prefetch(&back[..back.len().min(frame)]);
        // Mostly the frame that comes goes where those two end.
        let end = if back.is_empty() { front } else { back }.as_ptr_range().end;
        prefetch_at(end, frame);
    }

    /// Samples that wait. What was cleared and fades out in the next frame is none of them.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len() - self.edges.leaving()
    }

    /// Whether no sample of it is to be sent any more, not even one that fades out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Samples that [`Self::push`] would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.max_samples.saturating_sub(self.queue.len())
    }

    /// Whether samples were wanting when the latest frame was taken, and none were queued since; so
    /// it is before the first. A pause changes nothing of it.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// Whether anything of the queue has been sent yet.
    #[must_use]
    pub fn has_played(&self) -> bool {
        self.pulled > 0
    }

    /// How much of the present playback, which began when the queue was last empty, has been sent;
    /// where nothing waits, how much of the latest one.
    #[must_use]
    pub fn played(&self) -> Duration {
        // What fades out in the next frame is of the playback before.
        self.rate.duration_of(self.pulled.saturating_sub(self.began))
    }

    /// Queues samples and returns how many there was room for.
    pub fn push(&mut self, samples: &[i16]) -> usize {
        if self.queue.is_empty() {
            self.began = self.pulled;
        }
        let taken = &samples[..samples.len().min(self.room())];
        self.make_room(taken.len());
        self.queue.extend(taken);
        self.pushed += taken.len() as u64;
        self.dry &= taken.is_empty();
        taken.len()
    }

    /// Sees to room for so many samples more. It grows by a quarter or more, not to twice the size: a
    /// queue of live audio is full nearly all the time.
    fn make_room(&mut self, more: usize) {
        if self.queue.capacity() - self.queue.len() < more {
            self.queue.reserve_exact(more.max(self.queue.len() / 4));
        }
    }

    /// Gives back half of the memory where only a quarter is in use: what a long prompt needed is not
    /// kept until the call's end, and it takes much audio until the next change.
    fn give_back(&mut self) {
        let capacity = self.queue.capacity();
        if capacity > self.kept_samples && self.queue.len() <= capacity / 4 {
            self.queue.shrink_to(self.kept_samples.max(capacity / 2));
        }
    }

    /// Lets silence go out, behind a frame that fades out where audio was sent just before; what is
    /// queued stays, and more may be queued.
    pub fn pause(&mut self) {
        self.paused = true;
        self.edges.pause();
    }

    /// Goes on where [`Self::pause`] stopped, and fades in over a frame where that was in the middle.
    pub fn resume(&mut self) {
        self.paused = false;
        self.edges.resume();
    }

    /// Whether the queue is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Lowers what is played by `gain_db` (0 or less), over the course of the next frame, until
    /// [`Self::unduck`].
    pub fn duck(&mut self, gain_db: f32) {
        self.fader.move_to(gain_db);
    }

    /// Plays as loud as it was queued again, over the course of the next frame.
    pub fn unduck(&mut self) {
        self.fader.move_to(0.0);
    }

    /// Lets [`Self::take_level`] tell when so much waits that it is enough, and when it is little
    /// again. A high water beyond what the queue can hold is that; a low water is below the high one.
    pub fn set_watermarks(&mut self, low: Duration, high: Duration) {
        let high = self.rate.length_of(high).min(self.max_samples).max(1);
        let low = self.rate.length_of(low).min(high - 1);
        self.watermarks = Some(Watermarks::new(low, high));
    }

    /// The watermark that was reached since the other one was told.
    pub fn take_level(&mut self) -> Option<QueueLevel> {
        let queued = self.queued();
        self.watermarks.as_mut()?.pass(queued)
    }

    /// Puts a mark behind all that is queued.
    ///
    /// Of more than 256 marks, the oldest is told early: nothing is lost, nothing grows for ever.
    pub fn mark(&mut self, name: &str) {
        self.marks.push(self.pushed, name, self.pulled);
    }

    /// Throws away all that is queued; its marks are due then, as not played. A pause goes on.
    ///
    /// Where audio was sent just before, the 4 ms behind it are still sent, and fade out; they count
    /// as sent, with their marks.
    pub fn clear(&mut self) -> Cleared {
        let (played, before) = (self.pulled.saturating_sub(self.began), self.edges.leaving());
        let fade = self.rate.length_of(CLEAR_FADE).min(self.frame_samples);
        let leaving = self.edges.clear(self.queue.len(), fade);
        let end = self.pulled + leaving as u64;
        let cleared = Cleared {
            played: self.rate.duration_of(played + (leaving - before) as u64),
            discarded: self.rate.duration_of((self.queue.len() - leaving) as u64),
            marks: self.marks.drop_all(end),
        };
        self.queue.truncate(leaving);
        (self.pushed, self.began) = (end, end);
        self.give_back();
        cleared
    }

    /// Takes the next frame off the queue into `frame`, padded with silence.
    ///
    /// # Panics
    /// Where `frame` is not [`Self::frame_samples`] long.
    pub fn pull(&mut self, frame: &mut [i16]) -> Pulled {
        assert_eq!(frame.len(), self.frame_samples, "a frame has its one length");
        let share = self.edges.next(self.paused, self.queue.len(), frame.len());
        let count = share.count;
        let (head, silence) = frame.split_at_mut(count);
        let (front, back) = self.queue.as_slices();
        let split = front.len().min(count);
        head[..split].copy_from_slice(&front[..split]);
        head[split..].copy_from_slice(&back[..count - split]);
        share.shape(head);
        silence.fill(0);
        self.queue.drain(..count);
        self.pulled += count as u64;
        let is_played = count > share.leaving;
        let wanting = count < frame.len() || (!is_played && self.queue.is_empty());
        self.dry |= !self.paused && wanting;
        self.fader.apply(frame);
        self.give_back();
        Pulled { queued_samples: count, drained: is_played && self.queue.is_empty() }
    }

    /// How many marks [`Self::pop_mark`] has now.
    #[must_use]
    pub fn due_marks(&self) -> usize {
        self.marks.due(self.pulled)
    }

    /// The next mark that is due. Ask until there is none.
    pub fn pop_mark(&mut self) -> Option<DueMark> {
        self.marks.pop(self.pulled)
    }
}
