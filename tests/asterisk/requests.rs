//! What processors ask of Asterisk for their callers: a transfer, keys; and a recording that is
//! switched off for a while.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sidetone::audio::AudioFrame;
use sidetone::call::{CallInfo, Destination};
use sidetone::config::{Config, Sources};
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};
use sidetone::server::Server;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::asterisk::{self, ARI_PASSWORD, ARI_USER, Asterisk, LocalCall, Options};
use crate::server::Recorded;
use crate::steady::steady;
use crate::support::{SOON, find, is_silent, noise, speech, whole};

/// Frames of 20 ms after which a processor does what it was told: a second.
const PATIENCE: u32 = 50;

/// Does what the arguments of its `Stasis()` say: `digits` are pressed, by threes; `context`,
/// `extension` and `priority` send the caller there; from the frame `off` to the frame `on` the
/// recorder is off.
struct Obedient {
    call: CallInfo,
    frames: u32,
}

impl Obedient {
    fn told(&self, key: &str) -> Option<String> {
        self.call.parameters.get(key).cloned()
    }
}

impl Processor for Obedient {
    fn downlink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.frames += 1;
        for (key, on) in [("off", false), ("on", true)] {
            if self.told(key) == Some(self.frames.to_string()) {
                cx.set_processor("recorder", on).unwrap();
            }
        }
        if self.frames != PATIENCE {
            return;
        }
        for three in self.told("digits").unwrap_or_default().as_bytes().chunks(3) {
            cx.send_dtmf(str::from_utf8(three).unwrap()).unwrap();
        }
        let destination = Destination {
            context: self.told("context"),
            extension: self.told("extension"),
            priority: self.told("priority").map(|priority| priority.parse().unwrap()),
        };
        if destination != Destination::default() {
            cx.transfer(destination).unwrap();
        }
    }
}

struct ObedientFactory;

impl ProcessorFactory for ObedientFactory {
    fn create(&self, setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Obedient { call: setup.call.clone(), frames: 0 })
    }
}

const DIALPLAN: &str = r#"
[test-transferred]
exten => 200,1,Hangup()
 same => n,Playback(${ANSWER},noanswer)
 same => n,Wait(1)
 same => n,Hangup()

[test-reads]
exten => s,1,Answer()
 same => n,Read(GOT,,15,,1,20)
 same => n,Set(GLOBAL(GOT)=${GOT})
 same => n,Wait(3600)
"#;

struct Rig {
    asterisk: Asterisk,
    threads: Runtime,
    server: Server,
    folder: TempDir,
}

impl Rig {
    /// An Asterisk and a server that controls it, connected; `None` where there is no Asterisk.
    fn start() -> Option<Self> {
        let installation = asterisk::require()?;
        let options = Options { dialplan: DIALPLAN.to_owned(), ..Options::default() };
        let asterisk = Asterisk::start(&installation, &options);
        let (threads, folder) = (Runtime::new().unwrap(), TempDir::new().unwrap());
        let file = folder.path().join("sidetone.toml");
        let text = format!(
            "[server]\ngrace_ms = 0\n[rtp]\nport = 0\n[audiosocket]\nbind = \"127.0.0.1:0\"\n\
             [api]\nenabled = false\n[recorder]\ndirectory = {:?}\n\
             [pipelines.obedient]\nprocessors = [\"obedient\", \"recorder\"]\n\
             [[asterisk]]\nurl = {:?}\nuser = {ARI_USER:?}\npassword = {ARI_PASSWORD:?}\n",
            folder.path().join("recordings"),
            asterisk.ari_url()
        );
        std::fs::write(&file, text).unwrap();
        let sources = Sources { file: Some(&file), ..Sources::default() };
        let processors = [&Server::PROCESSORS[..], &["obedient"]].concat();
        let config = Config::load(sources, &processors).unwrap();
        let customise = |registry: &mut sidetone::processor::Registry| {
            registry.add_processor("obedient", Arc::new(ObedientFactory));
        };
        let server = threads.block_on(Server::start(&config, customise)).unwrap();
        asterisk.wait_until("the application", SOON, |asterisk| {
            asterisk.ari("GET", "/applications/sidetone", &[], None).status == 200
        });
        Some(Self { asterisk, threads, server, folder })
    }

    fn failed_transfers(&self) -> u64 {
        let session = self.server.asterisk().next().expect("one Asterisk");
        session.metrics().failed_transfers.load(Ordering::Relaxed)
    }

    /// Stops the server once nothing is left; answers the folder that has its recordings.
    fn stop(self) -> TempDir {
        self.asterisk.wait_until_idle(SOON);
        assert_eq!(self.server.media().call_count(), 0);
        self.threads.block_on(self.server.stop());
        self.folder
    }
}

#[test]
fn a_caller_is_transferred_and_hears_what_is_there() {
    steady(|| {
        let Some(rig) = Rig::start() else { return };
        let asterisk = &rig.asterisk;
        let answer = noise(2 * 8000);
        let path = asterisk.put_sound("answer", 8000, &answer);
        asterisk.put_sound("speech", 8000, &speech(8000));
        // Priority 1 of that extension hangs up.
        let to = "context=test-transferred,extension=200,priority=2";
        for media in ["rtp,format=ulaw", "audiosocket,format=slin"] {
            let (name, _) = media.split_once(',').unwrap();
            LocalCall::to_sidetone(&format!("obedient,media={media},{to},on_end=hangup"))
                .variable("ANSWER", &path)
                .plays("speech")
                .records(name)
                .waits(0.0, 2.0)
                .start(asterisk);
            asterisk.wait_until("the call", SOON, |asterisk| asterisk.bridges() == 1);
            asterisk.wait_until_idle(Duration::from_secs(20));
            let heard = asterisk.recording(&format!("{name}-heard.sln")).samples();
            whole(find(&answer, &heard), 0.98, &format!("{name}: what the caller heard"));
        }
        assert_eq!((rig.failed_transfers(), asterisk.continued()), (0, 0));
        rig.stop();
    });
}

#[test]
fn a_caller_who_is_sent_where_nothing_is_goes_on_in_the_dialplan() {
    steady(|| {
        let Some(rig) = Rig::start() else { return };
        let asterisk = &rig.asterisk;
        for (n, nowhere) in [
            "context=test-transferred,extension=999",
            "context=no-such,extension=200",
            "priority=99",
        ]
        .iter()
        .enumerate()
        {
            for on_end in ["hangup", "continue"] {
                LocalCall::to_sidetone(&format!("obedient,{nowhere},on_end={on_end}"))
                    .start(asterisk);
            }
            let failed = 2 * (n as u64 + 1);
            asterisk.wait_until("both are refused", SOON, |_| rig.failed_transfers() == failed);
            asterisk.wait_until_idle(SOON);
            assert_eq!(asterisk.continued(), n + 1, "one was hung up, one went on: {nowhere}");
        }
        // Asterisk itself would have taken it, and have hung up.
        let caller = LocalCall::to_sidetone("obedient").start(asterisk);
        asterisk.wait_until("the call", SOON, |asterisk| asterisk.bridges() == 1);
        let query = [("context", "test-transferred"), ("extension", "999"), ("priority", "1")];
        let path = format!("/channels/{caller}-far/continue");
        assert_eq!(asterisk.ari("POST", &path, &query, None).status, 204);
        asterisk.wait_until_idle(SOON);
        assert_eq!(asterisk.continued(), 3);
        rig.stop();
    });
}

#[test]
fn keys_arrive_at_the_caller_in_their_order() {
    steady(|| {
        let Some(rig) = Rig::start() else { return };
        let asterisk = &rig.asterisk;
        // `#` would end what the caller reads.
        let digits = "1234567890*ABCD";
        let arguments = format!("obedient,digits={digits}");
        let query = [
            ("endpoint", "Local/sidetone@test-called/n"),
            ("context", "test-reads"),
            ("extension", "s"),
            ("priority", "1"),
            ("formats", "slin"),
        ];
        let variables = json!({"variables": {"ARGS": arguments}});
        let response = asterisk.ari("POST", "/channels", &query, Some(&variables));
        assert_eq!(response.status, 200, "{response:?}");
        asterisk.wait_until("the digits", Duration::from_secs(20), |asterisk| {
            asterisk.cli("dialplan show globals").contains("GOT=")
        });
        let globals = asterisk.cli("dialplan show globals");
        assert!(globals.contains(&format!("GOT={digits}")), "{globals}");
        asterisk.cli("channel request hangup all");
        rig.stop();
    });
}

#[test]
fn a_recording_that_is_switched_off_for_a_while_has_a_gap_and_stays_in_its_place() {
    steady(|| {
        let Some(rig) = Rig::start() else { return };
        let asterisk = &rig.asterisk;
        let prompt = noise(6 * 8000);
        asterisk.put_sound("prompt", 8000, &prompt);
        LocalCall::to_sidetone("obedient,format=slin,off=125,on=225")
            .plays("prompt")
            .waits(0.5, 0.5)
            .start(asterisk);
        asterisk.wait_until("the call", SOON, |asterisk| asterisk.bridges() == 1);
        asterisk.wait_until_idle(Duration::from_secs(20));
        let folder = rig.stop();

        let wav = std::fs::read_dir(folder.path().join("recordings"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "wav"))
            .expect("a recording");
        let recorded = Recorded::read(&wav);
        assert_eq!(recorded.json["complete"], true);
        let caller = &recorded.caller;
        // 2.5 and 4.5 s behind the first frame towards the caller, but for what that is late by.
        let (off, on) = (25 * 800, 45 * 800);
        assert!(is_silent(&caller[off + 800..on - 800]), "it is not recorded");
        let [first, second] = [0..12_000, 36_000..48_000].map(|part| {
            let found = find(&prompt[part.clone()], caller);
            whole(found, 0.98, "what was said before and after");
            found.lag - part.start.cast_signed()
        });
        assert_eq!(first, second, "both lie where they were said");
    });
}
