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
    assert_eq!(playout.clear(), Cleared { played: ms(40), discarded: ms(60), marks });
    for expected in [due("before", true), due("reply", false), due("end", false), None] {
        assert_eq!(playout.pop_mark(), expected);
    }
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
fn a_pause_sends_silence_and_loses_nothing() {
    let mut playout = playout();
    let all: Vec<i16> = (1..=400).collect();
    playout.push(&all);
    playout.mark("end");
    let mut heard = pull(&mut playout).0;
    playout.pause();
    for _ in 0..10 {
        assert_eq!(
            pull(&mut playout),
            (vec![0; 160], Pulled { queued_samples: 0, drained: false })
        );
        assert_eq!((playout.played(), playout.queued(), playout.is_dry()), (ms(20), 240, false));
    }
    assert_eq!((playout.push(&[7; 80]), playout.pop_mark()), (80, None));
    playout.resume();
    heard.extend(pull(&mut playout).0);
    let (last, pulled) = pull(&mut playout);
    assert!(pulled.drained && pulled.queued_samples == 160);
    heard.extend(&last);
    assert_eq!(heard[..400], all);
    assert_eq!(heard[400..], [7; 80]);
    assert_eq!((playout.pop_mark(), playout.played()), (due("end", true), ms(60)));
}

#[test]
fn what_is_cleared_in_a_pause_was_not_played() {
    let mut playout = playout();
    playout.push(&[1; 480]);
    pull(&mut playout);
    playout.pause();
    pull(&mut playout);
    assert_eq!(playout.clear(), Cleared { played: ms(20), discarded: ms(40), marks: Vec::new() });
    playout.push(&[2; 160]);
    assert_eq!(pull(&mut playout).0, [0; 160], "the pause goes on");
    assert_eq!(playout.played(), ms(0));
    playout.resume();
    assert_eq!(pull(&mut playout).0, [2; 160]);
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
