//! A `sidetone serve` of a test's own: the real binary, in its own folder, on ports that are free.
#![allow(dead_code, reason = "every test binary uses its own part")]
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "waits for a foreign process in real time")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running server. Dropping it kills the process and removes its folder.
pub struct Sidetone {
    folder: TempDir,
    process: Option<Child>,
    ready: Value,
}

/// One Asterisk of the configuration.
pub struct Block<'a> {
    pub name: &'a str,
    pub url: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    /// More keys of the block, as TOML.
    pub more: &'a str,
}

/// A finished or running recording: what its JSON says, and the samples of both sides.
pub struct Recorded {
    pub json: Value,
    pub rate: u32,
    pub caller: Vec<i16>,
    pub bot: Vec<i16>,
}

impl Sidetone {
    /// Starts a server that controls `blocks`, and waits until it listens. `more` is further TOML; a
    /// section `[rtp]` of its own has to ask for `port = 0`.
    pub fn start(blocks: &[Block<'_>], more: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let rtp = if more.contains("[rtp]") { "" } else { "[rtp]\nport = 0\n" };
        let mut config = format!(
            "[server]\nshards = 2\ngrace_ms = 300\nmax_lateness_ms = 0\n{rtp}\
             [audiosocket]\nbind = \"127.0.0.1:0\"\n[api]\nbind = \"127.0.0.1:0\"\n\
             [recorder]\ndirectory = {:?}\n{more}\n",
            folder.path().join("recordings")
        );
        for Block { name, url, user, password, more } in blocks {
            writeln!(
                config,
                "[[asterisk]]\nname = {name:?}\nurl = {url:?}\nuser = {user:?}\n\
                 password = {password:?}\n{more}"
            )
            .expect("a String takes everything");
        }
        fs::write(folder.path().join("sidetone.toml"), config).expect("the folder is writable");
        let mut sidetone = Self { folder, process: None, ready: Value::Null };
        sidetone.launch();
        sidetone
    }

    /// Starts the process again, after [`Self::kill9`] or [`Self::terminate`].
    pub fn launch(&mut self) {
        let ready = self.path("ready.json");
        let _ = fs::remove_file(&ready);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("the folder is writable");
        let child = Command::new(env!("CARGO_BIN_EXE_sidetone"))
            .args(["serve", "--log-level", "debug", "--config"])
            .arg(self.path("sidetone.toml"))
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be duplicated"))
            .stderr(log)
            .spawn()
            .expect("the binary is built");
        self.process = Some(child);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Ok(text) = fs::read(&ready) {
                self.ready = serde_json::from_slice(&text).expect("the ready file is JSON");
                return;
            }
            let process = self.process.as_mut().expect("set above");
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                panic!("sidetone ended while starting ({status}):\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "sidetone did not start:\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything that was logged.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(200)..].join("\n")
    }

    /// The server's RTP ports.
    pub fn rtp(&self) -> Vec<SocketAddr> {
        let ports = self.ready["rtp"].as_array().expect("the ready file has rtp");
        ports.iter().map(|port| port.as_str().unwrap().parse().unwrap()).collect()
    }

    /// The server's AudioSocket listener.
    pub fn audiosocket(&self) -> SocketAddr {
        self.ready["audiosocket"].as_str().expect("it listens").parse().unwrap()
    }

    /// One request to the server's API: status and body.
    pub fn api(&self, method: &str, path: &str) -> (u16, String) {
        let address = self.ready["api"].as_str().expect("the API listens");
        let mut stream = TcpStream::connect(address).expect("the API listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the API answers");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("an HTTP answer"), body.to_owned())
    }

    /// The calls that run now.
    pub fn calls(&self) -> Vec<Value> {
        let (status, body) = self.api("GET", "/v1/calls");
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["calls"].as_array().expect("a list").clone()
    }

    /// The value of one metric, by its name with labels: `sidetone_calls{transport="rtp"}`.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, body) = self.api("GET", "/metrics");
        let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name} in\n{body}")).trim().parse().unwrap()
    }

    /// How many callers have been heard so far, over both transports.
    pub fn heard(&self) -> f64 {
        ["rtp", "audiosocket"]
            .map(|transport| {
                self.metric(&format!("sidetone_calls_ready_total{{transport=\"{transport}\"}}"))
            })
            .iter()
            .sum()
    }

    /// Waits until `condition` holds; the message holds `what` and the log.
    #[track_caller]
    pub fn wait_until(&self, what: &str, limit: Duration, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            assert!(Instant::now() < deadline, "not within {limit:?}: {what}\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    /// Waits until the server has its event stream to `count` Asterisks.
    #[track_caller]
    pub fn wait_connected(&self, names: &[&str]) {
        self.wait_until("event streams", Duration::from_secs(20), |sidetone| {
            names.iter().all(|name| {
                let metric = format!("sidetone_ari_connected{{asterisk=\"{name}\"}}");
                sidetone.metric(&metric) > 0.0
            })
        });
    }

    /// Waits until there is no call, neither on the media side nor in the control of Asterisk.
    #[track_caller]
    pub fn wait_until_idle(&self, limit: Duration) {
        self.wait_until("no call", limit, |sidetone| {
            let (_, body) = sidetone.api("GET", "/metrics");
            let gauges = ["sidetone_calls{", "sidetone_ari_calls{"];
            let busy = body
                .lines()
                .filter(|line| gauges.iter().any(|gauge| line.starts_with(gauge)))
                .any(|line| !line.ends_with(" 0"));
            !busy && sidetone.calls().is_empty()
        });
    }

    /// What was recorded so far, oldest first.
    pub fn recordings(&self) -> Vec<Recorded> {
        let mut files: Vec<_> = fs::read_dir(self.path("recordings"))
            .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
            .unwrap_or_default();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
        // One that begins at this moment has no JSON yet.
        files.retain(|path| path.with_extension("json").exists());
        files.sort();
        files.iter().map(|path| Recorded::read(path)).collect()
    }

    /// Waits until `count` recordings are complete, and reads them.
    #[track_caller]
    pub fn complete_recordings(&self, count: usize) -> Vec<Recorded> {
        self.wait_until("complete recordings", Duration::from_secs(10), |sidetone| {
            sidetone.metric("sidetone_recordings_ended_total{result=\"done\"}") >= count as f64
        });
        let recordings = self.recordings();
        assert_eq!(recordings.len(), count, "{}", self.log());
        assert!(recordings.iter().all(|recorded| recorded.json["complete"] == true));
        recordings
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Files and sockets that the process holds open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("it runs").count()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Ends the process at once, as a crash does.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks the process to stop, and waits for it.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let process = self.process.as_mut().expect("it runs");
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                self.process = None;
                return status;
            }
            assert!(Instant::now() < deadline, "sidetone did not stop:\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Sidetone {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log of sidetone ---\n{}", self.log());
        }
    }
}

impl Recorded {
    /// Reads a recording and the JSON beside it.
    pub fn read(wav: &Path) -> Self {
        let json = fs::read(wav.with_extension("json")).expect("a JSON file beside the WAV");
        let mut reader = hound::WavReader::open(wav).expect("a WAV file");
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.bits_per_sample), (2, 16));
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
        Self {
            json: serde_json::from_slice(&json).expect("JSON"),
            rate: spec.sample_rate,
            caller: samples.iter().copied().step_by(2).collect(),
            bot: samples.iter().copied().skip(1).step_by(2).collect(),
        }
    }
}
