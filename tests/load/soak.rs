//! A minute of 500 calls, over both transports at once, that come and go.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::sidetone::Sidetone;
use crate::steady::{steady_alone, unsteady};
use crate::waits::Waits;
use crate::{LAST_CALLS, SAMPLES, number, numbers, parsed};

/// The echo's cushion is twice as long as [`BEHIND`]: where a thread is run late, the echo has something
/// to play all the same.
const SERVER: &str = "[rtp]\nport = 0\naccept = \"any\"\n[media]\nend_after_ms = 1000\n\
                      [echo]\ndelay_ms = 200\n";

/// How long a thread may wait for a processor within the time of the cushion: the server skips the
/// frames that it owes for longer.
const BEHIND: Duration = Duration::from_millis(100);

/// Gauges that are above zero while there are calls.
const GAUGES: [&str; 3] = [
    "sidetone_calls{transport=\"rtp\"}",
    "sidetone_calls{transport=\"audiosocket\"}",
    "sidetone_recordings",
];

/// Counters of what must not happen.
const NEVER: [&str; 5] = ["panics", "stray", "rejected", "receive_overruns", "connections_refused"];

/// Longer than the server needs to end its calls and to publish that.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn five_hundred_calls_that_come_and_go_leave_nothing_behind() {
    steady_alone(|| {
        let server = Sidetone::start(&[], SERVER);
        let tasks = "sidetone_tasks{side=\"control\"}";
        let before = (server.open_files(), server.metric(tasks));
        let pid = server.pid().to_string();
        let targets = [
            ("rtp", server.rtp()[0].to_string()),
            ("audiosocket", server.audiosocket().to_string()),
        ];
        let callers = targets.map(|(transport, to)| {
            let load = Command::new(env!("CARGO_BIN_EXE_sidetone"))
                .args(["load", transport, "--to", &to, "--pid", &pid, "--calls", "250"])
                .args(["--hold", "5s", "--duration", "60s", "--check", "--json"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            (transport, load.expect("the binary runs"))
        });
        let [rtp, audiosocket] = [0, 1].map(|n: usize| callers[n].1.id());
        let waits = Waits::watch(vec![server.pid(), rtp, audiosocket]);
        // Both are waited for before anything is asserted: none is left to play on.
        let outputs = callers.map(|(transport, load)| {
            (transport, load.wait_with_output().expect("a child can be waited for"))
        });
        let waited = waits.longest();
        println!("a thread waited for a processor for {waited:?} at most");
        let checked = catch_unwind(AssertUnwindSafe(|| {
            for (transport, output) in &outputs {
                every_call_was_perfect(&server, transport, output, waited);
            }
            server.wait_until_idle(SOON);
            server.wait_until("as before the first call", SOON, |server| {
                (server.open_files(), server.metric(tasks)) == before
            });
            assert_eq!(GAUGES.map(|gauge| server.metric(gauge)), [0.0; 3]);
            assert_eq!(NEVER.map(|family| sum(&server, family)), [0.0; 5], "{NEVER:?}");
        }));
        match checked {
            Err(_) if waited > BEHIND => unsteady(&format!("a thread was not run for {waited:?}")),
            Err(panic) => resume_unwind(panic),
            Ok(()) => {}
        }
    });
}

/// Where the server was not run, and owed frames for longer than it makes up for, the timestamp behind
/// those that it skips says so, as it must: that alone is no fault.
fn every_call_was_perfect(server: &Sidetone, transport: &str, output: &Output, waited: Duration) {
    let (report, code) = parsed(output);
    let mut faults = report["faults"].as_array().expect("a list").clone();
    if waited > BEHIND {
        faults.retain(|fault| !fault.as_str().is_some_and(|it| it.contains("timestamps did not")));
    }
    assert_eq!(faults, [Value::Null; 0], "{report:#}");
    assert!(waited > BEHIND || code == Some(0), "{report:#}");
    assert_eq!(numbers(&report, SAMPLES), [0.0; 3], "{report:#}");
    let none = ["/setup/failed", "/echo/calls_without", "/echo/calls_faulty", "/packets/lost"];
    assert_eq!(numbers(&report, none), [0.0; 4], "{report:#}");
    let none = ["/packets/unsent", "/packets/overruns", "/packets/duplicate", "/packets/restarts"];
    assert_eq!(numbers(&report, none), [0.0; 4], "{report:#}");
    // 250 at first, and their twelve successors in the minute; of those that began in the ramp of
    // half a second, and of those that are set up while the last ones end, a few more.
    let [begun, heard] = numbers(&report, ["/setup/calls", "/echo/calls"]);
    assert!((3_200.0..=3_400.0).contains(&begun), "{report:#}");
    assert!((begun - LAST_CALLS..=begun).contains(&heard), "{report:#}");
    // 250 calls, 50 packets a second each, for a minute, but for what passes from call to call.
    let [sent, right] = numbers(&report, ["/packets/sent", "/echo/frames_right"]);
    assert!((735_000.0..=750_000.0).contains(&sent) && right >= sent, "{report:#}");
    for (count, expected) in [("started", begun), ("ready", heard)] {
        let metric = format!("sidetone_calls_{count}_total{{transport=\"{transport}\"}}");
        server.wait_until(&metric, SOON, |server| server.metric(&metric) == expected);
    }
    let costs = ["/server/cpu_seconds", "/server/cores", "/server/resident_bytes"];
    let [seconds, cores, bytes] = numbers(&report, costs);
    let late = number(&report, "/generator/send_lateness_ms/max");
    println!(
        "{transport}: {begun} calls; server {seconds:.1} s, {cores:.2} cores, {bytes} B; a frame \
         was sent {late:.0} ms late at most"
    );
}

/// A family of counters, over all its labels.
fn sum(server: &Sidetone, family: &str) -> f64 {
    let (_, body) = server.api("GET", "/metrics");
    let [with, without] = ['{', ' '].map(|end| format!("sidetone_{family}_total{end}"));
    let values: Vec<f64> = body
        .lines()
        .filter(|line| line.starts_with(&with) || line.starts_with(&without))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    assert!(!values.is_empty(), "no {family} in\n{body}");
    values.iter().sum()
}
