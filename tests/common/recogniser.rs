//! A real recogniser in a process of its own, and a voice that it understands.
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What is said to it, in this order.
pub const WORDS: [&str; 5] = ["banana", "hospital", "umbrella", "california", "elephant"];

/// What it knows besides.
const OTHERS: [&str; 3] = ["telephone", "president", "december"];

/// Silence before each word, and behind the last.
const PAUSE_MS: usize = 900;

/// Loudness at which a word begins and ends.
const AUDIBLE: u16 = 300;

/// `tests/stt/recogniser.py`, which speaks Vosk's protocol. Dropping it ends the process.
pub struct Recogniser {
    process: Child,
    pub url: String,
}

/// A word with its place in a prompt, in milliseconds.
#[derive(Clone, PartialEq, Debug)]
pub struct Spoken {
    pub word: &'static str,
    pub start_ms: f64,
    pub end_ms: f64,
}

impl Recogniser {
    /// A recogniser; `None`, and a line that says so, where there is none to be had.
    ///
    /// # Panics
    /// Where there is none and `CI` is `true`.
    pub fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/recogniser/bin/python");
        let installed = Command::new(root.join("tests/recogniser.sh")).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no recogniser");
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            let line = format!("\n*** SKIPPED: {test} needs what tests/recogniser.sh installs\n");
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            return None;
        }
        let mut process = Command::new(python)
            .arg(root.join("tests/stt/recogniser.py"))
            .args(WORDS)
            .args(OTHERS)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let output = process.stdout.take().expect("piped");
        let mut port = String::new();
        BufReader::new(output).read_line(&mut port).expect("it tells its port");
        let port: u16 = port.trim().parse().expect("a port");
        Some(Self { process, url: format!("ws://127.0.0.1:{port}") })
    }
}

impl Drop for Recogniser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// [`WORDS`] by espeak-ng at `rate`, with the place of each.
pub fn prompt(rate: u32) -> (Vec<i16>, Vec<Spoken>) {
    let per_ms = rate as usize / 1_000;
    let ms = |samples: usize| samples as f64 / per_ms as f64;
    let mut samples = vec![0; PAUSE_MS * per_ms];
    let mut places = Vec::new();
    for word in WORDS {
        let voice = voice(word, rate);
        let is_loud = |sample: &i16| sample.unsigned_abs() > AUDIBLE;
        let first = voice.iter().position(is_loud).expect("a word is audible");
        let last = voice.iter().rposition(is_loud).expect("a word is audible");
        let start = samples.len();
        samples.extend_from_slice(&voice[first..=last]);
        places.push(Spoken { word, start_ms: ms(start), end_ms: ms(samples.len()) });
        samples.resize(samples.len() + PAUSE_MS * per_ms, 0);
    }
    (samples, places)
}

/// One word by espeak-ng, whose own rate is none of a telephone's.
fn voice(word: &str, rate: u32) -> Vec<i16> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path: PathBuf = folder.path().join("word.wav");
    let status = Command::new("espeak-ng")
        .args(["-v", "en-us", "-s", "140", "-w"])
        .arg(&path)
        .arg(word)
        .status()
        .expect("espeak-ng is installed");
    assert!(status.success());
    let mut reader = hound::WavReader::open(path).expect("a WAV file");
    let from = f64::from(reader.spec().sample_rate);
    let samples: Vec<f64> =
        reader.samples::<i16>().map(|sample| sample.expect("a sample").into()).collect();
    let count = (samples.len() - 1) as f64 * f64::from(rate) / from;
    // Straight lines between samples: the images of that are far below speech.
    let between = |index: usize| {
        let place = index as f64 * from / f64::from(rate);
        let (left, share) = (place as usize, place.fract());
        (samples[left] * (1.0 - share) + samples[left + 1] * share) as i16
    };
    (0..count as usize).map(between).collect()
}
