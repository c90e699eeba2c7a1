//! Digits that Asterisk lets us know: each once, whichever ways it comes.

use crate::steady::steady;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use sidetone::audio::SampleRate;
use sidetone::config::{Config, Sources};
use sidetone::dsp::dtmf::{Dtmf, DtmfShape};
use sidetone::event::EventKind;
use sidetone::media::DigitSource;
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};
use sidetone::server::Server;
use tokio::runtime::Runtime;

use crate::asterisk::{self, ARI_PASSWORD, ARI_USER, Asterisk, LocalCall, Options};
use crate::support::SOON;

/// Every key, some of them twice in a row.
const DIALLED: &str = "11223456789900*##ABCD";

static NEXT: AtomicU32 = AtomicU32::new(0);

type Heard = Arc<Mutex<Vec<(char, DigitSource)>>>;

/// Keeps the digits that it is told.
#[derive(Clone, Default)]
struct Listener(Heard);

impl ProcessorFactory for Listener {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(self.clone())
    }
}

impl Processor for Listener {
    fn event(&mut self, event: &EventKind, _cx: &mut Context<'_>) {
        if let EventKind::Dtmf { digit, source, .. } = event {
            self.0.lock().expect("nobody panicked").push((*digit, *source));
        }
    }
}

/// A server with the pipelines `plain`, which listens, and `tones`, which listens to the audio too.
fn serve(threads: &Runtime, listener: &Listener, more: &str) -> Server {
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("sidetone.toml");
    let text = format!(
        "[server]\ngrace_ms = 0\n[rtp]\nport = 0\n[audiosocket]\nbind = \"127.0.0.1:0\"\n\
         [api]\nenabled = false\n[pipelines]\ndefault = \"plain\"\n\
         [pipelines.plain]\nprocessors = [\"listener\"]\n\
         [pipelines.tones]\nprocessors = [\"dtmf\", \"listener\"]\n{more}"
    );
    std::fs::write(&file, text).expect("the folder is writable");
    let sources = Sources { file: Some(&file), ..Sources::default() };
    let config = Config::load(sources, &["echo", "recorder", "dtmf", "listener"]).expect("valid");
    let customise = |registry: &mut sidetone::processor::Registry| {
        registry.add_processor("listener", Arc::new(listener.clone()));
    };
    threads.block_on(Server::start(&config, customise)).expect("the server starts")
}

/// A caller that dials once its id is what `DIAL` holds: ARI dials on channels of applications only.
const DIALPLAN: &str = r#"
[test-dials]
exten => s,1,Answer()
 same => n(wait),Wait(0.1)
 same => n,GotoIf($["${GLOBAL(DIAL)}" = "${CHANNEL(uniqueid)}"]?:wait)
 same => n,SendDTMF(${DIALLED},100,100)
 same => n,Wait(60)
"#;

fn options(audiosocket: Option<String>) -> Options {
    Options { audiosocket, dialplan: DIALPLAN.to_owned(), ..Options::default() }
}

/// Starts a call to `target` whose caller will dial, and answers its id.
fn caller(asterisk: &Asterisk, target: &str, arguments: &str) -> String {
    let id = format!("dials-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let query = [
        ("endpoint", format!("Local/{target}/n")),
        ("context", "test-dials".to_owned()),
        ("extension", "s".to_owned()),
        ("priority", "1".to_owned()),
        ("formats", "slin".to_owned()),
        ("channelId", id.clone()),
        ("otherChannelId", format!("{id}-far")),
    ];
    let query: Vec<_> = query.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let variables = json!({"variables": {"ARGS": arguments, "DIALLED": DIALLED}});
    let response = asterisk.ari("POST", "/channels", &query, Some(&variables));
    assert_eq!(response.status, 200, "{response:?}\n{}", asterisk.log());
    id
}

/// Lets a caller dial, and waits until as many digits have been told.
fn dial(asterisk: &Asterisk, caller: &str, listener: &Listener) -> Vec<(char, DigitSource)> {
    asterisk.cli(&format!("dialplan set global DIAL {caller}"));
    let deadline = Instant::now() + Duration::from_millis(200) * DIALLED.len() as u32 + SOON;
    let told = || listener.0.lock().expect("nobody panicked").len();
    while told() < DIALLED.len() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whatever else tells of the last one has a second for it.
    std::thread::sleep(Duration::from_secs(1));
    std::mem::take(&mut *listener.0.lock().expect("nobody panicked"))
}

/// An Asterisk and a server that controls it, connected; `None` where there is no Asterisk.
fn controlled() -> Option<(Asterisk, Runtime, Listener, Server)> {
    let installation = asterisk::require()?;
    let asterisk = Asterisk::start(&installation, &options(None));
    let (threads, listener) = (Runtime::new().expect("threads"), Listener::default());
    let block = format!(
        "[[asterisk]]\nurl = {:?}\nuser = {ARI_USER:?}\npassword = {ARI_PASSWORD:?}\n",
        asterisk.ari_url()
    );
    let server = serve(&threads, &listener, &block);
    asterisk.wait_until("the application", SOON, |asterisk| {
        asterisk.ari("GET", "/applications/sidetone", &[], None).status == 200
    });
    Some((asterisk, threads, listener, server))
}

fn keys(heard: &[(char, DigitSource)]) -> String {
    heard.iter().map(|(key, _)| *key).collect()
}

#[test]
fn digits_that_ari_tells_are_told_once_over_rtp_and_audiosocket() {
    steady(|| {
        let Some((asterisk, threads, listener, server)) = controlled() else { return };
        for arguments in [
            "plain,media=rtp,format=ulaw",
            "tones,media=rtp,format=ulaw",
            "tones,media=rtp,format=slin16",
            "plain,media=audiosocket,format=slin",
            "tones,media=audiosocket,format=slin16",
        ] {
            let caller = caller(&asterisk, "sidetone@test-called", arguments);
            asterisk.wait_until("the call", SOON, |asterisk| asterisk.bridges() == 1);
            asterisk.wait_until("both in the bridge", SOON, |asterisk| {
                let bridges = asterisk.ari("GET", "/bridges", &[], None).body;
                bridges[0]["channels"].as_array().is_some_and(|channels| channels.len() == 2)
            });
            let heard = dial(&asterisk, &caller, &listener);
            let by = |source| heard.iter().filter(|(_, by)| *by == source).count();
            println!(
                "{arguments}: {} digits first told by ARI, {} by AudioSocket, {} by their tones; {} repeated",
                by(DigitSource::Ari),
                by(DigitSource::AudioSocket),
                by(DigitSource::Inband),
                server.media().metrics().media().digits_repeated,
            );
            assert_eq!(keys(&heard), DIALLED, "{arguments}: {heard:?}");
            asterisk.cli("channel request hangup all");
            asterisk.wait_until_idle(SOON);
        }
        threads.block_on(server.stop());
    });
}

#[test]
fn digits_of_the_dialplans_audiosocket_are_told_once() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let threads = Runtime::new().expect("threads");
        let listener = Listener::default();
        let server = serve(&threads, &listener, "");
        let audiosocket = server.audiosocket_address().map(|address| address.to_string());
        let asterisk = Asterisk::start(&installation, &options(audiosocket));
        let caller = caller(&asterisk, "audiosocket@sidetone", "");
        asterisk.wait_until("the call", SOON, |_| server.media().call_count() == 1);
        let heard = dial(&asterisk, &caller, &listener);
        assert_eq!(keys(&heard), DIALLED, "{heard:?}");
        assert!(heard.iter().all(|(_, source)| *source == DigitSource::AudioSocket));
        asterisk.cli("channel request hangup all");
        asterisk.wait_until_idle(SOON);
        threads.block_on(server.stop());
    });
}

#[test]
fn digits_that_are_tones_in_the_audio_are_heard_where_they_are_listened_for() {
    steady(|| {
        let Some((asterisk, threads, listener, server)) = controlled() else { return };
        let mut tones = vec![0; 8_000];
        for key in DIALLED.chars() {
            let shape = DtmfShape::default();
            let mut dtmf = Dtmf::new(key, SampleRate::HZ_8000, shape).expect("a key");
            let from = tones.len();
            tones.resize(from + dtmf.remaining(), 0);
            dtmf.fill(&mut tones[from..]);
        }
        asterisk.put_sound("tones", 8000, &tones);
        for arguments in ["tones,media=rtp,format=alaw", "tones,media=audiosocket,format=slin"] {
            LocalCall::to_sidetone(arguments).plays("tones").waits(1.0, 1.0).start(&asterisk);
            asterisk.wait_until("the call", SOON, |asterisk| asterisk.bridges() == 1);
            asterisk.wait_until_idle(Duration::from_secs(20));
            let heard = std::mem::take(&mut *listener.0.lock().expect("nobody panicked"));
            assert_eq!(keys(&heard), DIALLED, "{arguments}: {heard:?}");
            assert!(heard.iter().all(|(_, source)| *source == DigitSource::Inband));
        }
        threads.block_on(server.stop());
    });
}
