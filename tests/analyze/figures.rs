use std::fs;

use serde_json::Value;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::dsp::find_offset;
use sidetone::media::CallStats;

use crate::capture::{Capture, Container, Link};
use crate::emulator::{Jitter, Loss, Path};
use crate::sender::Sender;
use crate::support::{Bench, Call, START, alice, bob, call, capture_all, ms, number};

/// Loss, jitter, packets twice and packets overtaken, of which none comes too late to be heard:
/// 45 ms and 5 ms are less than the 60 ms that a hole is waited for.
const ROUGH: Path = Path {
    loss: Loss::Bernoulli { p: 0.04 },
    delay: ms(30),
    jitter: Jitter::Uniform { max: ms(5) },
    overtaking: false,
    reorder: 0.05,
    reorder_by: ms(45),
    duplicate: 0.03,
};

fn sender(format: MediaFormat, ssrc: u32) -> Sender {
    // Both numbers wrap within the speech.
    Sender { ssrc, seq: 65_500, ts: u32::MAX - 8_000, ..Sender::new(format) }
}

/// Losses between the first and the last packet that came: those at the ends cannot be known.
fn known_losses(call: &Call) -> u64 {
    let came: Vec<u64> = call.deliveries.iter().map(|delivery| delivery.index).collect();
    let first = *came.iter().min().expect("something came");
    let last = *came.iter().max().expect("something came");
    let missing = (first..=last).filter(|index| !came.contains(index));
    missing.count() as u64
}

/// Marks of losses in a plot.
fn marks(svg: &str) -> usize {
    svg.lines().filter(|line| line.contains("<polyline") && line.contains("#D50000")).count()
}

#[test]
fn two_streams_at_once_have_their_own_exact_figures_audio_and_plots() {
    let left = call(sender(MediaFormat::Ulaw, 0xaaaa_0001), 6.0, ROUGH, 3);
    let right = call(sender(MediaFormat::Alaw, 0xbbbb_0002), 6.0, ROUGH, 4);
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), &left), (bob(), alice(), &right)]);
    let bench = Bench::new(&capture.bytes);
    let report = bench.json(&["--wav", "audio", "--plot", "plots"]);
    assert_eq!(report["notes"], Value::Array(Vec::new()));
    let streams = report["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 2);
    for (ssrc, format, sent) in [("0xaaaa0001", "ulaw", &left), ("0xbbbb0002", "alaw", &right)] {
        let stream = streams.iter().find(|stream| stream["ssrc"] == ssrc).expect("the stream");
        assert_eq!(stream["format"], format);
        let lost = known_losses(sent);
        let expected = sent.statistics;
        assert!(lost > 5 && expected.reordered > 5 && expected.duplicated > 5, "{expected:?}");
        for (pointer, expected) in [
            ("/packets", expected.delivered),
            ("/stats/packets_received", expected.delivered - expected.duplicated),
            ("/stats/packets_lost", lost),
            ("/stats/frames_concealed", lost),
            ("/stats/packets_reordered", expected.reordered),
            ("/stats/rejected/duplicate", expected.duplicated),
            ("/stats/packets_late", 0),
            ("/stats/timestamp_jumps", 0),
            ("/clock_hz", 8_000),
        ] {
            assert_eq!(number(stream, pointer), expected as f64, "{pointer} in {stream:#}");
        }
        // Silence for the packets lost is the only difference. Without a share e of the energy the
        // correlation is √(1 − e): 0.9 leaves 19 %, where 4 % of the packets are lost.
        let (rate, samples) = bench.wav(stream);
        assert_eq!(rate, 8_000);
        let found = find_offset(&sent.heard, &samples, -400..=400);
        // The file begins with the packet that came first, which is the first one sent.
        assert_eq!(sent.deliveries[0].index, 0);
        assert!(found.coefficient > 0.9 && found.lag == 0, "{found:?}");
        let plot = stream["plot"].as_str().expect("a plot");
        assert!(plot.starts_with("plots/c-"), "{plot}");
        let svg = fs::read_to_string(bench.path(plot)).expect("the plot");
        assert_eq!(marks(&svg), usize::try_from(lost).expect("few"));
        let dots = svg.matches("<circle").count();
        assert_eq!(dots, usize::try_from(expected.delivered).expect("few"));
        assert_well_formed(&svg);
    }
    // All streams in one image.
    bench.json(&["--plot", "all.svg"]);
    let svg = fs::read_to_string(bench.path("all.svg")).expect("the plot");
    let lost = known_losses(&left) + known_losses(&right);
    assert_eq!(marks(&svg), usize::try_from(lost).expect("few"));
}

/// Every element that is opened is closed, in the right order.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for (at, _) in svg.match_indices('<') {
        let tag = &svg[at + 1..at + svg[at..].find('>').expect("a tag ends")];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') && !tag.starts_with(['?', '!']) {
            open.push(name);
        }
    }
    assert!(open.is_empty() && svg.contains("<svg"), "{open:?}");
}

#[test]
fn what_came_late_replaces_its_concealment_in_the_audio() {
    // 420 ms is beyond the 200 ms of the longest wait, and within the late window.
    let path = Path { reorder: 0.05, reorder_by: ms(420), ..Path::IDEAL };
    let sent = call(sender(MediaFormat::Ulaw, 7), 4.0, path, 5);
    assert!(sent.statistics.reordered > 5);
    assert_eq!(sent.deliveries[0].index, 0, "a file begins with the first packet that came");
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), &sent)]);
    let bench = Bench::new(&capture.bytes);
    let report = bench.json(&["--wav", ".", "--plot", "p.svg"]);
    let stream = &report["streams"][0];
    assert_eq!(number(stream, "/stats/packets_lost"), 0.0);
    assert_eq!(number(stream, "/stats/packets_late"), sent.statistics.reordered as f64);
    assert!(number(stream, "/stats/frames_concealed") >= sent.statistics.reordered as f64);
    let (_, samples) = bench.wav(stream);
    assert!(samples == sent.heard, "sample for sample what was sent");
    assert_eq!(marks(&fs::read_to_string(bench.path("p.svg")).expect("the plot")), 0);
}

#[test]
fn transit_delays_are_those_of_the_network() {
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    let mut sender = sender(MediaFormat::Ulaw, 9);
    // Delays of 100 packets: 0 ms for 50, 10 ms for 45, 19 ms for 5, above a constant of 5 ms.
    for n in 0..100_u64 {
        let delay = match n % 20 {
            0..10 => 5,
            10..19 => 15,
            _ => 24,
        };
        capture.udp(START + ms(20 * n + delay), alice(), bob(), &sender.packet());
    }
    let report = Bench::new(&capture.bytes).json(&[]);
    let stream = &report["streams"][0];
    for (pointer, expected) in [
        ("/transit_ms/min", 0.0),
        ("/transit_ms/median", 0.0),
        ("/transit_ms/p95", 10.0),
        ("/transit_ms/max", 19.0),
        ("/first_packet_ms", 0.0),
        ("/last_packet_ms", 1_999.0),
        ("/duration_ms", 1_999.0),
    ] {
        // Times have microseconds; sums of floating point numbers hardly less.
        assert!((number(stream, pointer) - expected).abs() < 1e-3, "{pointer} in {stream:#}");
    }
    assert_eq!(number(&report, "/contents/start_unix_ms"), (START + ms(5)).as_millis() as f64);
}

#[test]
fn every_counter_of_a_call_is_told_but_those_of_sending() {
    let sent = call(sender(MediaFormat::Ulaw, 7), 1.0, Path::IDEAL, 1);
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    capture_all(&mut capture, &[(alice(), bob(), &sent)]);
    let bench = Bench::new(&capture.bytes);
    let stats = bench.json(&[])["streams"][0]["stats"].clone();
    let text = String::from_utf8(bench.run(&[]).stdout).expect("UTF-8");
    let all = serde_json::to_value(CallStats::default()).expect("JSON");
    let all = all.as_object().expect("an object");
    for name in all.keys() {
        let of_sending = ["packets_sent", "frames_skipped"].contains(&name.as_str());
        assert_eq!(stats.get(name).is_some(), !of_sending, "{name}");
        if stats[name].is_number() {
            assert!(text.contains(&format!("\n  {name} ")), "{name} is missing in\n{text}");
        }
    }
    assert!(text.contains("stream 1  192.0.2.1:4000 -> 192.0.2.2:5000  SSRC 0x00000007  ulaw"));
    assert!(fs::read_dir(bench.folder.path()).expect("the folder").count() == 1, "no file unasked");
}

#[test]
fn timestamps_that_leap_by_hours_cost_neither_time_nor_disk() {
    use std::os::unix::fs::MetadataExt;
    let rate = SampleRate::HZ_16000;
    let mut capture = Capture::new(Container::USUAL, Link::Ethernet);
    let mut sender = sender(MediaFormat::Slin(rate), 9);
    let mut at = START;
    for n in 0..200_u64 {
        capture.udp(at, alice(), bob(), &sender.packet());
        at += ms(20);
        match n {
            // The sender's clock, the capture's, the sender's to catch up, and the capture's back.
            50 | 80 | 110 => sender.pause(3_600 * 24 * 16_000),
            65 => at += ms(3_600_000 * 24 * 3_000),
            140 => at = START,
            _ => {}
        }
    }
    let bench = Bench::new(&capture.bytes);
    let report = bench.json(&["--wav", ".", "--plot", "."]);
    let stream = &report["streams"][0];
    assert_eq!(number(stream, "/packets"), 200.0);
    assert_eq!(number(&report, "/contents/back_in_time"), 59.0);
    let wav = bench.path(stream["wav"]["path"].as_str().expect("audio"));
    let metadata = fs::metadata(wav).expect("the file");
    assert!(metadata.len() <= u64::from(u32::MAX) + 8);
    // 200 frames of 640 bytes; a file system gives whole blocks.
    assert!(metadata.blocks() * 512 < 1 << 20, "{} blocks", metadata.blocks());
    // Twice a day of 16,000 samples a second is more than 2^31 samples: the 89 packets behind it.
    assert_eq!(number(stream, "/wav/beyond_samples"), 89.0 * 320.0);
}
