//! `sidetone load`, as a process of its own.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// How late packets may be sent, the 99th percentile of them, before a run says nothing.
const LATE_MS: f64 = 5.0;

/// What callers are to do.
pub(crate) struct Callers {
    pub(crate) transport: &'static str,
    pub(crate) to: SocketAddr,
    pub(crate) calls: u32,
    pub(crate) measured: Duration,
    /// How long a call lasts, where not to the end.
    pub(crate) hold: Option<Duration>,
    /// Process that they measure.
    pub(crate) pid: Option<u32>,
    pub(crate) core: usize,
    /// Core of the bare loop, if there is to be one.
    pub(crate) bare_core: Option<usize>,
}

/// Callers that talk. Dropping them ends them.
pub(crate) struct Talking {
    child: Option<Child>,
    /// Where it tells how it goes.
    told: PathBuf,
    report: PathBuf,
}

/// There is no report.
#[derive(Debug, Error)]
#[error("sidetone load ended with {status}: {told}")]
pub(crate) struct CallersError {
    status: ExitStatus,
    told: String,
}

/// What callers have found, as far as it is of use here.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Found {
    pub(crate) setup: SetUp,
    pub(crate) packets: Packets,
    pub(crate) echo: Echo,
    /// Nothing where no answer was right.
    pub(crate) round_trip_ms: Option<Quantiles>,
    generator: Generator,
    pub(crate) server: Option<Cost>,
    pub(crate) bare: Option<Bare>,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct SetUp {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Packets {
    pub(crate) lost: u64,
    unsent: u64,
    overruns: u64,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Echo {
    pub(crate) calls_without: u64,
    pub(crate) samples_wrong: u64,
    pub(crate) samples_missing: u64,
}

#[derive(Deserialize, Clone, Copy, Debug)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

#[derive(Deserialize, Clone, Debug)]
struct Generator {
    /// Nothing where nothing was sent.
    send_lateness_ms: Option<Quantiles>,
}

/// What a server took.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) cpu_us_per_packet: f64,
    pub(crate) calls_per_core: f64,
    pub(crate) resident_bytes_per_call: f64,
}

/// What the bare loop took, and what was seen of it.
#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Bare {
    pub(crate) cpu_us_per_packet: f64,
    pub(crate) round_trip_ms: Option<Quantiles>,
    packets: Packets,
}

impl Callers {
    /// Starts them. What they tell is kept in `folder`, under `name`.
    pub(crate) fn start(&self, folder: &Path, name: &str) -> Talking {
        let [told, report] = ["log", "json"].map(|end| folder.join(format!("{name}.{end}")));
        let file = |path: &Path| File::create(path).expect("the folder is writable");
        let child = Command::new(env!("CARGO_BIN_EXE_sidetone"))
            .args(self.arguments())
            .stdin(Stdio::null())
            .stdout(file(&report))
            .stderr(file(&told))
            .spawn();
        Talking { child: Some(child.expect("the binary is built")), told, report }
    }

    fn arguments(&self) -> Vec<String> {
        let duration = |time: Duration| humantime::format_duration(time).to_string();
        let mut arguments = vec!["load".to_owned(), self.transport.to_owned(), "--json".to_owned()];
        let mut add = |flag: &str, value: String| arguments.extend([flag.to_owned(), value]);
        add("--to", self.to.to_string());
        add("--calls", self.calls.to_string());
        add("--duration", duration(self.measured));
        add("--core", self.core.to_string());
        if let Some(hold) = self.hold {
            add("--hold", duration(hold));
        }
        if let Some(pid) = self.pid {
            add("--pid", pid.to_string());
        }
        if let Some(core) = self.bare_core {
            add("--bare-core", core.to_string());
            arguments.push("--bare".to_owned());
        }
        arguments
    }
}

impl Talking {
    /// Whether they still do.
    pub(crate) fn goes_on(&mut self) -> bool {
        let child = self.child.as_mut().expect("it is taken by the end only");
        child.try_wait().expect("a child can be asked").is_none()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Where there are no figures: this machine could not make so much load, or nothing came back.
    pub(crate) fn end(mut self) -> Result<Found, CallersError> {
        let mut child = self.child.take().expect("there is one end only");
        let status = child.wait().expect("a child can be waited for");
        let text = fs::read(&self.report);
        let found = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
        match found {
            Ok(found) if status.success() => Ok(found),
            _ => Err(CallersError { status, told: self.last_words() }),
        }
    }

    fn last_words(&self) -> String {
        let told = fs::read_to_string(&self.told).unwrap_or_default();
        let lines: Vec<_> = told.lines().collect();
        lines[lines.len().saturating_sub(4)..].join("\n")
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nobody waits for what it would find.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Found {
    /// By how much packets were sent late, the 99th percentile.
    pub(crate) fn sent_late_ms(&self) -> Option<f64> {
        self.generator.send_lateness_ms.map(|late| late.p99)
    }

    /// Why the run says nothing, if so: the callers themselves were late, or dropped what they should
    /// have sent or heard. How late they were with the bare loop is not told; its answers, which come
    /// at once, tell it.
    pub(crate) fn fault(&self) -> Option<String> {
        let Some(late_ms) = self.sent_late_ms() else {
            return Some("the callers sent nothing".to_owned());
        };
        if late_ms > LATE_MS {
            return Some(format!("the callers were late themselves (p99 {late_ms:.1} ms)"));
        }
        if let Some(bare) = &self.bare {
            let Some(answers) = bare.round_trip_ms else {
                return Some("the bare loop answered nothing right".to_owned());
            };
            if answers.p99 > LATE_MS {
                let late_ms = answers.p99;
                return Some(format!("the bare loop's answers were late (p99 {late_ms:.1} ms)"));
            }
        }
        let of_bare = self.bare.as_ref().map(|bare| &bare.packets);
        let dropped = |packets: &Packets| packets.unsent + packets.overruns;
        let count: u64 = of_bare.into_iter().chain([&self.packets]).map(dropped).sum();
        (count > 0).then(|| format!("the callers dropped {count} packets themselves"))
    }

    /// Calls that could not be set up, or never heard their echo.
    pub(crate) fn calls_failed(&self) -> u64 {
        self.setup.failed + self.echo.calls_without
    }

    /// Samples that are not the caller's, or did not come back.
    pub(crate) fn samples_bad(&self) -> u64 {
        self.echo.samples_wrong + self.echo.samples_missing
    }
}
