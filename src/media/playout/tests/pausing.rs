//! Pauses and clears: what fades out, and what is accounted for how.

use super::*;

#[test]
fn a_pause_fades_out_sends_silence_and_goes_on_behind_what_was_sent() {
    let mut playout = playout();
    let all: Vec<i16> = (1..=560).collect();
    playout.push(&all);
    playout.mark("end");
    assert_eq!(pull(&mut playout).0, all[..160]);
    playout.pause();
    let (out, pulled) = pull(&mut playout);
    assert_eq!(pulled, Pulled { queued_samples: 160, drained: false });
    assert_eq!((out[0], out[79], out[159]), (160, 120, 0));
    for _ in 0..10 {
        assert_eq!(
            pull(&mut playout),
            (vec![0; 160], Pulled { queued_samples: 0, drained: false })
        );
        assert_eq!((playout.played(), playout.queued(), playout.is_dry()), (ms(40), 240, false));
    }
    assert_eq!((playout.push(&[7; 80]), playout.pop_mark()), (80, None));
    playout.resume();
    let (into, _) = pull(&mut playout);
    assert_eq!((into[0], into[79], into[159]), (2, 200, 480));
    let (last, pulled) = pull(&mut playout);
    assert!(pulled.drained && pulled.queued_samples == 160);
    assert_eq!(last, [&all[480..], &[7; 80]].concat());
    assert_eq!((playout.pop_mark(), playout.played()), (due("end", true), ms(80)));
}

#[test]
fn a_pause_that_is_over_before_a_frame_changes_nothing() {
    let mut playout = playout();
    playout.push(&[1_000; 480]);
    pull(&mut playout);
    playout.pause();
    playout.resume();
    assert_eq!(pull(&mut playout).0, [1_000; 160]);
}

#[test]
fn what_was_not_sent_yet_is_paused_and_cleared_without_a_sound() {
    for clears in [false, true] {
        let mut playout = playout();
        playout.push(&[1_000; 480]);
        playout.mark("end");
        if clears {
            let marks = vec!["end".to_owned()];
            assert_eq!(playout.clear(), Cleared { played: ms(0), discarded: ms(60), marks });
        } else {
            playout.pause();
        }
        assert_eq!(pull(&mut playout).0, [0; 160]);
        playout.resume();
        let expected = if clears { [0; 160] } else { [1_000; 160] };
        assert_eq!(pull(&mut playout).0, expected, "its beginning is as it was queued");
    }
}

#[test]
fn what_follows_a_clear_comes_behind_what_fades_out_and_is_a_playback_of_its_own() {
    let mut playout = playout();
    playout.push(&[1_000; 176]);
    playout.mark("old");
    pull(&mut playout);
    // The last 2 ms fade out, and take their mark along.
    let cleared = Cleared { played: ms(22), discarded: ms(0), marks: Vec::new() };
    assert_eq!((playout.clear(), playout.queued(), playout.is_empty()), (cleared, 0, false));
    assert_eq!(playout.pop_mark(), None, "it has not been sent");
    playout.push(&[2_000; 160]);
    playout.mark("new");
    assert_eq!((playout.queued(), playout.played()), (160, ms(0)));
    // Twice is once.
    let marks = vec!["new".to_owned()];
    assert_eq!(playout.clear(), Cleared { played: ms(0), discarded: ms(20), marks });
    playout.push(&[3_000; 160]);
    let (frame, pulled) = pull(&mut playout);
    assert_eq!(pulled, Pulled { queued_samples: 160, drained: false });
    assert!(frame[..16].is_sorted_by(|a, b| a > b) && frame[15] == 0);
    assert_eq!(frame[16..], [3_000; 144]);
    assert_eq!((playout.pop_mark(), playout.pop_mark()), (due("old", true), due("new", false)));
    assert_eq!(playout.played(), ms(18));
    let (frame, pulled) = pull(&mut playout);
    assert!(pulled.drained && frame[15] == 3_000 && frame[16] == 0);
}

#[test]
fn no_edge_of_a_pause_or_a_clear_is_steeper_than_the_audio_itself() {
    for at in 0..50 {
        let mut playout = playout();
        let tone: Vec<i16> =
            (0..8_000_u16).map(|n| ((f32::from(n) * 0.1).sin() * 10_000.0) as i16).collect();
        playout.push(&tone);
        let mut heard = Vec::new();
        for n in 0..50 {
            match n {
                n if n == at => playout.pause(),
                n if n == at + 5 => playout.resume(),
                n if n == at + 10 => drop(playout.clear()),
                _ => {}
            }
            heard.extend(pull(&mut playout).0);
        }
        // 10,000 times 0.1 a sample, and what the fade adds: 10,000 in 160 samples.
        let steepest = heard.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
        assert!(steepest <= Some(1_065), "{steepest:?} at frame {at}");
    }
}

#[test]
fn what_is_cleared_in_a_pause_was_not_played() {
    let mut playout = playout();
    playout.push(&[1; 480]);
    pull(&mut playout);
    playout.pause();
    pull(&mut playout);
    assert_eq!(playout.clear(), Cleared { played: ms(40), discarded: ms(20), marks: Vec::new() });
    playout.push(&[2; 160]);
    assert_eq!(pull(&mut playout).0, [0; 160], "the pause goes on");
    assert_eq!(playout.played(), ms(0));
    playout.resume();
    assert_eq!(pull(&mut playout).0, [2; 160]);
}
