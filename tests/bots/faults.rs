//! Bots that fail: one event, a counter, and calls that go on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sidetone::call::EndReason;
use sidetone::event::EventKind;
use sidetone::processor::bot::{Behaviour as OnShard, Dialect};

use crate::media_rig::{Call, block_on};
use crate::rig::{Rig, count, quick, reasons, sounds};
use crate::steady::steady;
use crate::websocket_peer::{Behaviour, Peer, Trade};

/// Three seconds.
const FRAMES: usize = 150;

/// One call with a bot whose connections behave so, another call beside it.
async fn suffer(behaviours: &[Behaviour]) -> (Rig, Peer, Call) {
    let peer = Peer::start(Trade::EchoBot, behaviours).await;
    let rig = Rig::start(quick(&peer.url())).await;
    let (call, other) = tokio::join!(rig.call("bot", FRAMES, 1), rig.call("echo", FRAMES, 2));
    other.check_echo();
    (rig, peer, call)
}

#[test]
fn a_connection_that_fails_before_a_word_is_told_once_and_the_next_bot_hears_all() {
    for (behaviour, reason) in [
        (Behaviour::Refuses, "refused"),
        (Behaviour::Noise, "protocol"),
        (Behaviour::Huge, "too_long"),
    ] {
        steady(|| {
            block_on(async {
                let (rig, peer, mut call) = suffer(&[behaviour, Behaviour::Good]).await;
                let faults = &rig.bot.metrics().faults;
                assert_eq!(faults.all(), [(reason, 1)], "{behaviour:?}");
                let events = call.events();
                assert_eq!(reasons(&events), [reason], "{behaviour:?}");
                assert_eq!(peer.connections(), 2);
                // What went into a connection that was dying is gone with it, and nothing else.
                let (heard, lost) = (sounds(&call.heard), sounds(&peer.heard(1)));
                assert!(call.said.ends_with(&lost), "{behaviour:?}");
                assert!(call.said.len() - lost.len() < 16_000, "{behaviour:?}: {}", lost.len());
                assert!(heard == lost, "{behaviour:?}: the caller hears what the bot has heard");
                rig.stop().await;
            });
        });
    }
}

#[test]
fn a_bot_that_does_not_read_or_comes_byte_by_byte_is_replaced() {
    for behaviour in [Behaviour::Stalled, Behaviour::Dribbles] {
        steady(|| {
            block_on(async {
                let (rig, peer, mut call) = suffer(&[behaviour, Behaviour::Good]).await;
                let faults = &rig.bot.metrics().faults;
                assert_eq!(faults.all(), [("silent", 1)], "{behaviour:?}");
                assert_eq!(reasons(&call.events()), ["silent"], "{behaviour:?}");
                let (heard, second) = (sounds(&call.heard), sounds(&peer.heard(1)));
                assert!(call.said.ends_with(&second) && second.len() > 8_000, "{behaviour:?}");
                assert!(heard == second, "{behaviour:?}");
                rig.stop().await;
            });
        });
    }
}

#[test]
fn a_bot_that_is_killed_is_followed_by_the_next_and_little_is_lost() {
    steady(|| {
        block_on(async {
            let (rig, peer, mut call) = suffer(&[Behaviour::Killed, Behaviour::Good]).await;
            let events = call.events();
            let [reason] = reasons(&events)[..] else { panic!("{:?}", reasons(&events)) };
            // As the system tells it: by a reset, or by an end without a word.
            assert!(["closed", "broken", "protocol"].contains(&reason), "{reason}");
            assert_eq!(count(&events, |e| matches!(e, EventKind::BotConnected { .. })), 2);
            let second = sounds(&peer.heard(1));
            assert!(call.said.ends_with(&second));
            let heard = sounds(&peer.heard(0)).len() + second.len();
            // What was on its way when the bot died: some messages of 20 ms.
            assert!(call.said.len() - heard < 8_000, "{heard} of {}", call.said.len());
            assert!(peer.texts().iter().filter(|text| text.contains("\"start\"")).count() == 2);
            rig.stop().await;
        });
    });
}

#[test]
fn what_makes_no_sense_is_counted_and_the_connection_stays() {
    for (behaviour, dialect) in
        [(Behaviour::Garbage, Dialect::Sidetone), (Behaviour::Binary, Dialect::Twilio)]
    {
        steady(|| {
            block_on(async {
                let peer = Peer::start(Trade::EchoBot, &[behaviour]).await;
                let mut settings = quick(&peer.url());
                settings.session.dialect = dialect;
                let rig = Rig::start(settings).await;
                let (mut call, other) =
                    tokio::join!(rig.call("bot", FRAMES, 1), rig.call("echo", FRAMES, 2));
                other.check_echo();
                assert!(sounds(&call.heard).is_empty(), "{behaviour:?}");
                assert_eq!(peer.connections(), 1);
                if dialect == Dialect::Sidetone {
                    assert_eq!(reasons(&call.events()), ["unreadable"]);
                    let counted = rig.bot.metrics().faults.of("unreadable");
                    assert!(counted > 100, "{counted} answers to 150 messages");
                    let told = peer.texts().iter().filter(|t| t.contains("\"error\"")).count();
                    assert_eq!(told, 1, "the bot is told once");
                }
                rig.stop().await;
            });
        });
    }
}

#[test]
fn a_bot_that_closes_in_good_order_ends_the_call() {
    steady(|| {
        block_on(async {
            let (rig, _peer, mut call) = suffer(&[Behaviour::Ends]).await;
            let events = call.events();
            assert_eq!(reasons(&events), [""; 0]);
            assert_eq!(count(&events, |e| matches!(e, EventKind::BotEnded { .. })), 1);
            let ended = EndReason::Processor;
            let is_end = |e: &&EventKind| matches!(e, EventKind::CallEnded { .. });
            let last = events.iter().find(is_end).unwrap();
            assert!(matches!(last, EventKind::CallEnded { reason, .. } if *reason == ended));
            // Nine messages came back before that, of which some were silence before the first word.
            let heard = sounds(&call.heard);
            assert!(call.said.starts_with(&heard), "it is played to the end");
            assert!((640..=9 * 160).contains(&heard.len()), "{} samples", heard.len());
            rig.stop().await;
        });
    });
}

#[test]
fn a_bot_that_is_not_there_is_given_up_and_the_caller_hears_why() {
    steady(|| {
        block_on(async {
            let peer = Peer::start(Trade::EchoBot, &[Behaviour::Good]).await;
            let url = peer.url();
            drop(peer);
            let mut settings = quick(&url);
            settings.session.give_up = Duration::from_millis(1_000);
            let mut on_shard = OnShard::default();
            on_shard.fallback.play = Some("tone:425/200".parse().unwrap());
            settings.behaviour = on_shard;
            let rig = Rig::start(settings).await;
            let mut call = rig.call("bot", FRAMES, 3).await;
            let events = call.events();
            assert_eq!(reasons(&events), ["unreachable"]);
            assert_eq!(count(&events, |e| matches!(e, EventKind::BotGaveUp { .. })), 1);
            assert_eq!(rig.bot.metrics().fallbacks.load(Ordering::Relaxed), 1);
            assert!(rig.bot.metrics().faults.of("unreachable") > 3, "it was tried again and again");
            let silence = call.heard.iter().take_while(|sample| sample.abs() < 100).count();
            assert!((7_000..10_000).contains(&silence), "it began after {silence} samples");
            // 200 ms of tone, to the end, and then the call is over.
            let rest = call.heard.len() - silence;
            assert!((1_590..=2_400).contains(&rest), "{rest} samples");
            rig.stop().await;
        });
    });
}
