//! The event stream: lost, silent, full of garbage, taken by others; and what it hid.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sidetone::ari::{AsteriskSettings, OnEnd};

use crate::peer::{Peer, Step};
use crate::support::{Server, connected, nothing_left, settings, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_event_stream_does_not_touch_calls_and_what_it_hid_is_found_out() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let callers: Vec<_> = (0..3).map(|_| peer.call(&["echo"])).collect();
    until("bridged", || callers.iter().all(|caller| peer.is_bridged(caller))).await;

    let streams = peer.streams();
    peer.cut_stream();
    peer.hang_up(&callers[0]);
    until("back", || peer.streams() > streams && server.is_connected()).await;
    until("one call ends", || server.media().call_count() == 2).await;
    assert!(peer.is_bridged(&callers[1]) && peer.is_bridged(&callers[2]));

    peer.lose_everything();
    nothing_left("restart of Asterisk", &server, &peer).await;
    until("back", || server.is_connected() && peer.has_stream()).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    server.stop(Duration::ZERO).await;
    assert!(peer.leftovers().is_empty(), "{:?}", peer.leftovers());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leftovers_of_a_crash_are_removed_and_stranded_callers_sent_on() {
    let peer = Peer::start().await;
    let orphan = "sidetone.01934a5b-0000-7000-8000-000000000001";
    peer.place_channel(&format!("{orphan}.m"));
    peer.place_bridge(&format!("{orphan}.b"));
    peer.place_bridge("conference");
    peer.place_channel("1700000000.1");
    let server = connected(settings(&peer), &peer).await;
    until("removed", || peer.leftovers() == ["conference"]).await;
    assert_eq!(peer.continued(), ["1700000000.1"]);
    server.stop(Duration::ZERO).await;
    assert_eq!(peer.leftovers(), ["conference"], "what is not ours stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_enters_while_the_lists_are_made_is_served() {
    let peer = Peer::start().await;
    peer.caller_slips_in(Duration::from_millis(600));
    let server = connected(settings(&peer), &peer).await;
    until("bridged", || peer.is_bridged("slipped.1")).await;
    // Longer than any second look at callers without a call may take.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(peer.is_bridged("slipped.1") && peer.continued().is_empty());
    peer.hang_up("slipped.1");
    nothing_left("slipped in", &server, &peer).await;
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_over_before_the_second_look_is_not_stranded() {
    let peer = Peer::start().await;
    peer.caller_slips_in(Duration::from_millis(100));
    let stranded = OnEnd::Hangup;
    let server = connected(AsteriskSettings { stranded, ..settings(&peer) }, &peer).await;
    until("bridged", || peer.is_bridged("slipped.1")).await;
    // An attendant's transfer: the caller goes on in the dialplan.
    let released = peer.carried(Step::Release);
    peer.leave_app("slipped.1");
    nothing_left("gone on", &server, &peer).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(peer.has_channel("slipped.1"), "a caller in the dialplan was hung up");
    assert_eq!(peer.carried(Step::Release), released);
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_event_stream_is_counted_and_skipped() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let streams = peer.streams();
    for text in ["", "{", "[]", r#"{"type":7}"#, r#"{"type":"StasisStart"}"#, r#"{"type":"New"}"#] {
        peer.say(text.to_owned());
    }
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    assert_eq!(peer.streams(), streams, "the stream lives");
    let unreadable = server.handle().metrics().bad_events.load(Ordering::Relaxed);
    assert_eq!(unreadable, 5, "an event of an unknown type is none of them");
    peer.hang_up(&caller);
    nothing_left("garbage", &server, &peer).await;
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_too_long_costs_the_stream_and_no_call() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    let streams = peer.streams();
    peer.say(format!(r#"{{"type":"{}"}}"#, "x".repeat(64 << 20)));
    until("another stream", || peer.streams() > streams && server.is_connected()).await;
    assert!(peer.is_bridged(&caller));
    peer.hang_up(&caller);
    nothing_left("too long", &server, &peer).await;
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_without_a_sign_of_life_is_opened_again() {
    let peer = Peer::start().await;
    peer.mute(true);
    let quick = AsteriskSettings { ping_every: Duration::from_millis(100), ..settings(&peer) };
    let server = Server::start(quick).await;
    until("given up twice", || peer.streams() >= 3).await;
    peer.mute(false);
    let streams = peer.streams();
    until("another stream", || peer.streams() > streams && server.is_connected()).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    peer.hang_up(&caller);
    nothing_left("alive", &server, &peer).await;
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_taken_over_is_taken_back_but_not_in_a_hurry() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let streams = peer.streams();
    peer.say(r#"{"type":"ApplicationReplaced","application":"sidetone"}"#.to_owned());
    until("noticed", || !server.is_connected()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(peer.streams(), streams, "two servers would take it from each other for ever");
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_comes_later_is_found() {
    let peer = Peer::start().await;
    let (settings, address) = (settings(&peer), peer.address());
    drop(peer);
    let server = Server::start(settings).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.is_connected());
    let peer = Peer::start_at(address).await;
    until("connected", || server.is_connected() && peer.has_stream()).await;
    server.stop(Duration::ZERO).await;
}
