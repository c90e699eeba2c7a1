//! Services that fail: one event, a counter, and audio that does not notice.

use std::sync::atomic::Ordering;

use sidetone::event::EventKind;

use crate::media_rig::{Call, block_on};
use crate::rig::{Rig, quick, reasons};
use crate::steady::steady;
use crate::websocket_peer::{Behaviour, Peer, Trade};

/// Three seconds.
const FRAMES: usize = 150;

/// One call with a service whose connections behave so, another call beside it.
async fn suffer(behaviours: &[Behaviour]) -> (Rig, Peer, Call) {
    let peer = Peer::start(Trade::Vosk, behaviours).await;
    let rig = Rig::start(quick(peer.url())).await;
    let (call, other) = tokio::join!(rig.call("stt", FRAMES, 1), rig.call("echo", FRAMES, 2));
    call.check_echo();
    other.check_echo();
    (rig, peer, call)
}

#[test]
fn a_connection_that_fails_is_told_once_and_the_next_one_hears_all() {
    for (behaviour, reason) in [
        (Behaviour::Refuses, "refused"),
        (Behaviour::Stalled, "silent"),
        (Behaviour::Dribbles, "silent"),
        (Behaviour::Noise, "protocol"),
        (Behaviour::Huge, "too_long"),
    ] {
        steady(|| {
            block_on(async {
                let (rig, peer, mut call) = suffer(&[behaviour, Behaviour::Good]).await;
                let metrics = rig.service.metrics();
                assert_eq!(
                    metrics.faults.of(reason),
                    1,
                    "{behaviour:?}: {:?}",
                    metrics.faults.all()
                );
                assert_eq!(metrics.faults.all().len(), 1, "{:?}", metrics.faults.all());
                assert_eq!(metrics.dropped_samples.load(Ordering::Relaxed), 0);
                rig.service.finish().await;
                let events = call.events();
                assert_eq!(reasons(&events), [reason], "{behaviour:?}");
                assert_eq!(peer.connections(), 2);
                assert!(peer.heard(1) == call.said, "{behaviour:?}: it heard something else");
                assert!(events.iter().any(|event| matches!(event, EventKind::Transcript(_))));
                rig.stop().await;
            });
        });
    }
}

#[test]
fn a_service_that_is_killed_is_told_what_it_had_not_acknowledged_again() {
    steady(|| {
        block_on(async {
            let (rig, peer, mut call) = suffer(&[Behaviour::Killed, Behaviour::Good]).await;
            rig.service.finish().await;
            let events = call.events();
            let [reason] = reasons(&events)[..] else { panic!("{:?}", reasons(&events)) };
            // As the system tells it: by a reset, or by an end without a word.
            assert!(["closed", "broken", "protocol"].contains(&reason), "{reason}");
            assert_eq!(rig.service.metrics().faults.of(reason), 1);
            assert!(peer.heard(0) == call.said[..peer.heard(0).len()]);
            assert!(peer.heard(1) == call.said, "it never acknowledged anything");
            let replayed = rig.service.metrics().replayed_samples.load(Ordering::Relaxed);
            assert!(replayed as usize >= peer.heard(0).len());
            rig.stop().await;
        });
    });
}

#[test]
fn answers_that_make_no_sense_are_counted_and_the_connection_stays() {
    for (behaviour, reason) in [(Behaviour::Garbage, "unreadable"), (Behaviour::Binary, "binary")] {
        steady(|| {
            block_on(async {
                let (rig, peer, mut call) = suffer(&[behaviour]).await;
                assert_eq!(reasons(&call.events()), [reason]);
                let count = rig.service.metrics().faults.of(reason);
                assert!(count > 20, "{count} answers to three seconds in pieces of 100 ms");
                assert_eq!(peer.connections(), 1);
                rig.stop().await;
            });
        });
    }
}

#[test]
fn a_service_that_is_not_there_costs_a_call_its_transcript_and_nothing_else() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::Vosk, &[Behaviour::Good]).await;
            let url = peer.url();
            drop(peer);
            let mut settings = quick(url);
            settings.session.buffer = std::time::Duration::from_secs(1);
            let rig = Rig::start(settings).await;
            let mut call = rig.call("stt", FRAMES, 3).await;
            call.check_echo();
            assert_eq!(reasons(&call.events()), ["unreachable", "dropped"]);
            let metrics = rig.service.metrics();
            assert!(metrics.faults.of("unreachable") > 5, "it was tried again and again");
            let dropped = metrics.dropped_samples.load(Ordering::Relaxed);
            assert!((15_000..=17_000).contains(&dropped), "{dropped} of 24,000 samples");
            rig.stop().await;
        });
    });
}
