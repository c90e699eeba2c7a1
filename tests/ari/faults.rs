//! Requests that fail at any step: nothing is left behind, and the log stays readable.

use std::time::Duration;

use sidetone::call::EndReason;
use sidetone::runtime::Clock;

use crate::peer::{self, Fault, Peer, Step};
use crate::support::{Log, Server, connected, nothing_left, settings, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_at_any_step_of_the_set_up_nothing_is_left_behind() {
    let steps = [
        Step::Answer,
        Step::CreateBridge,
        Step::CreateExternal,
        Step::JoinCaller,
        Step::JoinExternal,
    ];
    let faults = [
        Fault::Status(500),
        Fault::Status(404),
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::NoAnswer,
        Fault::Garbage,
        Fault::CallerHangsUp,
        Fault::ExternalDies,
        Fault::StreamCut,
    ];
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    for step in steps {
        for fault in faults {
            let what = format!("{fault:?} at {step:?}");
            until("connected", || server.is_connected() && peer.has_stream()).await;
            peer.fail(step, fault);
            let caller = peer.call(&["echo"]);
            until(&what, || peer.faults_left() == 0).await;
            // Where the call lives all the same, the caller ends it once it is up.
            let settled = || peer.is_bridged(&caller) || !peer.is_in_app(&caller);
            until(&format!("{what}: settled"), settled).await;
            peer.hang_up(&caller);
            nothing_left(&what, &server, &peer).await;
        }
    }
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_fails_is_tried_again() {
    let steps = [Step::Release, Step::RemoveExternal, Step::RemoveBridge];
    let faults = [
        Fault::Status(500),
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::NoAnswer,
        Fault::CallerHangsUp,
        Fault::StreamCut,
    ];
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    for step in steps {
        for fault in faults {
            let what = format!("{fault:?} at {step:?}");
            until("connected", || server.is_connected() && peer.has_stream()).await;
            let caller = peer.call(&["echo"]);
            until(&what, || peer.is_bridged(&caller)).await;
            peer.fail(step, fault);
            server.media().end(server.media().calls()[0].id, EndReason::Requested);
            nothing_left(&what, &server, &peer).await;
            assert_eq!(peer.faults_left(), 0, "{what}");
        }
    }
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_asterisk_makes_after_we_gave_it_up_is_removed() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    for late in [500, 700, 1_500] {
        peer.fail(Step::CreateExternal, Fault::LateAndNoAnswer(Duration::from_millis(late)));
        let before = peer.carried(Step::CreateExternal);
        let caller = peer.call(&["echo"]);
        until("sent on", || peer.continued().contains(&caller)).await;
        until("made", || peer.carried(Step::CreateExternal) > before).await;
        nothing_left(&format!("{late} ms late"), &server, &peer).await;
    }
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asterisk_that_does_not_answer_does_not_hold_a_stop_for_ever() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    for step in [Step::Release, Step::RemoveExternal, Step::RemoveBridge, Step::List] {
        for _ in 0..100 {
            peer.fail(step, Fault::NoAnswer);
        }
    }
    let start = Clock::new().now();
    server.stop(Duration::ZERO).await;
    assert!(Clock::new().now() - start < Duration::from_secs(20));
}

#[tokio::test]
async fn a_refused_user_is_told_without_the_password_and_without_a_flood() {
    let log = Log::default();
    let _guard = log.collect();
    let peer = Peer::start().await;
    peer.refuse_user();
    let server = Server::start(settings(&peer)).await;
    until("refused", || peer.refused() >= 5).await;
    assert!(!server.is_connected());
    let text = log.text();
    assert!(text.contains("ari.conf"), "{text}");
    assert!(!text.contains(peer::PASSWORD), "{text}");
    assert!(text.lines().count() < 5, "{text}");
    server.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn callers_who_cannot_be_served_do_not_flood_the_log() {
    let log = Log::default();
    let _guard = log.collect();
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let start = Clock::new().now();
    for _ in 0..200 {
        peer.call(&["ecko"]);
    }
    until("all sent on", || peer.continued().len() == 200).await;
    let seconds = (Clock::new().now() - start).as_secs() + 1;
    let lines = log.text().lines().filter(|line| line.contains("WARN")).count();
    assert!(lines as u64 <= 5 * seconds, "{lines} warnings in {seconds} s");
    assert!(log.text().contains("ecko"), "the value is named");
    server.stop(Duration::ZERO).await;
}
