//! Speech with gaps, repaired: how close it is to the original.

use sidetone::audio::SampleRate;
use sidetone::dsp::conceal::Concealer;
use sidetone::dsp::distance::{bursty_loss, log_spectral_distance_db, segmental_snr_db};

use crate::speech::{fixture, frame_samples};

/// Patterns of loss: enough for some 200 lost frames and more.
const PATTERNS: u64 = 20;

/// A way to fill what is missing.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Silence,
    Repeat,
    Conceal,
}

/// `speech` as it comes out when the frames `lost` are missing.
fn repair(way: Way, rate: SampleRate, speech: &[i16], lost: &[bool]) -> Vec<i16> {
    let frame = frame_samples(rate);
    let mut out = speech.to_vec();
    let mut concealer = Concealer::new(rate);
    for (n, &lost) in lost.iter().enumerate() {
        let (before, rest) = out.split_at_mut(n * frame);
        let samples = &mut rest[..frame];
        match (lost, way) {
            (false, Way::Conceal) => concealer.receive(samples),
            (false, Way::Silence | Way::Repeat) => {}
            (true, Way::Conceal) => concealer.conceal(samples),
            (true, Way::Repeat) if n > 0 => samples.copy_from_slice(&before[(n - 1) * frame..]),
            (true, Way::Silence | Way::Repeat) => samples.fill(0),
        }
    }
    out
}

/// How far from the original, in dB, the means of all patterns.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Figures {
    /// Segmental SNR over all lost frames.
    snr: f64,
    /// Log-spectral distance over all lost frames.
    distance: f64,
    /// The same over the first lost frame of each gap.
    first: f64,
}

fn figures(way: Way, name: &str, loss: f64, mean_burst: f64) -> Figures {
    let (hz, mut speech) = fixture(name);
    let rate = SampleRate::try_from(hz).unwrap();
    let frame = frame_samples(rate);
    let packets = speech.len() / frame;
    speech.truncate(packets * frame);
    let mut sums = Figures::default();
    for seed in 0..PATTERNS {
        let lost = bursty_loss(loss, mean_burst, packets, seed);
        let first: Vec<bool> = (0..packets).map(|n| lost[n] && (n == 0 || !lost[n - 1])).collect();
        let out = repair(way, rate, &speech, &lost);
        sums.snr += segmental_snr_db(&speech, &out, frame, &lost).unwrap();
        sums.distance += log_spectral_distance_db(&speech, &out, frame, &lost).unwrap();
        sums.first += log_spectral_distance_db(&speech, &out, frame, &first).unwrap();
    }
    let mean = |sum: f64| sum / PATTERNS as f64;
    Figures { snr: mean(sums.snr), distance: mean(sums.distance), first: mean(sums.first) }
}

#[test]
fn concealed_speech_is_closer_than_the_last_frame_again_and_sounds_nearer_than_silence() {
    for name in ["speech-8k.wav", "speech-16k.wav"] {
        for (loss, mean_burst) in [(0.05, 1.5), (0.05, 2.0), (0.1, 1.5), (0.1, 2.0)] {
            let [silence, repeat, ours] = [Way::Silence, Way::Repeat, Way::Conceal].map(|way| {
                let figures = figures(way, name, loss, mean_burst);
                println!("{name} {loss} {mean_burst} {way:?}: {figures:.2?}");
                figures
            });
            assert!(ours.snr > repeat.snr + 2.0, "{name}: {ours:?}, {repeat:?}");
            assert!(ours.distance < silence.distance - 5.0, "{name}: {ours:?}, {silence:?}");
            assert!(ours.first < repeat.first - 0.4, "{name}: {ours:?}, {repeat:?}");
            // The last frame again does not fade: over longer gaps its level stays nearer.
            assert!(ours.distance < repeat.distance + 0.3, "{name}: {ours:?}, {repeat:?}");
            // By waveform, silence is 0 dB from any sound, and what sounds alike but has other
            // phases is −3: here silence is the nearer one, by less than a decibel.
            assert!(silence.snr.abs() < 1e-9);
            assert!(ours.snr > -1.0, "{name}: {ours:?}");
        }
    }
}
