//! Hang-up from every end, twenty calls at once: nothing is left.

use crate::steady::steady;
use std::sync::Arc;
use std::time::Duration;

use sidetone::audio::AudioFrame;
use sidetone::config::{Config, Sources};
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};
use sidetone::server::Server;

use crate::asterisk::{self, ARI_PASSWORD, ARI_USER, Asterisk, LocalCall, Options};
use crate::server::Sidetone;
use crate::support::{SOON, pair, speech};

const CALLS: usize = 20;

/// How often every way of hanging up is gone through.
const ROUNDS: usize = 3;

type End = fn(&Asterisk, &Sidetone, &[String]);

const ENDS: [(&str, End); 4] = [
    ("caller", |asterisk, _, callers| {
        for caller in callers {
            asterisk.ari("DELETE", &format!("/channels/{caller}"), &[], None);
        }
    }),
    ("external channel", |asterisk, sidetone, _| {
        for call in sidetone.calls() {
            let id = call["id"].as_str().unwrap();
            asterisk.ari("DELETE", &format!("/channels/sidetone.{id}.m"), &[], None);
        }
    }),
    ("our API", |_, sidetone, _| {
        for call in sidetone.calls() {
            let id = call["id"].as_str().unwrap();
            assert_eq!(sidetone.api("DELETE", &format!("/v1/calls/{id}")).0, 202);
        }
    }),
    ("Asterisk's command line", |asterisk, _, _| {
        asterisk.cli("channel request hangup all");
    }),
];

#[test]
fn twenty_calls_hung_up_at_once_from_every_end_leave_nothing() {
    steady(|| {
        let Some((asterisk, sidetone)) = pair("", "") else { return };
        asterisk.put_sound("speech", 8000, &speech(8000));
        let mut resting: Option<(usize, f64)> = None;
        let mut first_memory = 0;
        for round in 0..ROUNDS {
            for (name, end) in ENDS {
                let callers = begin(&asterisk, &sidetone, CALLS);
                end(&asterisk, &sidetone, &callers);
                asterisk.wait_until_idle(SOON);
                sidetone.wait_until_idle(SOON);
                // Eight connections to Asterisk, each a file and a task, are kept for the next request.
                let (files, tasks) = resting.unwrap_or((usize::MAX, f64::MAX));
                sidetone.wait_until("files and tasks as before", SOON, |sidetone| {
                    sidetone.open_files() <= files.saturating_add(8)
                        && sidetone.metric("sidetone_tasks{side=\"control\"}") <= tasks + 8.0
                });
                println!("round {round}, {name}: {} files", sidetone.open_files());
            }
            if round == 0 {
                resting = Some((
                    sidetone.open_files(),
                    sidetone.metric("sidetone_tasks{side=\"control\"}"),
                ));
                first_memory = sidetone.resident_kib();
            }
        }
        let grown = sidetone.resident_kib().saturating_sub(first_memory);
        let per_call = grown / ((ROUNDS - 1) * ENDS.len() * CALLS) as u64;
        println!("memory: {first_memory} KiB after the first round, {grown} KiB more at the end");
        assert!(per_call < 16, "each call leaves {per_call} KiB behind");
        assert_eq!(sidetone.metric("sidetone_panics_total{room=\"engine\"}"), 0.0);
        assert_eq!(sidetone.metric("sidetone_ari_orphans_total{asterisk=\"pbx\"}"), 0.0);
    });
}

/// Ends its call at the hundredth frame.
struct Impatient(u32);

impl Processor for Impatient {
    fn uplink(&mut self, _frame: &mut AudioFrame<'_>, cx: &mut Context<'_>) {
        self.0 += 1;
        if self.0 == 100 {
            cx.hangup();
        }
    }
}

struct ImpatientFactory;

impl ProcessorFactory for ImpatientFactory {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(Impatient(0))
    }
}

#[test]
fn a_processor_that_hangs_up_leaves_nothing() {
    steady(|| {
        let Some(installation) = asterisk::require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        asterisk.put_sound("speech", 8000, &speech(8000));
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("sidetone.toml");
        let text = format!(
            "[rtp]\nport = 0\n[audiosocket]\nbind = \"127.0.0.1:0\"\n[api]\nenabled = false\n\
             [pipelines.impatient]\nprocessors = [\"impatient\"]\n\
             [[asterisk]]\nurl = {:?}\nuser = {ARI_USER:?}\npassword = {ARI_PASSWORD:?}\n",
            asterisk.ari_url()
        );
        std::fs::write(&file, text).unwrap();
        let sources = Sources { file: Some(&file), ..Sources::default() };
        let config = Config::load(sources, &["echo", "recorder", "impatient"]).unwrap();
        let threads = tokio::runtime::Runtime::new().unwrap();
        let server = threads
            .block_on(Server::start(&config, |registry| {
                registry.add_processor("impatient", Arc::new(ImpatientFactory));
            }))
            .unwrap();
        asterisk.wait_until("the application", SOON, |asterisk| {
            asterisk.ari("GET", "/applications/sidetone", &[], None).status == 200
        });
        for n in 0..6 {
            let media = ["rtp,format=ulaw", "audiosocket,format=slin"][n % 2];
            LocalCall::to_sidetone(&format!("impatient,media={media}"))
                .talks("speech")
                .start(&asterisk);
        }
        asterisk.wait_until("the calls", SOON, |asterisk| asterisk.bridges() == 6);
        asterisk.wait_until_idle(Duration::from_secs(20));
        assert_eq!(server.media().call_count(), 0);
        threads.block_on(server.stop());
    });
}

/// Begins calls, over both transports in turn, and waits until all of them hear each other.
fn begin(asterisk: &Asterisk, sidetone: &Sidetone, count: usize) -> Vec<String> {
    let packets = sidetone.heard();
    let callers = (0..count)
        .map(|n| {
            let arguments =
                ["echo,media=rtp,format=ulaw", "echo,media=audiosocket,format=slin"][n % 2];
            LocalCall::to_sidetone(arguments).talks("speech").start(asterisk)
        })
        .collect();
    sidetone.wait_until("audio of every call", Duration::from_secs(20), |sidetone| {
        sidetone.heard() >= packets + count as f64
    });
    callers
}
