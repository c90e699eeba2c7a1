//! The session against the peer: whatever goes wrong, nothing is left behind.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::ari::{AriSession, AsteriskSettings, OnEnd, Secret};
use sidetone::call::EndReason;
use sidetone::media::MediaSettings;
use sidetone::processor::Registry;
use sidetone::processor::recorder::RecorderSettings;
use sidetone::runtime::recording::Recordings;
use sidetone::runtime::{Clock, MediaHandle, RtpSettings, Runtime, RuntimeSettings};

use crate::peer::{self, Fault, Peer, Step};

const PATIENCE: Duration = Duration::from_secs(20);

pub fn settings(peer: &Peer) -> AsteriskSettings {
    AsteriskSettings {
        url: peer.url(),
        user: peer::USER.to_owned(),
        password: Secret::new(peer::PASSWORD),
        app: peer::APP.to_owned(),
        request_timeout: Duration::from_millis(400),
        ping_every: Duration::from_millis(500),
        reconnect_min: Duration::from_millis(20),
        reconnect_max: Duration::from_millis(200),
        ..AsteriskSettings::default()
    }
}

/// The media side, and one session.
pub struct Server {
    runtime: Runtime,
    session: AriSession,
    _recordings: tempfile::TempDir,
}

impl Server {
    pub async fn start(settings: AsteriskSettings) -> Self {
        let clock = Clock::new();
        let folder = tempfile::tempdir().unwrap();
        let recorder =
            RecorderSettings { directory: folder.path().to_owned(), ..Default::default() };
        let recordings = Recordings::start(recorder, clock).unwrap();
        let mut registry = Registry::default();
        registry.add_pipeline::<&str>("echo", &[]).unwrap();
        let mut runtime = RuntimeSettings {
            shards: 1,
            rtp: RtpSettings { port: 0, ..Default::default() },
            ..Default::default()
        };
        runtime.audiosocket.enabled = false;
        let pipeline = registry.pipeline("echo").unwrap();
        let media = MediaSettings::default();
        let runtime = Runtime::start(&runtime, &media, pipeline, recordings, clock).await.unwrap();
        let session =
            AriSession::start(settings, runtime.handle().clone(), Arc::new(registry)).unwrap();
        Self { runtime, session, _recordings: folder }
    }

    pub fn media(&self) -> &MediaHandle {
        self.runtime.handle()
    }

    pub fn is_connected(&self) -> bool {
        self.session.handle().is_connected()
    }

    pub async fn stop(self, grace: Duration) {
        self.session.stop(grace).await;
        self.runtime.stop().await;
    }
}

/// Waits until `condition` holds; fails after [`PATIENCE`].
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let clock = Clock::new();
    let deadline = clock.now() + PATIENCE;
    while !condition() {
        assert!(clock.now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn connected(settings: AsteriskSettings, peer: &Peer) -> Server {
    let server = Server::start(settings).await;
    until("connected", || server.is_connected() && peer.has_stream()).await;
    server
}

async fn nothing_left(what: &str, server: &Server, peer: &Peer) {
    let clock = Clock::new();
    let deadline = clock.now() + PATIENCE;
    loop {
        let (leftovers, calls) = (peer.leftovers(), server.media().call_count());
        if leftovers.is_empty() && calls == 0 {
            return;
        }
        assert!(clock.now() < deadline, "{what} leaves {leftovers:?}, {calls} calls in media");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

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
    let unreadable = server.session.handle().metrics().bad_events.load(Ordering::Relaxed);
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

/// Collects what is logged by the thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub fn collect(&self) -> tracing::subscriber::DefaultGuard {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || log.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
