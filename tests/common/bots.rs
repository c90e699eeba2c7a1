//! Voice bots in processes of their own, as their users write them: `tests/bot`.
#![allow(dead_code, reason = "every test binary uses its own part")]
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "waits for a foreign process in real time")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(5);

/// A bot that listens at `url`. Dropping it ends its process.
pub struct Bot {
    process: Child,
    pub url: String,
    told: Arc<Mutex<Vec<Value>>>,
    _folder: TempDir,
}

impl Bot {
    /// `tests/bot/pipecat_bot.py`, which greets with samples of 8 kHz; `None`, and a line that says
    /// so, where there is no Pipecat to be had.
    ///
    /// # Panics
    /// Where there is none and `CI` is `true`.
    pub fn pipecat(greeting: &[i16]) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("greeting.wav");
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).expect("the folder is writable");
        greeting.iter().for_each(|&sample| writer.write_sample(sample).expect("it is writable"));
        writer.finalize().expect("the folder is writable");
        Self::start("pipecat_bot.py", &[path.to_str().expect("a UTF-8 path")], folder)
    }

    /// `tests/bot/mark_bot.py`, likewise.
    pub fn mark() -> Option<Self> {
        Self::start("mark_bot.py", &[], TempDir::new().expect("a temporary folder"))
    }

    fn start(name: &str, arguments: &[&str], folder: TempDir) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let installed = Command::new(root.join("tests/pipecat.sh")).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no Pipecat");
            let test = thread::current().name().unwrap_or_default().to_owned();
            let line = format!("\n*** SKIPPED: {test} needs what tests/pipecat.sh installs\n");
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
            return None;
        }
        let mut process = Command::new(root.join("target/pipecat/bin/python"))
            .arg(root.join("tests/bot").join(name))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let mut port = String::new();
        output.read_line(&mut port).expect("it tells its port");
        let port: u16 = port.trim().parse().expect("a port");
        let told = Arc::default();
        let notes = Arc::clone(&told);
        thread::spawn(move || note(output, &notes));
        Some(Self { process, url: format!("ws://127.0.0.1:{port}/"), told, _folder: folder })
    }

    /// What it has told of its calls by now.
    pub fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has told of `event`, and answers what; the first, where there are more.
    ///
    /// # Panics
    /// Where that takes longer than `limit`.
    #[track_caller]
    pub fn wait_for(&self, event: &str, limit: Duration) -> Value {
        let deadline = Instant::now() + limit;
        loop {
            let told = self.told();
            if let Some(found) = told.iter().find(|it| it["event"] == event) {
                return found.clone();
            }
            assert!(Instant::now() < deadline, "no {event} within {limit:?}: {told:#?}");
            thread::sleep(POLL);
        }
    }
}

fn note(output: BufReader<ChildStdout>, told: &Mutex<Vec<Value>>) {
    for line in output.lines().map_while(Result::ok) {
        let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
        told.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
