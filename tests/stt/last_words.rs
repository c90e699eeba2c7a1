//! What is heard at the end of a call, and of the server.

use std::time::Duration;

use sidetone::event::EventKind;

use crate::media_rig::block_on;
use crate::rig::{Rig, quick};
use crate::steady::steady;
use crate::websocket_peer::{Behaviour, Peer, Trade};

#[test]
fn the_last_words_come_behind_the_end_of_the_call() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::Vosk, &[Behaviour::Good]).await;
            let rig = Rig::start(quick(peer.url())).await;
            let mut call = rig.call("stt", 50, 1).await;
            rig.service.finish().await;
            assert!(peer.heard(0) == call.said, "to the last sample");
            let events = call.told();
            let place = |is: fn(&EventKind) -> bool| events.iter().position(|it| is(&it.kind));
            let ended = place(|kind| matches!(kind, EventKind::CallEnded { .. }));
            let ready = place(|kind| matches!(kind, EventKind::MediaReady { .. }));
            let last = &events.last().expect("events").kind;
            let EventKind::Transcript(heard) = last else { panic!("{last:?}") };
            assert!(ended.expect("the call ends") < events.len() - 1);
            assert_eq!((heard.text.as_str(), heard.is_final), ("bye", true));
            // The first frame lies where it arrived, to the nearest sample.
            let first = events[ready.expect("audio comes")].media_time;
            let half = Duration::from_micros(63);
            let possible = [first.saturating_sub(half), first + half].map(|at| at.as_millis());
            assert!(possible.contains(&u128::from(heard.start_ms - 100)), "{first:?}: {heard:?}");
            assert_eq!(heard.end_ms - heard.start_ms, 300);
            rig.stop().await;
        });
    });
}

#[test]
fn a_service_that_never_answers_does_not_hold_up_the_end() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::Vosk, &[Behaviour::Stalled]).await;
            let mut settings = quick(peer.url());
            settings.session.finish = Duration::from_millis(300);
            settings.link.ping_every = Duration::from_secs(60);
            let rig = Rig::start(settings).await;
            let mut call = rig.call("stt", 20, 1).await;
            call.check_echo();
            let waiting = tokio::time::timeout(Duration::from_secs(3), rig.service.finish());
            waiting.await.expect("the time for last words, and for closing");
            let events = call.events();
            assert!(!events.iter().any(|event| matches!(event, EventKind::Transcript(_))));
            rig.stop().await;
        });
    });
}
