use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::codec::Decoder;
use sidetone::dsp::opus;
use tempfile::TempDir;

use crate::capture::Capture;
use crate::emulator::{Delivery, Emulator, Path as Network, Statistics};
use crate::sender::Sender;
use crate::speech::{payloads, speech};

/// When all captures here begin.
pub(crate) const START: Duration = Duration::from_millis(1_700_000_000_123);

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn alice() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 4000))
}

pub(crate) fn bob() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 5000))
}

/// A folder with a capture in it.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("c.pcap"), bytes).expect("the capture");
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program on the capture, in its folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        analyze(self.folder.path(), &[&["c.pcap"], arguments].concat())
    }

    /// What it tells as JSON, with success.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.is_empty(), "{told}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The samples of a WAV file with one side, and their rate.
    pub(crate) fn wav(&self, stream: &Value) -> (u32, Vec<i16>) {
        let path = stream["wav"]["path"].as_str().expect("there is audio");
        let reader = hound::WavReader::open(self.path(path)).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.spec().bits_per_sample), (1, 16));
        let rate = reader.spec().sample_rate;
        (rate, reader.into_samples().map(|sample| sample.expect("whole")).collect())
    }
}

pub(crate) fn analyze(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    command.arg("analyze").args(arguments).current_dir(folder).env_clear();
    command.output().expect("the program runs")
}

/// Speech on its way: what arrives, and the whole of it as one decoder hears it.
pub(crate) struct Call {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) statistics: Statistics,
    pub(crate) heard: Vec<i16>,
}

/// Sends `seconds` of speech by `sender`, 20 ms a packet, over `network`.
pub(crate) fn call(mut sender: Sender, seconds: f64, network: Network, seed: u64) -> Call {
    let format = sender.format;
    let rate = rate_of(format);
    let ticks = u64::from(format.clock_rate().hz() / 50);
    let mut decoder = Decoder::new(format, rate).expect("the codec has the rate");
    let (mut heard, mut frame) = (Vec::new(), Vec::new());
    let mut emulator = Emulator::new(network, seed);
    let speech = speech(rate, seconds);
    for (n, payload) in (0..).zip(payloads(format, rate, &opus::Settings::default(), &speech)) {
        decoder.decode(&payload, &mut frame).expect("what was encoded can be decoded");
        heard.extend_from_slice(&frame);
        emulator.send(ms(20 * n), &sender.carry(&payload, ticks));
    }
    let deliveries = emulator.receive_all();
    Call { deliveries, statistics: emulator.statistics(), heard }
}

/// The rate at which a call in `format` is decoded.
pub(crate) fn rate_of(format: MediaFormat) -> SampleRate {
    match format {
        MediaFormat::Opus => SampleRate::HZ_16000,
        other => other.sample_rate(),
    }
}

/// Puts calls into a capture, in the order of arrival.
pub(crate) fn capture_all(capture: &mut Capture, calls: &[(SocketAddr, SocketAddr, &Call)]) {
    let mut all: Vec<_> = calls
        .iter()
        .flat_map(|&(from, to, call)| call.deliveries.iter().map(move |one| (one, from, to)))
        .collect();
    all.sort_by_key(|(delivery, ..)| delivery.at);
    for (delivery, from, to) in all {
        capture.udp(START + delivery.at, from, to, &delivery.bytes);
    }
}

pub(crate) fn number(value: &Value, pointer: &str) -> f64 {
    let number = value.pointer(pointer).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number {pointer} in {value:#}"))
}
