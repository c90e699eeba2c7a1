//! What processors ask for the caller, beyond the audio.

use std::sync::{Arc, Mutex};

use sidetone::audio::MediaFormat;
use sidetone::call::{Destination, EndReason};
use sidetone::event::EventKind;
use sidetone::media::MediaSettings;
use sidetone::processor::{Context, NotControlled};

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
