//! Digits found in audio: what ITU-T Q.24 wants heard is heard, and none in speech.

use std::f64::consts::TAU;
use std::process::Command;

use sidetone::audio::SampleRate;
use sidetone::dsp::dtmf::{Dtmf, DtmfDetector, DtmfShape, Found};
use sidetone::dsp::g711;
use sidetone::dsp::random::Random;
use sidetone::dsp::resample::{Quality, Resampler};

use crate::speech::fixture;

/// The keypad as ITU-T Q.23 has it.
const KEYPAD: [(f64, &str); 4] =
    [(697.0, "123A"), (770.0, "456B"), (852.0, "789C"), (941.0, "*0#D")];
const COLUMNS_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Digits as a sender may make them, within what Q.24 allows and beyond.
#[derive(Clone, Copy, Debug)]
struct Sender {
    rate: SampleRate,
    on_ms: u32,
    off_ms: u32,
    /// Level of the row's tone (root mean square).
    row_dbov: f64,
    /// By how much the column's is louder.
    twist_db: f64,
    /// How far the frequencies are off.
    row_off: f64,
    column_off: f64,
}

/// −25 dBm0 is what Q.24 has accepted as the weakest: −31.2 dBov.
const WEAKEST_DBOV: f64 = -31.2;

impl Sender {
    /// The shortest digits that are accepted, 40 ms and 40 ms.
    const SHORTEST: Self = Self {
        rate: SampleRate::HZ_8000,
        on_ms: 40,
        off_ms: 40,
        row_dbov: -16.0,
        twist_db: 2.0,
        row_off: 0.0,
        column_off: 0.0,
    };

    /// All sixteen digits, `shift` samples of silence before the first.
    fn all(&self, shift: usize) -> Vec<i16> {
        let mut samples = vec![0; shift];
        for (row_hz, keys) in KEYPAD {
            for (_, column_hz) in keys.chars().zip(COLUMNS_HZ) {
                samples.extend(self.tones(row_hz, column_hz));
                samples.resize(samples.len() + self.samples(self.off_ms), 0);
            }
        }
        samples.resize(samples.len() + self.samples(100), 0);
        samples
    }

    fn tones(&self, row_hz: f64, column_hz: f64) -> impl Iterator<Item = i16> + '_ {
        let hz = f64::from(self.rate.hz());
        let peak = |dbov: f64| 32_768.0 * 2_f64.sqrt() * 10_f64.powf(dbov / 20.0);
        let (row, column) = (peak(self.row_dbov), peak(self.row_dbov + self.twist_db));
        let (row_turns, column_turns) =
            (row_hz * (1.0 + self.row_off) / hz, column_hz * (1.0 + self.column_off) / hz);
        (0..self.samples(self.on_ms)).map(move |n| {
            let n = n as f64;
            let value = row * (TAU * row_turns * n).sin() + column * (TAU * column_turns * n).sin();
            value.round() as i16
        })
    }

    fn samples(&self, ms: u32) -> usize {
        (self.rate.hz() * ms / 1000) as usize
    }
}

fn found(rate: SampleRate, samples: &[i16]) -> Vec<Found> {
    let mut detector = DtmfDetector::new(rate);
    let mut all = Vec::new();
    for frame in samples.chunks(rate.hz() as usize / 50) {
        detector.feed(frame, |found| all.push(found));
    }
    all
}

fn keys(rate: SampleRate, samples: &[i16]) -> String {
    found(rate, samples).iter().map(|found| found.key).collect()
}

/// What is left of samples that pass µ-law.
fn through_ulaw(samples: &[i16]) -> Vec<i16> {
    let (mut codes, mut back) = (vec![0; samples.len()], vec![0; samples.len()]);
    g711::ulaw_encode(samples, &mut codes);
    g711::ulaw_decode(&codes, &mut back);
    back
}

const ALL_KEYS: &str = "123A456B789C*0#D";

#[test]
fn the_shortest_digits_are_heard_at_every_rate_and_wherever_windows_lie() {
    for rate in SampleRate::ALL {
        let sender = Sender { rate, ..Sender::SHORTEST };
        // A window begins every 6.4 ms.
        for shift_us in (0..6_400).step_by(533) {
            let samples = sender.all((rate.hz() as usize * shift_us).div_ceil(1_000_000));
            let all = found(rate, &samples);
            assert_eq!(all.iter().map(|found| found.key).collect::<String>(), ALL_KEYS, "{rate}");
            for (n, found) in all.iter().enumerate() {
                let ms = |samples: u64| samples as f64 * 1e3 / f64::from(rate.hz());
                let began = 80.0 * n as f64 + shift_us as f64 / 1e3;
                // A window is a digit's where seven tenths of it are: it may reach beyond by 3.9 ms, or
                // begin up to 2.5 later.
                assert!((ms(found.start) - began).abs() < 6.4, "{rate} {found:?}");
                assert!((ms(found.samples) - 40.0).abs() < 12.8, "{rate} {found:?}");
            }
        }
    }
}

#[test]
fn levels_twist_and_frequencies_are_accepted_as_far_as_q_24_wants_it() {
    let mut senders = Vec::new();
    for row_dbov in [WEAKEST_DBOV, -20.0, -10.0] {
        for twist_db in [-8.0, 0.0, 4.0] {
            for (row_off, column_off) in
                [(0.0, 0.0), (0.015, 0.015), (-0.015, -0.015), (0.015, -0.015), (-0.015, 0.015)]
            {
                let row_dbov = row_dbov.max(WEAKEST_DBOV - f64::min(twist_db, 0.0));
                let sender = Sender::SHORTEST;
                senders.push(Sender { row_dbov, twist_db, row_off, column_off, ..sender });
            }
        }
    }
    for sender in senders {
        for shift in 0..51 {
            let samples = through_ulaw(&sender.all(shift));
            assert_eq!(keys(sender.rate, &samples), ALL_KEYS, "{sender:?}, {shift}");
        }
    }
}

#[test]
fn noise_15_db_below_the_tones_costs_no_digit() {
    let sender = Sender { on_ms: 60, off_ms: 60, ..Sender::SHORTEST };
    // Of both tones, −16 and −14 dBov: −11.9. Even noise of peak p has a mean square of p²/3.
    let peak = 32_768.0 * 10_f64.powf((-11.9 - 15.0) / 20.0) * 3_f64.sqrt();
    let (mut pressed, mut heard) = (0, 0);
    for seed in 1..=100 {
        let mut random = Random(seed);
        let samples: Vec<i16> = sender
            .all(0)
            .iter()
            .map(|sample| (f64::from(*sample) + peak * (2.0 * random.unit() - 1.0)).round() as i16)
            .collect();
        let keys = keys(sender.rate, &samples);
        pressed += 16;
        heard += keys.chars().zip(ALL_KEYS.chars()).filter(|(heard, key)| heard == key).count();
        assert!(keys.len() <= 16, "{keys}");
    }
    assert_eq!(heard, pressed);
}

#[test]
fn short_breaks_are_bridged_and_short_tones_are_none() {
    let sender = Sender::SHORTEST;
    for shift in 0..51 {
        // Q.24: an interruption of 10 ms belongs to the digit.
        let mut samples = Sender { on_ms: 100, ..sender }.all(shift);
        for n in 0..16 {
            let middle = shift + n * sender.samples(140) + sender.samples(45);
            samples[middle..middle + sender.samples(10)].fill(0);
        }
        assert_eq!(keys(sender.rate, &samples), ALL_KEYS, "shifted by {shift}");
        // Tones of 20 ms are no digit, where it has 23 as the longest that is refused.
        let short = Sender { on_ms: 20, ..sender }.all(shift);
        assert_eq!(keys(sender.rate, &short), "", "shifted by {shift}");
    }
}

#[test]
fn a_key_that_is_held_is_one_digit_of_its_length() {
    for rate in [SampleRate::HZ_8000, SampleRate::HZ_48000] {
        let shape = DtmfShape { on: std::time::Duration::from_secs(5), ..DtmfShape::default() };
        let mut dtmf = Dtmf::new('0', rate, shape).expect("a key");
        let mut samples = vec![0; dtmf.remaining()];
        dtmf.fill(&mut samples);
        let all = found(rate, &samples);
        let [found] = all[..] else { panic!("{all:?}") };
        let ms = found.samples * 1000 / u64::from(rate.hz());
        assert!(found.key == '0' && ms.abs_diff(5_000) < 13, "{found:?}");
    }
}

#[test]
fn what_is_no_pair_of_a_row_and_a_column_is_no_digit() {
    let rate = SampleRate::HZ_8000;
    let sender = Sender { on_ms: 400, twist_db: 0.0, ..Sender::SHORTEST };
    // Single tones, dial tone, ringback, busy, rows together, columns together, a modem.
    for (one, other) in [
        (697.0, 697.0),
        (1336.0, 1336.0),
        (350.0, 440.0),
        (425.0, 425.0),
        (440.0, 480.0),
        (480.0, 620.0),
        (697.0, 852.0),
        (1209.0, 1477.0),
        (2100.0, 2100.0),
        (1004.0, 1004.0),
    ] {
        let samples: Vec<i16> = sender.tones(one, other).chain([0; 800]).collect();
        assert_eq!(keys(rate, &samples), "", "{one} and {other} Hz");
    }
    // Too far from each other in level.
    for twist_db in [-12.0, 8.0] {
        let sender = Sender { twist_db, row_dbov: -12.0, on_ms: 100, ..sender };
        assert_eq!(keys(rate, &sender.all(0)), "", "{twist_db} dB");
    }
}

#[test]
fn the_speech_of_the_fixtures_holds_no_digit() {
    for (name, rate) in
        [("speech-8k.wav", SampleRate::HZ_8000), ("speech-16k.wav", SampleRate::HZ_16000)]
    {
        let (hz, speech) = fixture(name);
        assert_eq!(hz, rate.hz());
        for shift in 0..102 {
            assert_eq!(found(rate, &speech[shift..]), []);
            assert_eq!(found(rate, &through_ulaw(&speech[shift..])), []);
        }
    }
}

/// Sentences for the synthesiser: numbers, names and whatever has many vowels.
const TEXT: &str = "Your account number is four one seven, nine nine oh two. Please hold the line \
    while we are looking for your reservation. The ferry to Inisheer leaves at a quarter to eleven, \
    and returns in the evening at half past seven. Who are you? We are away in Ohio all year. \
    I know you owe Louie one hour. A lady in red ran all around the arena, eating a banana. \
    Seventy seven benevolent elephants; eleven levers, even if it is uneven. Oh no, not now!";

/// Some minutes of it, in voices high and low. Without the synthesiser it says so, and fails where
/// that must not be (CI).
#[test]
fn minutes_of_synthesised_speech_hold_no_digit() {
    let rate = SampleRate::HZ_8000;
    let folder = tempfile::tempdir().expect("a folder");
    let mut seconds = 0.0;
    for (voice, pitch) in
        [("en-gb", 20), ("en-gb", 50), ("en-gb", 90), ("en-us+f3", 70), ("de", 50), ("es+f2", 60)]
    {
        let path = folder.path().join("speech.wav");
        let pitch = pitch.to_string();
        let arguments = ["-v", voice, "-p", &pitch, "-w"];
        let spoken = Command::new("espeak-ng").args(arguments).arg(&path).arg(TEXT).status();
        if spoken.is_err() && std::env::var("CI").as_deref() != Ok("true") {
            println!("*** SKIPPED: there is no espeak-ng");
            return;
        }
        assert!(spoken.expect("espeak-ng runs").success());
        let mut reader = hound::WavReader::open(&path).expect("espeak-ng writes WAV");
        let hz = reader.spec().sample_rate;
        let speech: Vec<i16> = reader.samples().map(|sample| sample.expect("whole")).collect();
        // 22,050 Hz are no rate of ours: by the nearest sample, which adds tones, but no pairs.
        let count = speech.len() as u64 * u64::from(rate.hz()) / u64::from(hz);
        let nearest = |n: u64| speech[(n * u64::from(hz) / u64::from(rate.hz())) as usize];
        let speech: Vec<i16> = (0..count).map(nearest).collect();
        seconds += speech.len() as f64 / f64::from(rate.hz());
        for gain in [1.0, 0.25] {
            let speech: Vec<i16> =
                speech.iter().map(|sample| (f64::from(*sample) * gain) as i16).collect();
            assert_eq!(found(rate, &through_ulaw(&speech)), [], "{voice}, pitch {pitch}");
        }
        let mut wide = Vec::new();
        Resampler::new(rate, SampleRate::HZ_16000, Quality::Voice).process(&speech, &mut wide);
        assert_eq!(found(SampleRate::HZ_16000, &wide), [], "{voice}, pitch {pitch}, 16 kHz");
    }
    assert!(seconds > 120.0, "only {seconds} s were spoken");
}
