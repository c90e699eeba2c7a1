//! The server, as a process of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use crate::common::machine;
use crate::echo_bot::EchoBot;
use crate::load::ROBOT_PIPELINE;
use crate::metrics::Scrape;

const START_LIMIT: Duration = Duration::from_secs(20);
const IDLE_LIMIT: Duration = Duration::from_secs(30);
const HTTP_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// More calls than any load has, over each transport.
const MOST_CALLS: u32 = 4_000;

/// A server with one shard, which stays on one core. Dropping it ends it, and removes what it wrote.
pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    ready: Ready,
}

/// What its ready file says.
#[derive(Deserialize)]
struct Ready {
    rtp: Vec<SocketAddr>,
    audiosocket: SocketAddr,
    api: SocketAddr,
}

impl Server {
    /// Starts one on `core`, and waits until it listens. This thread is on `home` afterwards.
    pub(crate) fn start(pipeline: &str, core: usize, home: usize) -> Self {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(parent).expect("there can be a folder below target/");
        let folder = TempDir::with_prefix_in("load-", parent).expect("a temporary folder");
        let [file, ready, log] =
            ["sidetone.toml", "ready.json", "log"].map(|name| folder.path().join(name));
        let mut text = configuration(pipeline, &folder.path().join("recordings"));
        if pipeline == ROBOT_PIPELINE {
            text.push_str(&robot(&EchoBot::start().url));
        }
        fs::write(&file, text).expect("the folder is writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
        command.args(["serve", "--config"]).arg(&file).arg("--ready-file").arg(&ready);
        let told = fs::File::create(&log).expect("the folder is writable");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told);
        // A process begins where the thread is that starts it.
        assert!(machine::stay_on(core), "this thread cannot go to core {core}");
        let child = command.spawn();
        assert!(machine::stay_on(home), "this thread cannot go back to core {home}");
        let mut process = child.expect("the binary is built");
        let ready = wait_until_ready(&mut process, &ready, &log);
        Self { folder, process, ready }
    }

    /// Where calls over `transport` go.
    pub(crate) fn address(&self, transport: &str) -> SocketAddr {
        match transport {
            "rtp" => self.ready.rtp[0],
            _ => self.ready.audiosocket,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A place for whatever belongs to this server's runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it tells of itself now.
    pub(crate) fn scrape(&self) -> Scrape {
        let mut stream = TcpStream::connect(self.ready.api).expect("the API listens");
        stream.set_read_timeout(Some(HTTP_LIMIT)).expect("a time limit");
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("the API takes a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.1 200"), "/metrics: {head}");
        Scrape(body.to_owned())
    }

    /// What it tells of itself once it has no call and no recording.
    pub(crate) fn when_idle(&self) -> Scrape {
        let deadline = Instant::now() + IDLE_LIMIT;
        loop {
            let scrape = self.scrape();
            if scrape.sum("sidetone_calls") + scrape.value("sidetone_recordings") == 0.0 {
                return scrape;
            }
            assert!(Instant::now() < deadline, "not idle within {IDLE_LIMIT:?}:\n{}", scrape.0);
            std::thread::sleep(POLL);
        }
    }

    /// Resident memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("a process has resident memory") * 1_024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(pipeline: &str, recordings: &Path) -> String {
    format!(
        "[server]\nshards = 1\nmax_lateness_ms = 0\n\
         [log]\nlevel = \"error\"\n\
         [rtp]\nport = 0\naccept = \"any\"\nmax_calls = {MOST_CALLS}\n\
         [audiosocket]\nbind = \"127.0.0.1:0\"\nmax_connections = {MOST_CALLS}\n\
         [api]\nbind = \"127.0.0.1:0\"\n\
         [media]\nend_after_ms = 1000\n\
         [echo]\ndelay_ms = 20\n\
         [pipelines]\ndefault = {pipeline:?}\n\
         [recorder]\ndirectory = {recordings:?}\n"
    )
}

/// The caller always speaks, and so does his echo: neither is to silence the other.
fn robot(url: &str) -> String {
    format!(
        "[bot.echo]\ndialect = \"sidetone\"\nurl = {url:?}\nbarge_in = \"notify\"\n\
         [pipelines.{ROBOT_PIPELINE}]\nprocessors = [\"vad\", \"bot\"]\n"
    )
}

fn wait_until_ready(process: &mut Child, ready: &Path, log: &Path) -> Ready {
    let told = || fs::read_to_string(log).unwrap_or_default();
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Ok(text) = fs::read(ready) {
            return serde_json::from_slice(&text).expect("the ready file is JSON");
        }
        if let Some(status) = process.try_wait().expect("a child can be asked") {
            panic!("the server ended while it started ({status}):\n{}", told());
        }
        if Instant::now() > deadline {
            // The panic leaves nothing behind.
            let _ = process.kill();
            panic!("the server did not start:\n{}", told());
        }
        std::thread::sleep(POLL);
    }
}
