use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::find_offset;

use crate::capture::{Capture, Container, Link};
use crate::emulator::Path;
use crate::sender::Sender;
use crate::support::{Bench, Call, START, alice, bob, call, capture_all, ms, number, rate_of};

fn captured(call: &Call) -> Bench {
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), call)]);
    Bench::new(&capture.bytes)
}

/// Gives every packet another payload type.
fn renumbered(mut call: Call, payload_type: u8) -> Call {
    for delivery in &mut call.deliveries {
        delivery.bytes[1] = delivery.bytes[1] & 0x80 | payload_type;
    }
    call
}

#[test]
fn asterisks_payload_types_are_decoded_untold() {
    for format in [
        MediaFormat::Ulaw,
        MediaFormat::Alaw,
        MediaFormat::G722,
        MediaFormat::Opus,
        MediaFormat::Slin(SampleRate::HZ_8000),
        MediaFormat::Slin(SampleRate::HZ_48000),
    ] {
        let call = call(Sender::new(format), 2.0, Path::IDEAL, 1);
        let bench = captured(&call);
        let report = bench.json(&["--wav", "."]);
        let stream = &report["streams"][0];
        assert_eq!(stream["format"], format.asterisk_name());
        assert_eq!(number(stream, "/stats/packets_received"), 100.0);
        assert_eq!(number(stream, "/clock_hz"), f64::from(format.clock_rate().hz()));
        let (rate, samples) = bench.wav(stream);
        assert_eq!(rate, rate_of(format).hz());
        assert!(samples == call.heard, "{format}");
    }
}

#[test]
fn an_unknown_payload_type_is_listed_with_the_flag_that_decodes_it() {
    let call = renumbered(call(Sender::new(MediaFormat::Opus), 2.0, Path::IDEAL, 1), 111);
    let bench = captured(&call);
    let report = bench.json(&["--wav", ".", "--plot", "."]);
    let stream = &report["streams"][0];
    for field in ["format", "stats", "transit_ms", "wav", "plot"] {
        assert!(stream[field].is_null(), "{field} in {stream:#}");
    }
    let hint = stream["hints"][0].as_str().expect("a hint");
    assert!(hint.contains("--format 111=FORMAT") && hint.contains("48000 Hz"), "{hint}");
    assert!(hint.contains("opus, slin48"), "{hint}");
    let text = String::from_utf8(bench.run(&[]).stdout).expect("UTF-8");
    assert!(text.contains("not decoded") && text.contains("HINT  payload type 111"), "{text}");

    let report = bench.json(&["--wav", ".", "--format", "111=opus"]);
    let stream = &report["streams"][0];
    assert_eq!(stream["hints"].as_array().map(Vec::len), Some(0));
    assert!(bench.wav(stream).1 == call.heard);
}

#[test]
fn what_travels_beside_the_audio_is_no_loss_once_it_is_named() {
    let mut sender = Sender::new(MediaFormat::Ulaw);
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    for n in 0..60_u64 {
        let packet = match n {
            20..23 => sender.side(101, &[1, 10, 0, 160]),
            30 => sender.side(96, &[2, 10, 0, 160]),
            40 => sender.side(18, &[0; 20]),
            _ => sender.packet(),
        };
        capture.udp(START + ms(20 * n), alice(), bob(), &packet);
    }
    let bench = Bench::new(&capture.bytes);
    let stream = bench.json(&[])["streams"][0].clone();
    assert_eq!(number(&stream, "/stats/packets_lost"), 2.0, "{stream:#}");
    assert_eq!(number(&stream, "/stats/rejected/payload_type"), 2.0);
    let hints = stream["hints"].to_string();
    assert!(hints.contains("--format 18=") && hints.contains("--format 96="), "{hints}");
    let named = bench.json(&["--format", "96=telephone-event"])["streams"][0].clone();
    assert_eq!(number(&named, "/stats/packets_lost"), 1.0, "{named:#}");
}

#[test]
fn audio_in_a_second_format_is_told_and_left_out() {
    let mut call = call(Sender::new(MediaFormat::Ulaw), 2.0, Path::IDEAL, 1);
    for delivery in &mut call.deliveries[60..70] {
        delivery.bytes[1] = 8;
    }
    let report = captured(&call).json(&[]);
    let stream = &report["streams"][0];
    assert_eq!(stream["format"], "ulaw");
    assert_eq!(number(stream, "/stats/rejected/payload_type"), 10.0);
    assert!(stream["hints"][0].as_str().expect("a hint").contains("10 packets are in alaw"));
}

#[test]
fn an_offset_of_the_capture_is_none_of_the_audio() {
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    let first = call(Sender::new(MediaFormat::Ulaw), 2.0, Path::IDEAL, 1);
    let mut second =
        call(Sender { ssrc: 5, ..Sender::new(MediaFormat::Ulaw) }, 2.0, Path::IDEAL, 1);
    for delivery in &mut second.deliveries {
        delivery.at += ms(1_500);
    }
    capture_all(&mut capture, &[(alice(), bob(), &first), (alice(), bob(), &second)]);
    let bench = Bench::new(&capture.bytes);
    let report = bench.json(&["--wav", "."]);
    assert_eq!(number(&report, "/streams/1/first_packet_ms"), 1_500.0);
    let (_, samples) = bench.wav(&report["streams"][1]);
    assert_eq!(find_offset(&second.heard, &samples, -800..=800).lag, 0);
}
