//! What processors ask for the caller, beyond the audio.

use std::sync::{Arc, Mutex};

use sidetone::audio::MediaFormat;
use sidetone::call::{Destination, EndReason};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::{Context, NotControlled, SendDtmfError};

use crate::driver::{Moment, Rig, Script, ms};

const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// A script that does this at the first frame towards the caller, which leaves at once.
fn at_first(act: impl FnOnce(&mut Context<'_>) + Send + 'static) -> Script {
    let mut act = Some(act);
    Box::new(move |moment, cx| {
        if let (Moment::Downlink(_), Some(act)) = (moment, act.take()) {
            act(cx);
        }
    })
}

fn sales() -> Destination {
    let (context, extension) = (Some("sales".to_owned()), Some("200".to_owned()));
    Destination { context, extension, priority: None }
}

/// The latest events of a call as JSON, without their times and figures.
fn told(rig: &Rig) -> Vec<String> {
    let json = rig.events().map(|(_, kind)| {
        let mut value = serde_json::to_value(kind).expect("events have a JSON form");
        value.as_object_mut().expect("an object").remove("stats");
        value.to_string()
    });
    json.collect()
}

#[test]
fn a_transfer_is_told_and_ends_the_call_at_once() {
    let mut rig = Rig::rtp_controlled(
        FORMAT,
        at_first(|cx| {
            cx.play(&[1_000; 8_000]);
            assert_eq!(cx.transfer(sales()), Ok(()));
            // Too late.
            assert_eq!(cx.transfer(Destination::default()), Ok(()));
            cx.hangup();
        }),
    );
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Transferred);
    assert_eq!(
        told(&rig)[1..],
        [
            r#"{"destination":{"context":"sales","extension":"200"},"type":"transfer"}"#,
            r#"{"reason":"transferred","type":"call_ended"}"#,
        ]
    );
    assert_eq!(rig.sent().count(), 1, "what waits is not played");
}

#[test]
fn a_call_that_is_hung_up_first_is_not_transferred() {
    let mut rig = Rig::rtp_controlled(
        FORMAT,
        at_first(|cx| {
            cx.hangup();
            assert_eq!(cx.transfer(sales()), Ok(()));
        }),
    );
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.count(|kind| matches!(kind, EventKind::Transfer { .. })), 0);
}

#[test]
fn a_call_that_no_ari_controls_refuses_a_transfer_and_goes_on() {
    let answer = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answer);
    let script = at_first(move |cx| *kept.lock().unwrap() = Some(cx.transfer(sales())));
    let mut rig = Rig::rtp_with(FORMAT, MediaSettings::default(), script);
    rig.run_until(ms(100));
    assert_eq!(*answer.lock().unwrap(), Some(Err(NotControlled)));
    assert_eq!(rig.events().count(), 1, "nothing but its start");
    assert_eq!(rig.sent().count(), 6);
}

#[test]
fn digits_for_the_caller_are_told_in_order_and_what_is_none_is_named() {
    let mut rig = Rig::rtp_controlled(
        FORMAT,
        at_first(|cx| {
            assert_eq!(cx.send_dtmf("0123456789*#ABCD"), Ok(()));
            assert_eq!(cx.send_dtmf("ad"), Ok(()));
            assert_eq!(cx.send_dtmf("12w"), Err(SendDtmfError::NoDigit { actual: 'w' }));
            let error = cx.send_dtmf("E").unwrap_err();
            assert_eq!(error.to_string(), "'E' is no digit; allowed: 0 to 9, *, #, A to D");
            for (digits, actual) in [(String::new(), 0), ("1".repeat(101), 101)] {
                assert_eq!(cx.send_dtmf(&digits), Err(SendDtmfError::Count { actual, most: 100 }));
            }
        }),
    );
    rig.run_until(ms(100));
    assert_eq!(
        told(&rig)[1..],
        [
            r#"{"digits":"0123456789*#ABCD","type":"send_dtmf"}"#,
            r#"{"digits":"AD","type":"send_dtmf"}"#,
        ]
    );
}

#[test]
fn a_call_that_no_ari_controls_gets_no_digits() {
    let answer = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answer);
    let script = at_first(move |cx| *kept.lock().unwrap() = Some(cx.send_dtmf("1")));
    let mut rig = Rig::rtp_with(FORMAT, MediaSettings::default(), script);
    rig.run_until(ms(100));
    assert_eq!(*answer.lock().unwrap(), Some(Err(SendDtmfError::NotControlled(NotControlled))));
    assert_eq!(rig.events().count(), 1);
}

#[test]
fn a_call_that_is_hung_up_when_all_is_played_says_its_last_word_first() {
    let script = at_first(|cx| {
        cx.play(&[1_000; 700]);
        cx.hangup_when_played();
        // On top, before the end.
        cx.play(&[1_000; 60]);
        cx.mark("bye");
    });
    let mut rig = Rig::rtp_controlled(FORMAT, script);
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(
        told(&rig)[1..],
        [
            r#"{"type":"playback_done"}"#,
            r#"{"name":"bye","played":true,"type":"mark"}"#,
            r#"{"reason":"processor","type":"call_ended"}"#,
        ]
    );
    // The frame at 0 had left before; five of the six behind it have all of the audio.
    assert_eq!(rig.sent().map(|(at, _)| at).last(), Some(ms(100)));
}

#[test]
fn a_call_with_nothing_to_play_is_hung_up_at_once() {
    let mut rig = Rig::rtp_controlled(FORMAT, at_first(|cx| cx.hangup_when_played()));
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.sent().count(), 1);
}

#[test]
fn what_the_news_of_a_mark_brings_is_played_before_the_call_is_hung_up() {
    let script: Script = Box::new(|moment, cx| match moment {
        Moment::Downlink(_) if cx.now().0 == 0 => {
            cx.play(&[1_000; 160]);
            cx.mark("more");
            cx.hangup_when_played();
        }
        Moment::Event(EventKind::Mark { name, .. }) if name == "more" => {
            cx.play(&[1_000; 320]);
        }
        _ => {}
    });
    let mut rig = Rig::rtp_controlled(FORMAT, script);
    rig.run_until(ms(500));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.sent().map(|(at, _)| at).last(), Some(ms(60)));
}

#[test]
fn in_a_pause_a_call_is_hung_up_when_what_waits_is_cleared() {
    let script: Script = Box::new(|moment, cx| match moment {
        Moment::Downlink(_) if cx.now().0 == 0 => {
            cx.play(&[1_000; 1_600]);
            cx.pause();
            cx.hangup_when_played();
        }
        Moment::Downlink(_) if cx.now().0 == 8_000 => {
            cx.clear();
        }
        _ => {}
    });
    let mut rig = Rig::rtp_controlled(FORMAT, script);
    rig.run_until(ms(2_000));
    assert_eq!(rig.ended(), EndReason::Processor);
    assert_eq!(rig.events().last().map(|(at, _)| at), Some(ms(1_000)));
}
