//! A voice speaks into a call, a recogniser understands it: the words, their order and their place.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sidetone::config::{Config, Sources};
use sidetone::event::EventKind;
use sidetone::processor::stt::Word;
use sidetone::processor::{Context, Processor, ProcessorFactory, Setup};
use sidetone::server::Server;

use crate::asterisk::{self, ARI_PASSWORD, ARI_USER, Asterisk, LocalCall, Options};
use crate::recogniser::{Recogniser, WORDS, prompt};
use crate::server::Recorded;
use crate::steady::steady_alone;
use crate::support::{SOON, find, whole};

/// How far a word may be from where it was said: the recogniser counts in frames of 10 ms and takes
/// some of the silence around a word for a part of it.
const TOLERANCE_MS: f64 = 150.0;

type Heard = Arc<Mutex<Vec<Word>>>;

/// Notes the words of final results.
#[derive(Clone, Default)]
struct Listener(Heard);

impl Processor for Listener {
    fn event(&mut self, event: &EventKind, _cx: &mut Context<'_>) {
        if let EventKind::Transcript(heard) = event
            && heard.is_final
        {
            self.0.lock().unwrap().extend(heard.words.iter().cloned());
        }
    }
}

impl ProcessorFactory for Listener {
    fn create(&self, _setup: &Setup<'_>) -> Box<dyn Processor> {
        Box::new(self.clone())
    }
}

#[test]
fn a_recogniser_understands_the_caller_over_rtp_and_audiosocket() {
    // Wide band all of them: the recogniser's model knows no telephone. The last has another rate than
    // the recogniser's, which the chain resamples.
    for (media, format, rate) in [
        ("rtp", "slin16", 16_000),
        ("audiosocket", "slin16", 16_000),
        ("audiosocket", "slin48", 48_000),
    ] {
        steady_alone(|| {
            let Some(installation) = asterisk::require() else { return };
            let Some(recogniser) = Recogniser::start() else { return };
            let asterisk = Asterisk::start(&installation, &Options::default());
            understands(&asterisk, &recogniser, media, format, rate);
        });
    }
}

fn understands(asterisk: &Asterisk, recogniser: &Recogniser, media: &str, format: &str, rate: u32) {
    let (prompt, places) = prompt(rate);
    asterisk.put_sound("words", rate, &prompt);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("sidetone.toml");
    let text = format!(
        "[rtp]\nport = 0\n[audiosocket]\nbind = \"127.0.0.1:0\"\n[api]\nenabled = false\n\
         [recorder]\ndirectory = {:?}\n\
         [stt.test]\ndialect = \"vosk\"\nurl = {:?}\nrate_hz = 16000\n\
         [pipelines.words]\nprocessors = [\"recorder\", \"stt\", \"listener\"]\n\
         [[asterisk]]\nurl = {:?}\nuser = {ARI_USER:?}\npassword = {ARI_PASSWORD:?}\n",
        folder.path().join("recordings"),
        recogniser.url,
        asterisk.ari_url()
    );
    std::fs::write(&file, text).unwrap();
    let sources = Sources { file: Some(&file), ..Sources::default() };
    let config = Config::load(sources, &["echo", "recorder", "listener"]).unwrap();
    let listener = Listener::default();
    let heard = Arc::clone(&listener.0);
    let threads = tokio::runtime::Runtime::new().unwrap();
    let server = threads
        .block_on(Server::start(&config, |registry| {
            registry.add_processor("listener", Arc::new(listener));
        }))
        .unwrap();
    asterisk.wait_until("the application", SOON, |asterisk| {
        asterisk.ari("GET", "/applications/sidetone", &[], None).status == 200
    });
    LocalCall::to_sidetone(&format!("words,media={media},format={format}"))
        .rate(rate)
        .plays("words")
        .records("words")
        .waits(0.5, 1.0)
        .start(asterisk);
    asterisk.wait_until_idle(Duration::from_secs(30));
    threads.block_on(server.stop());

    let path = std::fs::read_dir(folder.path().join("recordings")).unwrap();
    let mut wavs: Vec<_> = path.map(|entry| entry.unwrap().path()).collect();
    wavs.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
    let [wav] = &wavs[..] else { panic!("{wavs:?}") };
    let recorded = Recorded::read(wav);
    let found = find(&prompt, &recorded.caller);
    whole(found, 0.98, &format!("{media} {format}"));
    let said_at_ms = found.lag as f64 * 1e3 / f64::from(rate);

    let heard = heard.lock().unwrap();
    let words: Vec<&str> = heard.iter().map(|word| word.word.as_str()).collect();
    assert_eq!(words, WORDS, "{media} {format}");
    let mut worst = 0.0_f64;
    for (heard, said) in heard.iter().zip(&places) {
        for (heard_ms, said_ms) in [(heard.start_ms, said.start_ms), (heard.end_ms, said.end_ms)] {
            let off = heard_ms as f64 - (said_at_ms + said_ms);
            assert!(off.abs() <= TOLERANCE_MS, "{media} {format}: {heard:?}, {said:?}: {off} ms");
            worst = worst.max(off.abs());
        }
    }
    println!("{media} {format}: no edge of a word is off by more than {worst:.0} ms");
}
