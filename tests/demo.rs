//! `sidetone demo` from outside: exit code, figures, recordings.

#[path = "common/steady.rs"]
mod steady;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::steady::steady;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sidetone"))
        .arg("demo")
        .args(arguments)
        .output()
        .expect("the binary runs")
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

fn number(value: &Value, pointer: &str) -> f64 {
    let number = value.pointer(pointer).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number {pointer} in {value:#}"))
}

#[test]
fn the_demo_echoes_and_records_speech_over_both_transports() {
    steady(|| {
        let folder = tempfile::tempdir().unwrap();
        // One that is not there yet.
        let recordings = folder.path().join("some/recordings");
        let output = demo(&["--json", "--directory", recordings.to_str().unwrap()]);
        let report = json(&output);
        assert_eq!(output.status.code(), Some(0), "{report:#}");
        assert_eq!(report["ok"], true);
        assert_eq!(report["failures"], Value::Array(Vec::new()));
        assert_eq!(number(&report, "/echo_delay_ms"), 40.0);
        assert!(!output.stderr.is_empty(), "there is progress on standard error");

        let transports = report["transports"].as_array().unwrap();
        let names: Vec<_> = transports.iter().map(|t| (&t["transport"], &t["format"])).collect();
        assert_eq!(
            names,
            [(&"rtp".into(), &"ulaw".into()), (&"audiosocket".into(), &"slin".into())]
        );
        for figures in transports {
            for (pointer, expected) in [
                ("/packets/caller_sent", 248.0),
                ("/packets/server_received", 248.0),
                ("/packets/caller_received", number(figures, "/packets/server_sent")),
                ("/packets/lost", 0.0),
                ("/packets/rejected", 0.0),
                ("/uplink_latency/count", 248.0),
                ("/round_trip/count", 248.0),
            ] {
                assert_eq!(number(figures, pointer), expected, "{pointer} in {figures:#}");
            }
            // 248 frames of speech and half a second of listening make 272 or 273 ticks of 20 ms;
            // a busy machine makes the call a little longer.
            assert!(
                (270.0..300.0).contains(&number(figures, "/packets/server_sent")),
                "{figures:#}"
            );
            for pointer in
                ["/correlation", "/recording/caller_correlation", "/recording/echo_correlation"]
            {
                assert!(number(figures, pointer) > 0.99, "{pointer} in {figures:#}");
            }
            assert!(number(figures, "/uplink_latency/p99_ms") < 100.0, "{figures:#}");
            // No echo comes back before its own delay is over; one packet time is the clock's phase.
            let round_trip = number(figures, "/round_trip/p50_ms");
            assert!((20.0..300.0).contains(&round_trip), "{figures:#}");
            assert!(number(figures, "/recording/echo_behind_ms") > 20.0, "{figures:#}");
            check_recording(figures, &recordings);
        }
        assert_eq!(std::fs::read_dir(&recordings).unwrap().count(), 4, "a WAV and a JSON per call");
    });
}

/// A WAV of 8 kHz, 16 bit, two sides, as long as the figures say, with its description beside it.
fn check_recording(figures: &Value, directory: &Path) {
    let path = Path::new(figures["recording"]["path"].as_str().expect("a path"));
    assert_eq!(path.parent(), Some(directory));
    let reader = hound::WavReader::open(path).expect("a WAV file");
    assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 8_000));
    let milliseconds = f64::from(reader.duration()) / 8.0;
    assert!((milliseconds - number(figures, "/recording/duration_ms")).abs() < 0.2);
    assert!((5_440.0..6_500.0).contains(&milliseconds), "{milliseconds} ms");
    let description = std::fs::read(path.with_extension("json")).expect("a JSON file");
    let description: Value = serde_json::from_slice(&description).expect("JSON");
    assert_eq!(description["complete"], true);
    assert_eq!(description["transport"], figures["transport"]);
    assert_eq!(description["stats"]["packets_received"], 248);
}

#[test]
fn a_folder_that_cannot_be_made_fails_the_demo_and_is_named() {
    steady(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("recordings");
        let below = below.to_str().unwrap();

        let output = demo(&["--directory", below, "--json"]);
        assert_eq!(output.status.code(), Some(1));
        let report = json(&output);
        assert_eq!(report["ok"], false);
        assert!(report["failures"][0].as_str().unwrap().contains(below), "{report:#}");

        let output = demo(&["--directory", below]);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("FAILED") && text.contains(below), "{text}");
    });
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    steady(|| {
        for arguments in [&["--seconds", "3"][..], &["--directory"], &["surplus"]] {
            let output = demo(arguments);
            assert_eq!(output.status.code(), Some(64), "{arguments:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(
                text.contains(arguments[0]) && text.contains("--help"),
                "{arguments:?}: {text}"
            );
            assert!(output.stdout.is_empty());
        }
    });
}
