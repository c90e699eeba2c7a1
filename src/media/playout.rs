use std::collections::VecDeque;
use std::time::Duration;

use crate::audio::{Ptime, SampleRate};
use crate::dsp::prefetch::{prefetch, prefetch_at};

/// Marks that may wait in the queue; of more, the oldest is told early.
const MAX_MARKS: usize = 256;

/// What processors queued for the caller, and has not been sent.
///
/// Any amount, at any speed, in any chunk size; bounded in time, hence in bytes. One frame leaves
/// per tick; a frame that has left is beyond reach. Marks are told when the last sample before
/// them has been sent.
#[derive(Debug)]
pub struct Playout {
    rate: SampleRate,
    frame_samples: usize,
    max_samples: usize,
    queue: VecDeque<i16>,
    marks: VecDeque<(u64, String)>,
    pushed: u64,
    pulled: u64,
    /// Value of `pulled` when the queue was last empty: where the present playback began.
    began: u64,
    /// The latest frame was, at least in part, silence for want of samples.
    dry: bool,
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cleared {
    /// Audio of the present playback (since the queue was last empty) that had been sent.
    pub played: Duration,
    /// Audio that was thrown away.
    pub discarded: Duration,
}

impl Playout {
    /// An empty queue for at most `max_queue` of audio; it allocates as it fills.
    #[must_use]
    pub fn new(rate: SampleRate, ptime: Ptime, max_queue: Duration) -> Self {
        Self {
            rate,
            frame_samples: ptime.samples(rate),
            max_samples: usize::try_from(rate.samples_in(max_queue)).unwrap_or(usize::MAX),
            queue: VecDeque::new(),
            marks: VecDeque::new(),
            pushed: 0,
            pulled: 0,
            began: 0,
            dry: true,
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

    /// Samples that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether samples were wanting when the latest frame was taken, and none were queued since; so
    /// it is before the first.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry
    }

    /// Whether anything of the queue has been sent yet.
    #[must_use]
    pub fn has_played(&self) -> bool {
        self.pulled > 0
    }

    /// Queues samples and returns how many there was room for.
    pub fn push(&mut self, samples: &[i16]) -> usize {
        if self.queue.is_empty() {
            self.began = self.pulled;
        }
        let room = self.max_samples.saturating_sub(self.queue.len());
        let taken = &samples[..samples.len().min(room)];
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

    /// Puts a mark behind all that is queued.
    ///
    /// Of more than 256 marks, the oldest is told early: nothing is lost, nothing grows for ever.
    pub fn mark(&mut self, name: &str) {
        if let Some(oldest) = self.marks.len().checked_sub(MAX_MARKS) {
            self.marks[oldest].0 = 0;
        }
        self.marks.push_back((self.pushed, name.to_owned()));
    }

    /// Throws away all that is queued; its marks are told next.
    pub fn clear(&mut self) -> Cleared {
        let cleared = Cleared {
            played: self.rate.duration_of(self.pulled - self.began),
            discarded: self.rate.duration_of(self.queue.len() as u64),
        };
        self.queue.clear();
        self.pulled = self.pushed;
        self.began = self.pulled;
        cleared
    }

    /// Takes the next frame off the queue into `frame`, padded with silence.
    ///
    /// # Panics
    /// Where `frame` is not [`Self::frame_samples`] long.
    pub fn pull(&mut self, frame: &mut [i16]) -> Pulled {
        assert_eq!(frame.len(), self.frame_samples, "a frame has its one length");
        let count = frame.len().min(self.queue.len());
        let (head, silence) = frame.split_at_mut(count);
        let (front, back) = self.queue.as_slices();
        let split = front.len().min(count);
        head[..split].copy_from_slice(&front[..split]);
        head[split..].copy_from_slice(&back[..count - split]);
        silence.fill(0);
        self.queue.drain(..count);
        self.pulled += count as u64;
        self.dry |= count < frame.len();
        Pulled { queued_samples: count, drained: count > 0 && self.queue.is_empty() }
    }

    /// How many marks [`Self::pop_mark`] has now.
    #[must_use]
    pub fn due_marks(&self) -> usize {
        self.marks.iter().take_while(|(at, _)| *at <= self.pulled).count()
    }

    /// The next mark whose samples have all left. Ask until there is none.
    pub fn pop_mark(&mut self) -> Option<String> {
        let due = self.marks.front().is_some_and(|(at, _)| *at <= self.pulled);
        due.then(|| self.marks.pop_front()).flatten().map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn playout() -> Playout {
        Playout::new(SampleRate::HZ_8000, Ptime::MS_20, Duration::from_secs(1))
    }

    fn pull(playout: &mut Playout) -> (Vec<i16>, Pulled) {
        let mut frame = vec![-1; playout.frame_samples()];
        let pulled = playout.pull(&mut frame);
        (frame, pulled)
    }

    #[test]
    fn any_chunk_size_in_is_frames_out() {
        let mut playout = playout();
        let all: Vec<i16> = (1..=1_000).collect();
        for chunk in all.chunks(7) {
            assert_eq!(playout.push(chunk), chunk.len());
        }
        let mut out = Vec::new();
        for n in 1..=7 {
            let (frame, pulled) = pull(&mut playout);
            assert_eq!(pulled.drained, n == 7);
            assert_eq!(pulled.queued_samples, if n == 7 { 40 } else { 160 });
            out.extend(frame);
        }
        assert_eq!(out[..1_000], all);
        assert!(out[1_000..].iter().all(|&sample| sample == 0));
    }

    #[test]
    fn a_live_queue_is_not_much_larger_than_what_waits() {
        let mut playout = playout();
        playout.push(&[0; 320]);
        for _ in 0..100 {
            playout.push(&[1; 160]);
            pull(&mut playout);
        }
        assert_eq!(playout.queue.capacity(), 480);
    }

    #[test]
    fn a_full_queue_takes_no_more_than_it_has_room_for() {
        let mut playout = playout();
        assert_eq!(playout.push(&[1; 7_990]), 7_990);
        assert_eq!(playout.push(&[2; 20]), 10);
        assert_eq!(playout.push(&[3; 20]), 0);
        pull(&mut playout);
        assert_eq!(playout.push(&[4; 200]), 160);
    }

    #[test]
    fn a_mark_is_told_when_the_sample_before_it_has_left_and_not_sooner() {
        let mut playout = playout();
        playout.push(&[1; 161]);
        playout.mark("end");
        assert_eq!(playout.pop_mark(), None);
        pull(&mut playout);
        assert_eq!(playout.pop_mark(), None, "one sample is still queued");
        pull(&mut playout);
        assert_eq!(playout.pop_mark().as_deref(), Some("end"));
        assert_eq!(playout.pop_mark(), None);
    }

    #[test]
    fn a_mark_on_an_empty_queue_is_told_at_once() {
        let mut playout = playout();
        playout.mark("now");
        assert_eq!(playout.pop_mark().as_deref(), Some("now"));
    }

    #[test]
    fn a_queue_is_dry_when_a_frame_wanted_more_than_there_was() {
        let mut playout = playout();
        assert!(playout.is_dry());
        playout.push(&[1; 320]);
        assert!(!playout.is_dry());
        pull(&mut playout);
        pull(&mut playout);
        assert!(!playout.is_dry(), "empty, but nothing was wanting");
        pull(&mut playout);
        assert!(playout.is_dry());
        playout.push(&[1; 159]);
        assert!(!playout.is_dry());
        pull(&mut playout);
        assert!(playout.is_dry());
    }

    #[test]
    fn clear_tells_what_was_played_of_this_playback() {
        let mut playout = playout();
        playout.push(&[1; 80]);
        pull(&mut playout);
        playout.push(&[2; 800]);
        playout.mark("reply");
        for _ in 0..2 {
            pull(&mut playout);
        }
        assert_eq!(
            playout.clear(),
            Cleared { played: Duration::from_millis(40), discarded: Duration::from_millis(60) },
        );
        assert_eq!(playout.pop_mark().as_deref(), Some("reply"));
        assert_eq!(
            pull(&mut playout),
            (vec![0; 160], Pulled { queued_samples: 0, drained: false })
        );
    }

    #[test]
    fn too_many_marks_are_told_early_not_lost() {
        let mut playout = playout();
        playout.push(&[1; 160]);
        for n in 0..MAX_MARKS + 1 {
            playout.mark(&n.to_string());
        }
        assert_eq!(playout.pop_mark().as_deref(), Some("0"));
        assert_eq!(playout.pop_mark(), None);
        pull(&mut playout);
        assert_eq!(std::iter::from_fn(|| playout.pop_mark()).count(), MAX_MARKS);
    }
}
