//! `sidetone load --asterisk`: calls that a real Asterisk makes, to a real server and to its own echo.

use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::asterisk::{ARI_PASSWORD, ARI_USER, Asterisk, Options, require};
use crate::steady::{steady_alone, unsteady};
use crate::support::{CUSHION, SOON, pair};

const CALLS: &str = "10";

/// Begins a run through an Asterisk to one of its extensions.
fn begin(asterisk: &Asterisk, transport: &str, dial: &str, more: &[&str]) -> Child {
    let url = asterisk.ari_url();
    let with_user = url.replacen("http://", &format!("http://{ARI_USER}@"), 1);
    Command::new(env!("CARGO_BIN_EXE_sidetone"))
        .args(["load", transport, "--asterisk", &with_user, "--dial", dial])
        .args(["--calls", CALLS, "--json"])
        .args(more)
        .env("SIDETONE_ARI_PASSWORD", ARI_PASSWORD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

fn end(child: Child) -> Output {
    child.wait_with_output().expect("a child can be waited for")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Five seconds of ten calls, every one of which must be heard from the moment when the way is open
/// to its end.
fn ten_calls(asterisk: &Asterisk, transport: &str, dial: &str, more: &[&str]) {
    let output =
        end(begin(asterisk, transport, dial, &[&["--duration", "5s", "--check"], more].concat()));
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}\n{}\n{}", told(&output), asterisk.log()));
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap();
    // Nothing is left when it has ended, but for the far halves of the calls, which follow.
    let left = asterisk.ari("GET", "/bridges", &[], None).body.to_string();
    assert!(!left.contains("sidetone-load"), "{left}");
    asterisk.wait_until_idle(SOON);

    let calls = ["/calls", "/setup/calls", "/echo/calls"].map(number);
    assert_eq!((calls, number("/setup/failed")), ([10.0; 3], 0.0), "{report:#}");
    assert_eq!(number("/echo/calls_without"), 0.0, "{report:#}");
    let whole = report["faults"] == Value::Array(vec![]) && output.status.code() == Some(0);
    if !whole {
        // Asterisk loses and doubles frames where it is late; a fault of ours is there each time.
        unsteady(&format!("{transport} to {dial}: {}", report["faults"]));
    }
    // 50 frames a second of each call, for five seconds and the half before them, less what was said
    // before the way was open.
    let (right, sent) = (number("/echo/frames_right"), number("/packets/sent"));
    assert_eq!(sent, 2_500.0, "{report:#}");
    assert!((2_400.0..=3_500.0).contains(&right), "{report:#}");
    assert!(number("/setup/took_ms/p50") > 0.0, "{report:#}");
    let before_ms = number("/echo/samples_before") / 8.0 / 10.0;
    assert!(before_ms < 1_000.0, "the way was open {before_ms} ms after the call was up");
    let [took, round_trip] = ["/setup/took_ms/p50", "/round_trip_ms/p50"].map(number);
    println!(
        "{transport} to {dial}: up within {took:.0} ms, the way open {before_ms:.0} ms later, round \
         trip {round_trip:.1} ms"
    );
}

#[test]
fn ten_calls_through_asterisk_to_the_server_are_heard_whole_over_both_transports() {
    steady_alone(|| {
        let Some((asterisk, sidetone)) = pair(CUSHION, "") else { return };
        for transport in ["rtp", "audiosocket"] {
            ten_calls(&asterisk, transport, "Local/echo@sidetone", &[]);
            sidetone.wait_until_idle(SOON);
        }
    });
}

#[test]
fn ten_calls_to_asterisks_own_echo_are_heard_whole() {
    steady_alone(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        ten_calls(&asterisk, "rtp", "Local/asterisk-echo@sidetone", &["--codec", "alaw"]);
        ten_calls(&asterisk, "audiosocket", "Local/asterisk-echo@sidetone", &["--rate", "16000"]);
    });
}

#[test]
fn a_run_that_is_interrupted_or_fails_leaves_nothing_in_asterisk() {
    steady_alone(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let echo = "Local/asterisk-echo@sidetone";
        for transport in ["rtp", "audiosocket"] {
            let run = begin(&asterisk, transport, echo, &["--duration", "60s"]);
            asterisk.wait_until("the calls", SOON, |asterisk| asterisk.bridges() == 10);
            let pid = run.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            let output = end(run);
            assert_eq!(output.status.code(), Some(1), "{}", told(&output));
            assert!(told(&output).contains("interrupted"), "{}", told(&output));
            assert_eq!(asterisk.bridges(), 0);
            asterisk.wait_until_idle(SOON);
        }

        // One that is killed cannot; the next one does.
        let mut run = begin(&asterisk, "rtp", echo, &["--duration", "60s"]);
        asterisk.wait_until("the calls", SOON, |asterisk| asterisk.bridges() == 10);
        run.kill().unwrap();
        run.wait().unwrap();
        assert!(asterisk.bridges() > 0);
        let nowhere = end(begin(&asterisk, "rtp", "Local/nowhere@sidetone", &[]));
        assert_eq!(nowhere.status.code(), Some(1));
        let text = told(&nowhere);
        assert!(text.contains("no call could be set up") && text.contains("--advertise"), "{text}");
        asterisk.wait_until_idle(SOON);
    });
}

#[test]
fn a_wrong_password_is_told_before_anything_is_made() {
    steady_alone(|| {
        let Some(installation) = require() else { return };
        let asterisk = Asterisk::start(&installation, &Options::default());
        let url = asterisk.ari_url().replacen("http://", "http://sidetone:wrong@", 1);
        let output = Command::new(env!("CARGO_BIN_EXE_sidetone"))
            .args(["load", "rtp", "--asterisk", &url, "--dial", "Local/echo@sidetone"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = told(&output);
        assert!(text.contains("refuses the user") && !text.contains("wrong"), "{text}");
        assert!(output.stdout.is_empty());
        assert_eq!((asterisk.channels(), asterisk.bridges()), (0, 0));
    });
}
