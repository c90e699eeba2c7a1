use std::net::SocketAddr;

use sidetone::audio::MediaFormat;

use crate::capture::{Capture, Container, Link};
use crate::emulator::Path;
use crate::sender::Sender;
use crate::support::{Bench, Call, START, alice, bob, call, capture_all, ms, number};

const CONTAINERS: [Container; 8] = [
    Container::Pcap { big_endian: false, nanos: false },
    Container::Pcap { big_endian: true, nanos: false },
    Container::Pcap { big_endian: false, nanos: true },
    Container::Pcap { big_endian: true, nanos: true },
    Container::PcapNg { big_endian: false, resolution: 6, offset_seconds: 0 },
    Container::PcapNg { big_endian: true, resolution: 9, offset_seconds: 1_000_000_000 },
    // 2^-20 s.
    Container::PcapNg { big_endian: false, resolution: 0x94, offset_seconds: 1_000_000_000 },
    Container::PcapNg { big_endian: true, resolution: 3, offset_seconds: 0 },
];

fn one_second() -> Call {
    call(Sender::new(MediaFormat::Ulaw), 1.0, Path::IDEAL, 1)
}

/// One second of speech, whole, as far as the figures tell.
fn assert_whole(bench: &Bench, call: &Call, what: &str) {
    let report = bench.json(&["--wav", "."]);
    let stream = &report["streams"][0];
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1), "{what}");
    assert_eq!(number(stream, "/stats/packets_received"), 50.0, "{what}");
    // The coarsest of the resolutions here is a millisecond.
    assert!((number(stream, "/duration_ms") - 980.0).abs() < 1.001, "{what}: {stream:#}");
    let start = number(&report, "/contents/start_unix_ms");
    assert!((start - START.as_secs_f64() * 1e3).abs() < 1.001, "{what}: {start}");
    assert!(bench.wav(stream).1 == call.heard, "{what}");
}

#[test]
fn every_kind_of_file_is_read() {
    let call = one_second();
    for container in CONTAINERS {
        let mut capture = Capture::new(container, Link::Ethernet);
        capture_all(&mut capture, &[(alice(), bob(), &call)]);
        let what = format!("{container:?}");
        let bench = Bench::new(&capture.bytes);
        assert_whole(&bench, &call, &what);
        let expected = if what.starts_with("PcapNg") { "pcapng" } else { "pcap" };
        assert_eq!(bench.json(&[])["container"], expected);
    }
}

#[test]
fn every_link_layer_is_read_over_ipv4_and_ipv6() {
    let call = one_second();
    let v6 = |last: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 4_000 + last));
    for link in Link::ALL {
        for (from, to) in [(alice(), bob()), (v6(1), v6(2))] {
            let mut capture = Capture::new(Container::USUAL, link);
            capture_all(&mut capture, &[(from, to, &call)]);
            let bench = Bench::new(&capture.bytes);
            assert_whole(&bench, &call, &format!("{link:?} {from}"));
            let stream = bench.json(&[])["streams"][0].clone();
            assert_eq!(
                (&stream["from"], &stream["to"]),
                (&from.to_string().into(), &to.to_string().into())
            );
        }
    }
}

#[test]
fn what_is_no_rtp_is_counted_and_left_out() {
    let call = one_second();
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), &call)]);
    let at = START + ms(1_000);
    for n in 0..20_u8 {
        // RTCP: a receiver report under the same SSRC as the audio, as when both share a port.
        capture.udp(at, alice(), bob(), &[0x80, 201, 0, n, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0]);
        // DNS whose random id looks like version 2: all of it in one "SSRC", none advancing.
        let dns = [0x80 | n, n, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 110, 115, 49];
        capture.udp(at, alice(), SocketAddr::from(([192, 0, 2, 53], 53)), &dns);
        // STUN.
        capture.udp(at, bob(), alice(), &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6]);
        capture.tcp(at, alice(), bob());
    }
    for _ in 0..3 {
        capture.fragment(at, alice(), bob());
    }
    capture.cut(at, alice(), bob(), &call.deliveries[0].bytes, 60);
    let report = Bench::new(&capture.bytes).json(&[]);
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(number(&report, "/streams/0/packets"), 50.0);
    for (pointer, expected) in [
        ("/contents/frames", 50.0 + 80.0 + 4.0),
        ("/contents/datagrams", 50.0 + 60.0),
        ("/contents/rtp", 50.0),
        ("/contents/rtcp", 20.0),
        ("/contents/fragments", 3.0),
        ("/contents/cut", 1.0),
    ] {
        assert_eq!(number(&report, pointer), expected, "{pointer} in {report:#}");
    }
    let notes = report["notes"].to_string();
    assert!(notes.contains("3 fragments") && notes.contains("snap length"), "{notes}");
}

#[test]
fn a_truncated_capture_is_analysed_up_to_there_and_says_so() {
    let call = one_second();
    for container in [CONTAINERS[0], CONTAINERS[4]] {
        let mut capture = Capture::new(container, Link::Ethernet);
        let mut ends = Vec::new();
        for delivery in &call.deliveries {
            capture.udp(START + delivery.at, alice(), bob(), &delivery.bytes);
            ends.push(capture.bytes.len());
        }
        for (whole, cut) in [(30, 1), (30, 17), (30, 100), (31, 3)] {
            let bench = Bench::new(&capture.bytes[..ends[whole - 1] + cut]);
            let report = bench.json(&[]);
            assert_eq!(number(&report, "/streams/0/packets"), whole as f64);
            let expected =
                format!("truncated: it ends within the record at byte {}", ends[whole - 1]);
            assert!(report["notes"][0].as_str().expect("a note").contains(&expected), "{report:#}");
            let text = String::from_utf8(bench.run(&[]).stdout).expect("UTF-8");
            assert!(text.contains("NOTE  the file is truncated"), "{text}");
        }
        let report = Bench::new(&capture.bytes[..ends[29]]).json(&[]);
        assert_eq!(report["notes"].as_array().map(Vec::len), Some(0), "cut between two records");
    }
}
