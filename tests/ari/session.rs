//! Calls of a session from their start to their end, and the end of the session.

use std::time::Duration;

use sidetone::call::EndReason;
use sidetone::runtime::Clock;

use crate::peer::{Fault, Peer, Step};
use crate::support::{connected, nothing_left, settings, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_bridged_with_us_hears_silence_and_leaves_nothing() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;

    let media = peer.media.try_clone().unwrap();
    let packet = tokio::task::spawn_blocking(move || {
        let mut packet = [0; 2048];
        media.recv(&mut packet).map(|length| (packet[1] & 0x7f, length))
    });
    assert_eq!(packet.await.unwrap().unwrap(), (0, 12 + 160), "one frame of ulaw");

    peer.hang_up(&caller);
    nothing_left("hang-up", &server, &peer).await;
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_is_hung_up_or_sent_on_when_the_media_side_ends_the_call() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    for (args, continued) in [(&["echo"][..], 0), (&["echo", "on_end=continue"], 1)] {
        let caller = peer.call(args);
        until("bridged", || peer.is_bridged(&caller)).await;
        let call = server.media().calls()[0].id;
        server.media().end(call, EndReason::Requested);
        nothing_left("ended by us", &server, &peer).await;
        assert_eq!(peer.continued().len(), continued, "{args:?}");
        assert_eq!(peer.has_channel(&caller), continued == 1, "{args:?}");
    }
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_arguments_send_the_caller_on() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let wrong: [&[&str]; 5] = [
        &["ecko"],
        &["echo", "media=udp"],
        &["echo", "format=slin8"],
        &["echo", "on_end=stay"],
        &["echo", "media=audiosocket"],
    ];
    for args in wrong {
        let caller = peer.call(args);
        until("sent on", || peer.continued().contains(&caller)).await;
    }
    nothing_left("wrong arguments", &server, &peer).await;
    assert_eq!(peer.carried(Step::CreateBridge), 0);
    server.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_sends_new_callers_on_waits_for_calls_and_leaves_nothing() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let media = server.media().clone();
    let callers: Vec<_> = (0..3).map(|_| peer.call(&["echo"])).collect();
    until("bridged", || callers.iter().all(|caller| peer.is_bridged(caller))).await;
    let start = Clock::new().now();
    let stopping = tokio::spawn(server.stop(Duration::from_millis(700)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let late = peer.call(&["echo"]);
    until("sent on", || peer.continued().contains(&late)).await;
    peer.hang_up(&callers[0]);
    until("one ends", || media.call_count() == 2).await;
    stopping.await.unwrap();
    let took = Clock::new().now() - start;
    assert!(took >= Duration::from_millis(700), "{took:?}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(peer.leftovers().is_empty(), "{:?}", peer.leftovers());
    assert!(!peer.has_channel(&callers[1]), "hung up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_without_calls_is_over_at_once_and_closes_the_event_stream() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let start = Clock::new().now();
    server.stop(Duration::from_secs(30)).await;
    assert!(Clock::new().now() - start < Duration::from_secs(3));
    until("closed", || !peer.has_stream()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_turned_away_by_a_stop_is_sent_on_before_the_stop_is_over() {
    let peer = Peer::start().await;
    let server = connected(settings(&peer), &peer).await;
    let caller = peer.call(&["echo"]);
    until("bridged", || peer.is_bridged(&caller)).await;
    let stopping = tokio::spawn(server.stop(Duration::from_secs(30)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The first try fails while the last call ends.
    peer.fail(Step::Release, Fault::Status(500));
    let late = peer.call(&["echo"]);
    until("tried", || peer.faults_left() == 0).await;
    peer.hang_up(&caller);
    stopping.await.unwrap();
    assert!(!peer.is_in_app(&late), "a caller waits for a server that has gone");
}
