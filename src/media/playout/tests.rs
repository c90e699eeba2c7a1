use proptest::prelude::*;

mod pausing;

use super::marks::MAX_MARKS;
use super::*;

fn playout() -> Playout {
    Playout::new(SampleRate::HZ_8000, Ptime::MS_20, Duration::from_secs(1))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn due(name: &str, played: bool) -> Option<DueMark> {
    Some(DueMark { name: name.to_owned(), played })
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
    assert_eq!(playout.pop_mark(), due("end", true));
    assert_eq!(playout.pop_mark(), None);
}

#[test]
fn a_mark_on_an_empty_queue_is_told_at_once() {
    let mut playout = playout();
    playout.mark("now");
    assert_eq!(playout.pop_mark(), due("now", true));
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
    playout.mark("before");
    pull(&mut playout);
    playout.push(&[2; 800]);
    playout.mark("reply");
    playout.mark("end");
    for _ in 0..2 {
        pull(&mut playout);
    }
    let marks = vec!["reply".to_owned(), "end".to_owned()];
    // With the 4 ms that fade out.
    assert_eq!(playout.clear(), Cleared { played: ms(44), discarded: ms(56), marks });
    for expected in [due("before", true), due("reply", false), due("end", false), None] {
        assert_eq!(playout.pop_mark(), expected);
    }
    let (last, pulled) = pull(&mut playout);
    assert_eq!(pulled, Pulled { queued_samples: 32, drained: false });
    assert!(last.is_sorted_by(|a, b| a >= b) && last[0] == 2 && last[31..] == [0; 129]);
    assert_eq!(pull(&mut playout), (vec![0; 160], Pulled { queued_samples: 0, drained: false }));
    assert_eq!(playout.clear(), Cleared { played: ms(0), discarded: ms(0), marks: Vec::new() });
}

#[test]
fn too_many_marks_are_told_early_not_lost_and_not_as_played() {
    let mut playout = playout();
    playout.push(&[1; 160]);
    for n in 0..MAX_MARKS + 1 {
        playout.mark(&n.to_string());
    }
    assert_eq!(playout.pop_mark(), due("0", false));
    assert_eq!(playout.pop_mark(), None);
    pull(&mut playout);
    let rest: Vec<_> = std::iter::from_fn(|| playout.pop_mark()).collect();
    assert!(rest.len() == MAX_MARKS && rest.iter().all(|mark| mark.played));
    // Those whose audio was sent are played, however many follow.
    for n in 0..2 * MAX_MARKS {
        playout.mark(&n.to_string());
    }
    let all: Vec<_> = std::iter::from_fn(|| playout.pop_mark()).collect();
    assert!(all.len() == 2 * MAX_MARKS && all.iter().all(|mark| mark.played));
}

#[test]
fn the_played_time_counts_the_present_playback_and_stays_behind_it() {
    let mut playout = playout();
    assert_eq!(playout.played(), ms(0));
    for _ in 0..2 {
        playout.push(&[1; 240]);
        pull(&mut playout);
        assert_eq!(playout.played(), ms(20));
        pull(&mut playout);
        pull(&mut playout);
        assert_eq!(playout.played(), ms(30), "silence behind it is none of it");
    }
}

#[test]
fn a_ducked_queue_is_lower_by_what_was_asked_until_that_is_taken_back() {
    let mut playout = playout();
    playout.push(&[10_000; 800]);
    assert_eq!(pull(&mut playout).0, [10_000; 160]);
    playout.duck(-20.0);
    let down = pull(&mut playout).0;
    assert!(down.is_sorted_by(|a, b| a >= b) && down[0] > 9_900 && down[159] == 1_000);
    assert_eq!(pull(&mut playout).0, [1_000; 160]);
    playout.unduck();
    let up = pull(&mut playout).0;
    assert!(up.is_sorted() && up[0] < 1_100 && up[159] == 10_000);
    assert_eq!(pull(&mut playout).0, [10_000; 160]);
}

#[test]
fn a_watermark_is_told_once_each_time_it_is_reached() {
    let mut playout = playout();
    assert_eq!(playout.take_level(), None);
    playout.set_watermarks(ms(40), ms(100));
    playout.push(&[1; 799]);
    assert_eq!(playout.take_level(), None);
    for _ in 0..2 {
        playout.push(&[1; 321]);
        assert_eq!(playout.take_level(), Some(QueueLevel::High));
        assert_eq!(playout.take_level(), None);
        while playout.queued() > 320 {
            assert_eq!(playout.take_level(), None);
            pull(&mut playout);
        }
        assert_eq!(playout.take_level(), Some(QueueLevel::Low));
        assert_eq!(playout.take_level(), None);
        playout.push(&[1; 799]);
        playout.clear();
        playout.push(&[1; 799]);
        assert_eq!(playout.take_level(), None, "nobody looked while it was full");
    }
}

#[test]
fn watermarks_that_cannot_be_reached_are_put_where_they_can() {
    let mut playout = playout();
    playout.set_watermarks(ms(5_000), ms(2_000));
    playout.push(&[1; 8_000]);
    assert_eq!((playout.room(), playout.take_level()), (0, Some(QueueLevel::High)));
    assert_eq!(playout.take_level(), None);
    pull(&mut playout);
    assert_eq!(playout.take_level(), Some(QueueLevel::Low));
    playout.set_watermarks(ms(0), ms(0));
    assert_eq!(playout.take_level(), Some(QueueLevel::High));
    playout.clear();
    assert_eq!(playout.take_level(), Some(QueueLevel::Low));
    assert_eq!(playout.take_level(), None);
}

#[test]
fn the_memory_of_a_long_prompt_is_given_back_as_it_is_played() {
    let mut playout = Playout::new(SampleRate::HZ_8000, Ptime::MS_20, Duration::from_secs(60));
    let prompt: Vec<i16> = (0..480_000).map(|n| (n % 30_000) as i16).collect();
    playout.push(&prompt);
    let mut changes = 0;
    let mut capacity = playout.queue.capacity();
    for frame in prompt.chunks(160) {
        assert_eq!(pull(&mut playout).0, frame);
        changes += usize::from(playout.queue.capacity() != capacity);
        capacity = playout.queue.capacity();
        assert!(capacity <= (4 * playout.queued()).max(8_000));
    }
    // Halved from a minute down to a second.
    assert_eq!((changes, capacity), (6, 8_000));
    playout.push(&prompt);
    playout.clear();
    assert!(playout.queue.capacity() <= 240_000);
}

/// What may be done to a queue.
#[derive(Clone, Copy, Debug)]
enum Act {
    Push(usize),
    Mark,
    Pull,
    Pause,
    Resume,
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1_usize..500).prop_map(Act::Push),
        3 => Just(Act::Mark),
        6 => Just(Act::Pull),
        1 => Just(Act::Pause),
        1 => Just(Act::Resume),
        1 => Just(Act::Clear),
    ]
}

/// A queue of single samples, beside the real one.
struct Model {
    playout: Playout,
    /// `None` is a sample, and a mark is its number.
    waiting: VecDeque<Option<usize>>,
    /// By its number, whether all before a mark was sent; absent where that is not decided.
    marks: Vec<Option<bool>>,
    told: usize,
    sent: u64,
    discarded: u64,
}

impl Model {
    fn act(&mut self, act: Act) {
        match act {
            Act::Push(samples) => {
                let taken = self.playout.push(&vec![1_000; samples]);
                self.waiting.extend(std::iter::repeat_n(None, taken));
            }
            Act::Mark => {
                self.playout.mark(&self.marks.len().to_string());
                self.waiting.push_back(Some(self.marks.len()));
                self.marks.push(None);
            }
            Act::Pull => {
                let pulled = pull(&mut self.playout).1;
                self.send(pulled.queued_samples);
                assert!(!pulled.drained || self.playout.is_empty());
            }
            Act::Pause => self.playout.pause(),
            Act::Resume => self.playout.resume(),
            Act::Clear => self.clear(),
        }
        self.send(0);
        assert_eq!(self.playout.queue.len(), self.samples());
        while let Some(mark) = self.playout.pop_mark() {
            assert_eq!(mark.name, self.told.to_string(), "in order");
            assert_eq!(Some(mark.played), self.marks[self.told], "mark {}", mark.name);
            self.told += 1;
        }
    }

    fn samples(&self) -> usize {
        self.waiting.iter().filter(|item| item.is_none()).count()
    }

    /// So many samples leave, and the marks that nothing stands before then.
    fn send(&mut self, mut samples: usize) {
        self.sent += samples as u64;
        while let Some(item) = self.waiting.front() {
            match item {
                Some(mark) => self.marks[*mark] = Some(true),
                None if samples > 0 => samples -= 1,
                None => return,
            }
            self.waiting.pop_front();
        }
    }

    /// All goes but what fades out, with the marks in it and right behind that.
    fn clear(&mut self) {
        let cleared = self.playout.clear();
        let mut left = self.playout.queue.len();
        assert!(left <= self.playout.frame_samples() && self.playout.queued() == 0);
        let (mut names, mut cut) = (Vec::new(), false);
        let marks = &mut self.marks;
        self.waiting.retain(|item| {
            match item {
                None if left > 0 => left -= 1,
                None => cut = true,
                Some(mark) if cut => {
                    marks[*mark] = Some(false);
                    names.push(mark.to_string());
                }
                Some(_) => {}
            }
            !cut
        });
        self.discarded += self.playout.rate().samples_in(cleared.discarded);
        assert_eq!(cleared.marks, names);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sample_is_sent_or_discarded_and_every_mark_is_told_once_and_truthfully(
        acts in prop::collection::vec(act(), 0..200),
    ) {
        let (waiting, marks) = (VecDeque::new(), Vec::new());
        let playout = playout();
        let mut model = Model { playout, waiting, marks, told: 0, sent: 0, discarded: 0 };
        let mut pushed = 0;
        for act in acts {
            let before = model.samples();
            model.act(act);
            if let Act::Push(_) = act {
                pushed += (model.samples() - before) as u64;
            }
            assert_eq!(pushed, model.sent + model.discarded + model.samples() as u64);
        }
        model.act(Act::Resume);
        while !model.playout.is_empty() {
            model.act(Act::Pull);
        }
        assert_eq!(model.told, model.marks.len());
    }
}
