use std::fs;

use sidetone::audio::MediaFormat;
use sidetone::dsp::random::Random;

use crate::capture::{Capture, Container, Link};
use crate::emulator::Path;
use crate::sender::Sender;
use crate::support::{Bench, START, alice, analyze, bob, call, capture_all};

fn speech() -> Vec<u8> {
    let call = call(Sender::new(MediaFormat::Ulaw), 1.0, Path::IDEAL, 1);
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), &call)]);
    capture.bytes
}

#[test]
fn a_file_that_is_no_capture_is_named_with_what_is_allowed() {
    let mut nothing_inside = Capture::new(Container::USUAL, Link::Ethernet);
    nothing_inside.udp(START, alice(), bob(), &[7; 40]);
    for (bytes, expected) in [
        (&b""[..], "c.pcap: empty; allowed: a capture"),
        (b"RIFF, for one, which is no capture", "c.pcap: neither pcap nor pcapng; allowed: "),
        (&speech()[..20], "c.pcap: ends within the header"),
        (&nothing_inside.bytes, "c.pcap: no RTP over UDP was found in 1 frames and 1 UDP"),
        (&speech()[..24], "c.pcap: no RTP over UDP was found in 0 frames"),
        (&speech()[..60], "NOTE  the file is truncated"),
    ] {
        let output = Bench::new(bytes).run(&["--json"]);
        assert_eq!(output.status.code(), Some(1), "{expected}");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.contains(expected), "{told}");
        assert!(output.stdout.is_empty());
    }
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("d")).expect("a folder");
    for (name, expected) in [("d", "d: not a regular file"), ("gone.pcap", "gone.pcap: No such")] {
        let output = analyze(folder.path(), &[name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let bench = Bench::new(&speech());
    fs::write(bench.path("taken"), "").expect("a file");
    for (arguments, expected) in [
        (["--wav", "taken"], "cannot make the folder taken"),
        (["--plot", "taken"], "cannot make the folder taken"),
        (["--plot", "gone/p.svg"], "cannot write gone/p.svg"),
    ] {
        let output = bench.run(&arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.starts_with(expected), "{told}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_wrong_command_line_gets_code_64_and_what_is_allowed() {
    let bench = Bench::new(&speech());
    for (arguments, expected) in [
        (&["--format", "96=g729"][..], "allowed: ulaw, alaw, g722, opus"),
        (&["--format", "opus"], "expected PT=FORMAT"),
        (&["--format", "300=opus"], "allowed: 0 to 127"),
        (&["--format", "96=slin192"], "slin192 does not travel over RTP"),
        (&["surplus"], "surplus"),
    ] {
        let output = bench.run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.contains(expected), "{told}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(analyze(bench.folder.path(), &[]).status.code(), Some(64));
    let help = analyze(bench.folder.path(), &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8(help.stdout).expect("UTF-8").contains("AudioSocket"));
}

/// Whatever the bytes are, the program ends by itself, with figures or with an error.
#[test]
fn arbitrary_damage_ends_in_figures_or_in_an_error() {
    let mut generator = Random(11);
    let ng = Container::PcapNg { big_endian: true, resolution: 9, offset_seconds: 0 };
    let mut with_figures = 0;
    for round in 0..60 {
        let call = call(Sender::new(MediaFormat::Ulaw), 0.5, Path::IDEAL, 1);
        let container = if round % 2 == 0 { Container::USUAL } else { ng };
        let mut capture = Capture::new(container, Link::ALL[round % Link::ALL.len()]);
        capture_all(&mut capture, &[(alice(), bob(), &call)]);
        let mut bytes = capture.bytes;
        for _ in 0..1 + round {
            let place = generator.bits() as usize % bytes.len();
            bytes[place] = (generator.bits() & 0xff) as u8;
        }
        let bench = Bench::new(&bytes);
        let output = bench.run(&["--json", "--wav", "w", "--plot", "p"]);
        let told = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => with_figures += 1,
            code => assert_eq!(code, Some(1), "round {round}: {told}"),
        }
        assert!(!told.contains("panicked"), "round {round}: {told}");
    }
    assert!((10..60).contains(&with_figures), "{with_figures}");
}
