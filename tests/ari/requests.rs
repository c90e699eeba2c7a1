//! What processors ask of Asterisk for their callers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::peer::{Fault, Peer, Step};
use crate::support::{Log, connected, nothing_left, settings, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_sent_where_a_processor_says_whatever_on_end_says() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    for args in [
        &["obedient", "context=sales", "extension=200", "priority=3"][..],
        &["obedient", "extension=200"],
        &["obedient", "context=sales", "on_end=continue"],
    ] {
        let caller = peer.call(args);
        until("sent on", || peer.continued().contains(&caller)).await;
        nothing_left("transferred", &server, &peer).await;
    }
    // Callers of the peer come from extension `s` of the context `c`.
    assert_eq!(peer.places(), ["sales,200,3", "c,200,1", "sales,s,1"]);
    assert_eq!(server.handle().metrics().failed_transfers.load(Ordering::Relaxed), 0);
    server.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_caller_who_is_sent_where_nothing_is_goes_on_as_on_end_says_and_that_is_told() {
    let log = Log::default();
    let _guard = log.collect();
    let peer = Peer::start().await;
    peer.remove_place("sales,999,1");
    let server = connected(settings(&peer), &peer).await;
    let to_nowhere = ["obedient", "context=sales", "extension=999"];
    let hung_up = peer.call(&to_nowhere);
    until("hung up", || !peer.has_channel(&hung_up)).await;
    // The other half of the names could be taken for a place that is there.
    for context in ["context=sales", "context=sales,200,1"] {
        let caller = peer.call(&["obedient", context, "extension=999", "on_end=continue"]);
        until("sent on", || peer.continued().contains(&caller)).await;
    }
    nothing_left("refused", &server, &peer).await;
    assert_eq!(peer.places(), [""; 2], "one was hung up, two went on behind Stasis()");
    assert_eq!(server.handle().metrics().failed_transfers.load(Ordering::Relaxed), 3);
    let text = log.text();
    assert!(text.contains("sales,999,1"), "the place is named: {text}");
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_of_a_transfer_the_caller_gets_there_or_is_let_go() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let failed = || server.handle().metrics().failed_transfers.load(Ordering::Relaxed);
    let transfer = ["obedient", "context=sales", "extension=200"];
    // Where it is not known whether the place is there, it is tried.
    for (step, fault, gets_there) in [
        (Step::LookUp, Fault::Status(500), true),
        (Step::LookUp, Fault::Status(404), true),
        (Step::LookUp, Fault::NoAnswer, true),
        (Step::LookUp, Fault::Garbage, true),
        (Step::Release, Fault::Status(500), true),
        (Step::Release, Fault::Status(409), true),
        (Step::Release, Fault::DropBefore, true),
        (Step::Release, Fault::DropAfter, true),
        (Step::Release, Fault::NoAnswer, true),
        (Step::Release, Fault::Status(400), false),
    ] {
        let what = format!("{fault:?} at {step:?}");
        let before = failed();
        peer.fail(step, fault);
        let caller = peer.call(&transfer);
        if fault == Fault::Status(409) {
            // Somebody else has sent the caller on; ours is told so.
            until(&what, || peer.faults_left() == 0).await;
            peer.leave_app(&caller);
        }
        nothing_left(&what, &server, &peer).await;
        assert_eq!(peer.faults_left(), 0, "{what}");
        assert_eq!(peer.has_channel(&caller), gets_there, "{what}");
        assert_eq!(failed() - before, u64::from(!gets_there), "{what}");
    }
    assert!(peer.places().iter().all(|place| place == "sales,200,1"));
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_pressed_in_order_and_before_the_caller_is_let_go() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let digits = "digits=1234567890*#ABCD";
    for _ in 0..20 {
        let stays = peer.call(&["obedient", digits]);
        until("pressed", || peer.pressed(&stays).concat() == digits[7..]).await;
        let leaves = peer.call(&["obedient", digits, "context=sales"]);
        until("sent on", || peer.continued().contains(&leaves)).await;
        assert_eq!(peer.pressed(&leaves).concat(), format!("{}continue", &digits[7..]));
        peer.hang_up(&stays);
        nothing_left("pressed", &server, &peer).await;
    }
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_not_pressed_are_counted_and_hold_nobody() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let dropped = || server.handle().metrics().dropped_digits.load(Ordering::Relaxed);
    for (fault, lost) in [
        (Fault::Status(500), 1),
        (Fault::Status(404), 0),
        (Fault::Status(409), 0),
        (Fault::DropBefore, 1),
        (Fault::NoAnswer, 1),
    ] {
        let before = dropped();
        peer.fail(Step::Press, fault);
        let caller = peer.call(&["obedient", "digits=1", "context=sales"]);
        until("sent on", || peer.continued().contains(&caller)).await;
        assert_eq!(dropped() - before, lost, "{fault:?}");
        nothing_left("pressed", &server, &peer).await;
    }
    server.stop(Duration::ZERO).await;
}
