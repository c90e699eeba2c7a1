//! `sidetone load` from outside: against the real server, against peers that do one thing wrong, and
//! against nobody.
#![allow(clippy::unwrap_used, reason = "a test that finds nothing there shall fail")]

#[path = "load/peers.rs"]
mod peers;
#[path = "common/sidetone.rs"]
mod sidetone;
#[path = "load/soak.rs"]
mod soak;
#[path = "common/steady.rs"]
mod steady;
#[path = "load/waits.rs"]
mod waits;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::peers::{Done, RtpPeer, StreamPeer};
use crate::sidetone::Sidetone;
use crate::steady::steady;

const SERVER: &str = "[rtp]\nport = 0\naccept = \"any\"\n[media]\nend_after_ms = 2000\n";

fn load(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    command.arg("load").args(arguments).output().expect("the binary runs")
}

/// The report, and the exit code.
fn report(arguments: &[&str]) -> (Value, Option<i32>) {
    parsed(&load(&[arguments, &["--json"]].concat()))
}

fn parsed(output: &Output) -> (Value, Option<i32>) {
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_str(&text);
    (json.unwrap_or_else(|error| panic!("{error} in:\n{text}\n{told}")), output.status.code())
}

fn number(value: &Value, pointer: &str) -> f64 {
    let number = value.pointer(pointer).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("no number {pointer} in {value:#}"))
}

fn numbers<const N: usize>(value: &Value, pointers: [&str; N]) -> [f64; N] {
    pointers.map(|pointer| number(value, pointer))
}

/// Calls that may be set up within the last 20 ms, so that they say nothing.
const LAST_CALLS: f64 = 2.0;

const SAMPLES: [&str; 3] =
    ["/echo/samples_wrong", "/echo/samples_missing", "/echo/samples_repeated"];

#[test]
fn every_call_hears_its_echo_from_the_real_server_over_both_transports() {
    steady(|| {
        let server = Sidetone::start(&[], SERVER);
        let pid = server.pid().to_string();
        let rtp = server.rtp()[0].to_string();
        let audiosocket = server.audiosocket().to_string();
        for (transport, to) in [("rtp", &rtp), ("audiosocket", &audiosocket)] {
            let (report, code) = report(&[
                transport,
                "--to",
                to,
                "--calls",
                "50",
                "--duration",
                "2s",
                "--pid",
                &pid,
                "--check",
            ]);
            assert_eq!((code, &report["faults"]), (Some(0), &Value::Array(vec![])), "{report:#}");
            assert_eq!(report["transport"], transport);
            assert_eq!(report["target"], *to);
            assert_eq!(numbers(&report, SAMPLES), [0.0; 3], "{report:#}");
            let calls = ["/calls", "/setup/calls", "/echo/calls"];
            assert_eq!(numbers(&report, calls), [50.0; 3], "{report:#}");
            let none = ["/setup/failed", "/echo/calls_without", "/packets/lost", "/packets/unsent"];
            assert_eq!(numbers(&report, none), [0.0; 4], "{report:#}");
            // 50 calls, 50 packets a second each, for two seconds; a call that begins in the 100 ms
            // of the ramp has up to that, and the half second before it was measured, more.
            assert_eq!(number(&report, "/packets/sent"), 5_000.0);
            let received = number(&report, "/packets/received");
            assert!((4_800.0..5_200.0).contains(&received), "{report:#}");
            let right = number(&report, "/echo/frames_right");
            assert!((6_200.0..=6_600.0).contains(&right), "{report:#}");
            // The echo itself waits for 40 ms less a frame's time.
            let [p50, max] = numbers(&report, ["/round_trip_ms/p50", "/round_trip_ms/max"]);
            assert!((20.0..150.0).contains(&p50) && p50 <= max, "{report:#}");
            assert!(number(&report, "/interarrival_ms/p50") < 20.0, "{report:#}");
            let cpu = number(&report, "/server/cpu_seconds");
            assert!((0.001..4.0).contains(&cpu), "{report:#}");
            let per_packet = number(&report, "/server/cpu_us_per_packet");
            assert!((per_packet * received / 1e6 - cpu).abs() < 1e-6, "{report:#}");
            assert!(number(&report, "/server/resident_bytes") > 1e6, "{report:#}");
            assert!(number(&report, "/generator/cpu_seconds") > 0.0, "{report:#}");
            assert!(report.get("bare").is_none());
        }
    });
}

#[test]
fn calls_that_are_held_are_replaced_and_hung_up() {
    steady(|| {
        let server = Sidetone::start(&[], SERVER);
        let audiosocket = server.audiosocket().to_string();
        let rtp = server.rtp()[0].to_string();
        for (transport, to, metric) in [
            ("audiosocket", audiosocket, "sidetone_calls_started_total{transport=\"audiosocket\"}"),
            ("rtp", rtp, "sidetone_calls_started_total{transport=\"rtp\"}"),
        ] {
            let (report, code) = report(&[
                transport,
                "--to",
                &to,
                "--calls",
                "20",
                "--hold",
                "500ms",
                "--duration",
                "2s",
                "--check",
            ]);
            assert_eq!(code, Some(0), "{report:#}");
            // 40 a second for the two seconds, and the half before them.
            let [begun, ended] = numbers(&report, ["/setup/calls", "/echo/calls"]);
            assert!((110.0..=130.0).contains(&begun), "{report:#}");
            assert!((begun - LAST_CALLS..=begun).contains(&ended), "{report:#}");
            server.wait_until("all calls counted", Duration::from_secs(5), |server| {
                server.metric(metric) == begun
            });
            server.wait_until_idle(Duration::from_secs(10));
        }
    });
}

#[test]
fn what_is_lost_on_purpose_is_no_fault_and_is_not_the_caller_s() {
    steady(|| {
        let server = Sidetone::start(&[], SERVER);
        let to = server.rtp()[0].to_string();
        let (report, code) = report(&[
            "rtp",
            "--to",
            &to,
            "--calls",
            "20",
            "--duration",
            "2s",
            "--loss",
            "10%",
            "--jitter",
            "5ms",
            "--check",
        ]);
        assert_eq!(code, Some(0), "{report:#}");
        let [sent, withheld] = numbers(&report, ["/packets/sent", "/packets/withheld"]);
        // Of 2,000 packets 200; the standard deviation is 13. Delays move a few over the edge.
        assert!((140.0..=260.0).contains(&withheld), "{report:#}");
        assert!((sent + withheld - 2_000.0).abs() <= 20.0, "{report:#}");
        let [wrong, ..] = numbers(&report, SAMPLES);
        assert!(wrong > 160.0 * 100.0, "{report:#}");
    });
}

/// Plays four callers for a second against a peer that does something wrong.
fn against(peer: &RtpPeer) -> (Value, Option<i32>) {
    let to = peer.address().to_string();
    report(&["rtp", "--to", &to, "--calls", "4", "--duration", "1s", "--check"])
}

#[test]
fn a_peer_that_does_nothing_wrong_is_told_so() {
    steady(|| {
        let peer = RtpPeer::start(|_, packet| vec![packet.to_vec()]);
        let (report, code) = against(&peer);
        let Done { packets, .. } = peer.stop();
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(number(&report, "/echo/frames_right"), f64::from(packets), "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [0.0; 3]);
        assert!(number(&report, "/round_trip_ms/p50") < 50.0, "{report:#}");
    });
}

#[test]
fn callers_of_a_peer_elsewhere_have_ports_of_their_own() {
    steady(|| {
        // To the tool anything but 127.0.0.0/8 is elsewhere; a machine may be without IPv6.
        let Ok(socket) = UdpSocket::bind("[::1]:0") else { return };
        let peer = RtpPeer::at(socket);
        let (report, code) = against(&peer);
        let Done { packets, .. } = peer.stop();
        assert_eq!(code, Some(0), "{report:#}");
        assert_eq!(numbers(&report, ["/echo/calls", "/echo/calls_without"]), [4.0, 0.0]);
        assert_eq!(number(&report, "/echo/frames_right"), f64::from(packets), "{report:#}");
    });
}

#[test]
fn packets_that_a_peer_drops_are_lost_and_their_samples_missing() {
    steady(|| {
        let peer = RtpPeer::start(|n, packet| match n % 20 {
            19 => vec![],
            _ => vec![packet.to_vec()],
        });
        let (report, code) = against(&peer);
        let Done { packets, odd } = peer.stop();
        assert_eq!(code, Some(1), "{report:#}");
        // Of each of the calls 50 packets are measured.
        let lost = number(&report, "/packets/lost");
        assert!((8.0..=12.0).contains(&lost), "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [0.0, 160.0 * f64::from(odd), 0.0], "{report:#}");
        assert_eq!(number(&report, "/echo/frames_right"), f64::from(packets - odd));
        let faults = report["faults"].to_string();
        assert!(faults.contains("answers were lost") && faults.contains("never came"), "{faults}");
    });
}

#[test]
fn a_sample_that_a_peer_changes_is_wrong_and_nothing_else_is() {
    steady(|| {
        let peer = RtpPeer::start(|n, packet| {
            let mut packet = packet.to_vec();
            if n % 20 == 10 {
                packet[12 + 77] ^= 0x04;
            }
            vec![packet]
        });
        let (report, code) = against(&peer);
        let Done { packets, odd } = peer.stop();
        assert_eq!(code, Some(1), "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [f64::from(odd), 0.0, 0.0], "{report:#}");
        assert_eq!(number(&report, "/echo/frames_right"), f64::from(packets - odd));
        assert_eq!(number(&report, "/packets/lost"), 0.0);
    });
}

#[test]
fn a_frame_that_comes_twice_is_repeated_or_a_duplicate() {
    steady(|| {
        // The same packet once more.
        let peer = RtpPeer::start(|n, packet| vec![packet.to_vec(); 1 + usize::from(n % 20 == 10)]);
        let (report, code) = against(&peer);
        let Done { odd, .. } = peer.stop();
        assert_eq!(code, Some(1), "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [0.0; 3], "{report:#}");
        let duplicate = number(&report, "/packets/duplicate");
        assert!((8.0..=12.0).contains(&duplicate) && odd >= 12, "{report:#}");

        // The same frame in a packet of its own.
        let peer = RtpPeer::start(|n, packet| {
            let numbered = |ahead: u32| {
                let mut packet = packet.to_vec();
                let seq = u16::from_be_bytes([packet[2], packet[3]]).wrapping_add(ahead as u16);
                packet[2..4].copy_from_slice(&seq.to_be_bytes());
                let timestamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
                let timestamp = timestamp.wrapping_add(160 * ahead);
                packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
                packet
            };
            // So many packets more than came, by now.
            let ahead = (n + 9) / 20;
            match n % 20 {
                10 => vec![numbered(ahead), numbered(ahead + 1)],
                _ => vec![numbered(ahead)],
            }
        });
        let (report, code) = against(&peer);
        let Done { packets, odd } = peer.stop();
        assert_eq!(code, Some(1), "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [0.0, 0.0, 160.0 * f64::from(odd)], "{report:#}");
        assert_eq!(number(&report, "/echo/frames_right"), f64::from(packets));
        let clean = ["/packets/lost", "/packets/duplicate", "/packets/timestamp_jumps"];
        assert_eq!(numbers(&report, clean), [0.0; 3], "{report:#}");
    });
}

#[test]
fn a_peer_that_answers_late_is_seen_to_be_late() {
    steady(|| {
        let peer = RtpPeer::delayed(Duration::from_millis(150));
        let (report, code) = against(&peer);
        drop(peer);
        assert_eq!(code, Some(0), "{report:#}");
        let [p50, p90] = numbers(&report, ["/round_trip_ms/p50", "/round_trip_ms/p90"]);
        assert!((150.0..=p90).contains(&p50) && p90 < 400.0, "{report:#}");
    });
}

#[test]
fn a_server_that_plays_something_else_is_no_echo() {
    steady(|| {
        let peer = RtpPeer::start(|_, packet| {
            let mut packet = packet.to_vec();
            packet[12..].fill(0x2a);
            vec![packet]
        });
        let (report, code) = against(&peer);
        let Done { packets, .. } = peer.stop();
        assert_eq!(code, Some(1), "{report:#}");
        assert_eq!(number(&report, "/echo/calls_without"), 4.0);
        assert_eq!(
            number(&report, "/echo/samples_wrong"),
            160.0 * f64::from(packets),
            "{report:#}"
        );
        // What was never right has no round trip.
        assert_eq!(report["round_trip_ms"], Value::Null);
        assert!(number(&report, "/interarrival_ms/p50") < 20.0, "{report:#}");
    });
}

#[test]
fn an_audiosocket_peer_that_changes_a_sample_or_hangs_up_is_found_out() {
    steady(|| {
        let peer = StreamPeer::start();
        let to = peer.address().to_string();
        let (report, code) =
            report(&["audiosocket", "--to", &to, "--calls", "4", "--duration", "1s", "--check"]);
        assert_eq!(code, Some(1), "{report:#}");
        // The second connection is hung up, each of the others has one sample changed.
        assert_eq!(numbers(&report, ["/setup/failed", "/echo/calls"]), [1.0, 3.0], "{report:#}");
        assert_eq!(numbers(&report, SAMPLES), [3.0, 0.0, 0.0], "{report:#}");
        assert_eq!(number(&report, "/echo/calls_faulty"), 3.0);
    });
}

#[test]
fn where_nobody_answers_it_is_said_what_to_look_at() {
    steady(|| {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        // The kernel takes connections for who does not accept them.
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        for (transport, to, what, hint) in [
            ("rtp", silent.local_addr().unwrap().to_string(), "nothing came back", "rtp.accept"),
            ("audiosocket", closed, "no call could be set up", "audiosocket.accept"),
            ("audiosocket", mute.local_addr().unwrap().to_string(), "nothing came back", "echo"),
        ] {
            let output = load(&[transport, "--to", &to, "--calls", "2", "--duration", "5s"]);
            assert_eq!(output.status.code(), Some(1), "{transport} {to}");
            let told = String::from_utf8(output.stderr).unwrap();
            assert!(told.contains(what) && told.contains(hint) && told.contains(&to), "{told}");
            assert!(output.stdout.is_empty());
        }
        let output = load(&["rtp", "--to", "no.such.host.invalid:1"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stderr).unwrap().contains("no.such.host.invalid"));
    });
}

#[test]
fn the_bare_loop_is_measured_alone_or_beside_a_server() {
    steady(|| {
        for transport in ["rtp", "audiosocket"] {
            let (report, code) =
                report(&[transport, "--bare", "--calls", "20", "--duration", "1s", "--check"]);
            assert_eq!(code, Some(0), "{report:#}");
            assert!(report.get("server").is_none());
            assert!(number(&report, "/bare/cpu_us_per_packet") > 0.0, "{report:#}");
            assert_eq!(number(&report, "/bare/packets/lost"), 0.0);
        }
        let server = Sidetone::start(&[], SERVER);
        let (to, pid) = (server.rtp()[0].to_string(), server.pid().to_string());
        let arguments =
            ["rtp", "--bare", "--to", &to, "--pid", &pid, "--calls", "20", "--duration", "1s"];
        let (report, code) = report(&arguments);
        assert_eq!((code, &report["target"]), (Some(0), &Value::from(to.as_str())));
        let costs = ["/server/cpu_us_per_packet", "/bare/cpu_us_per_packet"];
        let [server_us, bare_us] = numbers(&report, costs);
        assert!(server_us > bare_us && bare_us > 0.0, "{report:#}");

        let output = load(&arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        for part in ["round trip", "bare loop", "server / bare", "calls per core"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    });
}

#[test]
fn a_bare_loop_ends_with_its_standard_input() {
    steady(|| {
        for transport in ["rtp", "audiosocket"] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_sidetone"))
                .args(["load", "bare", transport, "--pause", "1ms"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            let told: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(told["pid"], child.id());
            let address = told["address"].as_str().unwrap();
            assert!(address.starts_with("127.0.0.1:") && !address.ends_with(":0"), "{address}");
            assert!(child.try_wait().unwrap().is_none(), "it runs");
            drop(child.stdin.take());
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(0), ""));
        }
    });
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    steady(|| {
        for arguments in [
            &[][..],
            &["rtp"],
            &["rtp", "--to"],
            &["rtp", "--to", "127.0.0.1:9", "--calls", "0"],
            &["rtp", "--to", "127.0.0.1:9", "--duration", "1"],
            &["rtp", "--to", "127.0.0.1:9", "--hold", "1ms"],
            &["rtp", "--to", "127.0.0.1:9", "--ramp", "0/s"],
            &["rtp", "--to", "127.0.0.1:9", "--loss", "1"],
            &["rtp", "--to", "127.0.0.1:9", "--jitter", "501ms"],
            &["rtp", "--to", "127.0.0.1:9", "--codec", "opus"],
            &["rtp", "--to", "127.0.0.1:9", "--bare-core", "1"],
            &["rtp", "--bare", "--pid", "1"],
            &["rtp", "--asterisk", "http://u:p@127.0.0.1:1"],
            &["rtp", "--dial", "Local/1@x", "--to", "127.0.0.1:9"],
            &["rtp", "--asterisk", "http://u:p@127.0.0.1:1", "--dial", "x", "--to", "127.0.0.1:9"],
            &["rtp", "--asterisk", "http://u:p@127.0.0.1:1", "--dial", "x", "--bare"],
            &["audiosocket", "--to", "127.0.0.1:9", "--rate", "11025"],
            &["audiosocket", "--to", "127.0.0.1:9", "--loss", "1%"],
            &["bare", "smoke"],
        ] {
            let output = load(arguments);
            assert_eq!(output.status.code(), Some(64), "{arguments:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            assert!(text.contains("Usage: sidetone load"), "{arguments:?}: {text}");
            assert!(output.stdout.is_empty());
        }
        for arguments in [&["--help"][..], &["rtp", "--help"], &["audiosocket", "--help"]] {
            let output = load(arguments);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && text.contains("--to 127.0.0.1:40000"), "{text}");
        }
    });
}
