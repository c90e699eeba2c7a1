//! A real Asterisk of a test's own.
//!
//! [`require`] finds an installation or tells why there is none; [`Asterisk::start`] runs one
//! instance of it with its own folder and ports, from the configuration in `docker/asterisk/etc`,
//! and `Drop` ends it. Any number may run side by side.
//!
//! ```ignore
//! let Some(installation) = asterisk::require() else { return };
//! let asterisk = Asterisk::start(&installation, &Options::default());
//! asterisk.put_sound("prompt", 8000, &samples);
//! let call = LocalCall::new("asterisk-echo@sidetone").plays("prompt").records("a");
//! call.start(&asterisk);
//! asterisk.wait_until_idle(Duration::from_secs(10));
//! let heard = asterisk.recording("a-heard.sln").samples();
//! ```
//!
//! Waiting here is for another process in real time: it polls, always with a deadline.
#![allow(dead_code, unused_imports, reason = "every test binary uses its own part")]
#![allow(unreachable_pub, reason = "a module of test binaries, which nothing can import")]
#![allow(clippy::disallowed_methods, reason = "waits for a foreign process in real time")]

#[path = "asterisk/call.rs"]
mod call;
#[path = "asterisk/folder.rs"]
mod folder;
#[path = "asterisk/http.rs"]
mod http;
#[path = "asterisk/installation.rs"]
mod installation;
#[path = "asterisk/ports.rs"]
mod ports;
#[path = "asterisk/sipp.rs"]
mod sipp;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub use call::LocalCall;
use folder::Folder;
pub use folder::Recording;
pub use http::Response;
pub use installation::{Installation, Unavailable, available, require};
use ports::PortBlock;
pub use sipp::{Sipp, SippScenario};

/// The ARI user in `docker/asterisk/etc/ari.conf`.
pub const ARI_USER: &str = "sidetone";
/// The password that the tests put in its place.
pub const ARI_PASSWORD: &str = "of the tests";

/// How long a start may take. Measured: 0.7 s on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// What differs from one test's Asterisk to another's.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// Certificate chain and private key, PEM text: ARI is then also served over TLS at
    /// [`Asterisk::ari_tls_url`].
    pub tls: Option<(String, String)>,
    /// Where the extensions `audiosocket` and `audiosocket-dial` connect to, host:port.
    pub audiosocket: Option<String>,
    /// Dialplan text that follows the tests' own contexts.
    pub dialplan: String,
}

/// A running Asterisk. Dropping it kills the process and removes its folder.
#[derive(Debug)]
pub struct Asterisk {
    installation: Installation,
    folder: Folder,
    ports: PortBlock,
    tls: bool,
    process: Option<Child>,
}

impl Asterisk {
    /// Starts an instance and returns when it is fully booted and ARI answers.
    ///
    /// # Panics
    ///
    /// When it does not come up within [`BOOT_LIMIT`]; the message holds its log.
    pub fn start(installation: &Installation, options: &Options) -> Self {
        let ports = PortBlock::reserve();
        let folder = Folder::create(installation, &ports, options);
        let mut asterisk = Self {
            installation: installation.clone(),
            folder,
            ports,
            tls: options.tls.is_some(),
            process: None,
        };
        asterisk.boot();
        asterisk
    }

    /// Ends the process at once, as a crash does. [`restart`](Self::restart) brings it back.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child of ours can be killed");
            process.wait().expect("a killed child can be waited for");
        }
    }

    /// Kills the process if it runs, and starts it again: same folder, ports and configuration.
    pub fn restart(&mut self) {
        self.kill9();
        self.boot();
    }

    fn boot(&mut self) {
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.folder.outside().join("output"))
            .expect("the instance folder is writable");
        let process = self
            .installation
            .command("asterisk")
            .args(["-f", "-C", &self.folder.inside("etc/asterisk.conf")])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be duplicated"))
            .stderr(output)
            .spawn()
            .expect("chroot and asterisk were found");
        self.folder.note_process(process.id());
        self.process = Some(process);

        let deadline = Instant::now() + BOOT_LIMIT;
        loop {
            let process = self.process.as_mut().expect("set above");
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                panic!("asterisk ended while starting ({status}):\n{}", self.log());
            }
            // Before the control socket exists this fails at once; from then on it blocks until
            // every module is loaded.
            if self
                .try_cli("core waitfullybooted")
                .is_some_and(|said| said.contains("fully booted"))
                && self.try_ari("GET", "/asterisk/ping", &[], None).is_ok_and(|r| r.status == 200)
            {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "asterisk did not start within {BOOT_LIMIT:?}:\n{}",
                self.log()
            );
            std::thread::sleep(POLL);
        }
    }

    /// `http://127.0.0.1:PORT/ari`.
    pub fn ari_url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.ports.http())
    }

    /// `https://localhost:PORT/ari`, for [`Options::tls`]. The certificate must name `localhost`.
    pub fn ari_tls_url(&self) -> String {
        assert!(self.tls, "Options::tls was not given");
        format!("https://localhost:{}/ari", self.ports.https())
    }

    /// The UDP port that PJSIP listens on, on 127.0.0.1.
    pub fn sip_port(&self) -> u16 {
        self.ports.sip()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Runs one command on the console and returns what it printed.
    ///
    /// # Panics
    ///
    /// When Asterisk does not run.
    pub fn cli(&self, command: &str) -> String {
        self.try_cli(command)
            .unwrap_or_else(|| panic!("`{command}` found no asterisk:\n{}", self.log()))
    }

    fn try_cli(&self, command: &str) -> Option<String> {
        let output = self
            .installation
            .command("asterisk")
            .args(["-C", &self.folder.inside("etc/asterisk.conf"), "-rx", command])
            .stdin(Stdio::null())
            .output()
            .expect("chroot and asterisk were found");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One ARI request: `path` from below `/ari`, query pairs (encoded here), JSON body.
    ///
    /// # Panics
    ///
    /// When there is no HTTP answer at all.
    pub fn ari(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Response {
        self.try_ari(method, path, query, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    fn try_ari(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> std::io::Result<Response> {
        http::request(self.ports.http(), method, &format!("/ari{path}"), query, body)
    }

    /// Channels that exist now, by ARI.
    pub fn channels(&self) -> usize {
        self.count("/channels")
    }

    /// Bridges that exist now, by ARI.
    pub fn bridges(&self) -> usize {
        self.count("/bridges")
    }

    fn count(&self, path: &str) -> usize {
        let response = self.ari("GET", path, &[], None);
        response.body.as_array().unwrap_or_else(|| panic!("GET {path}: {response:?}")).len()
    }

    /// The names of all channels, for failure messages and for finding one by its prefix.
    pub fn channel_names(&self) -> Vec<String> {
        let response = self.ari("GET", "/channels", &[], None);
        let channels = response.body.as_array().into_iter().flatten();
        channels.filter_map(|c| Some(c["name"].as_str()?.to_owned())).collect()
    }

    /// How many calls came to `[test-continued]`, where Sidetone hands them back to.
    pub fn continued(&self) -> usize {
        self.cli("dialplan show globals").matches("CONTINUED_").count()
    }

    /// Waits until there is no channel and no bridge left.
    ///
    /// # Panics
    ///
    /// When that takes longer than `limit`.
    #[track_caller]
    pub fn wait_until_idle(&self, limit: Duration) {
        self.wait_until("no channel and no bridge", limit, |a| a.channels() + a.bridges() == 0);
    }

    /// Waits until `condition` holds.
    ///
    /// # Panics
    ///
    /// When that takes longer than `limit`; the message holds `what` and the log.
    #[track_caller]
    pub fn wait_until(&self, what: &str, limit: Duration, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "not within {limit:?}: {what}; channels: {:?}\n{}",
                self.channel_names(),
                self.log()
            );
            std::thread::sleep(POLL);
        }
    }

    /// Installs `samples` as a prompt and returns the name that `Playback()` takes.
    /// `rate` is 8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000 or 192000 Hz.
    ///
    /// Raw files on purpose: Asterisk's reader of WAV files drops the last 44 bytes.
    pub fn put_sound(&self, name: &str, rate: u32, samples: &[i16]) -> String {
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        self.put_file(&format!("{name}.{}", sln_extension(rate)), &bytes);
        self.folder.inside(&format!("sounds/{name}"))
    }

    /// Installs any file that Asterisk can play (`hello.wav`, `hello.ulaw`) and returns its path
    /// as Asterisk and SIPp see it; `Playback()` takes it without the extension.
    pub fn put_file(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.folder.outside().join("sounds").join(name), bytes)
            .expect("the instance folder is writable");
        self.folder.inside(&format!("sounds/{name}"))
    }

    /// A file that Asterisk recorded, by its name in the folder of ARI's recordings, extension
    /// included. It need not exist yet.
    pub fn recording(&self, name: &str) -> Recording {
        Recording::new(self.folder.outside().join("spool/recording").join(name))
    }

    /// The instance's own folder, seen from outside the root.
    pub fn folder(&self) -> PathBuf {
        self.folder.outside().to_path_buf()
    }

    /// The last lines of what Asterisk logged, for failure messages.
    pub fn log(&self) -> String {
        const LINES: usize = 80;
        let text = fs::read(self.folder.outside().join("output")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Asterisk's file extension of raw 16-bit audio at a sample rate.
fn sln_extension(rate: u32) -> String {
    match rate {
        8000 => "sln".to_owned(),
        44_100 => "sln44".to_owned(),
        _ => format!("sln{}", rate / 1000),
    }
}
