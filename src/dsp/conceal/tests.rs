use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;
use crate::dsp::level::{energy, peak_dbov};

const RATE: SampleRate = SampleRate::HZ_8000;

/// Samples of 20 ms.
fn frame(rate: SampleRate) -> usize {
    rate.hz() as usize / 50
}

fn sine(hz: f64, rate: SampleRate, peak: f64, samples: usize) -> Vec<i16> {
    let value = |n: usize| peak * (TAU * hz * n as f64 / f64::from(rate.hz())).sin();
    (0..samples).map(|n| value(n).round() as i16).collect()
}

/// Pulses of 125 a second through three resonances, as of a vowel: not faded, not rounded to
/// anything but samples.
fn vowel(rate: SampleRate, samples: usize) -> Vec<i16> {
    let hz = f64::from(rate.hz());
    let formants = [(700.0, 6_000.0), (1_200.0, 3_000.0), (2_600.0, 1_500.0)];
    let value = |n: usize| -> f64 {
        // Time since the last pulse, and the tail of the one before.
        [0.0, 0.008, 0.016]
            .into_iter()
            .map(|past| {
                let t = (n as f64 / hz) % 0.008 + past;
                let ring = |&(f, a): &(f64, f64)| a * (-300.0 * t).exp() * (TAU * f * t).sin();
                formants.iter().map(ring).sum::<f64>()
            })
            .sum()
    };
    (0..samples).map(|n| value(n).round() as i16).collect()
}

fn random(seed: u64, samples: usize) -> Vec<i16> {
    let mut random = crate::dsp::random::Random(seed);
    (0..samples).map(|_| random.bits() as i16).collect()
}

fn largest_step(samples: &[i16]) -> i32 {
    let steps = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
    steps.max().unwrap_or(0)
}

fn peak(samples: &[i16]) -> i32 {
    samples.iter().map(|&sample| i32::from(sample).abs()).max().unwrap_or(0)
}

fn snr_db(original: &[i16], other: &[i16]) -> f64 {
    let pairs = original.iter().zip(other);
    let noise: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    10.0 * (energy(original) as f64 / noise).log10()
}

/// `samples` as they come out when those of `gap` are missing.
fn with_gap(rate: SampleRate, samples: &[i16], gap: std::ops::Range<usize>) -> Vec<i16> {
    let mut out = samples.to_vec();
    let mut concealer = Concealer::new(rate);
    concealer.receive(&mut out[..gap.start]);
    concealer.conceal(&mut out[gap.clone()]);
    concealer.receive(&mut out[gap.end..]);
    out
}

#[test]
fn a_lost_frame_of_a_periodic_sound_is_the_original_but_for_the_fade() {
    for rate in SampleRate::ALL {
        let gap = 5 * frame(rate)..6 * frame(rate);
        // Both have whole periods at every rate: 250 Hz, and 125 pulses a second but for 44.1 kHz.
        let sounds = [sine(250.0, rate, 12_000.0, 8 * frame(rate)), vowel(rate, 8 * frame(rate))];
        for sound in sounds {
            let out = with_gap(rate, &sound, gap.clone());
            // Over 20 ms the gain goes from 1 to 0.8: the mean of its square error is 0.2²/3, which
            // is 18.8 dB below a sound of even power. The vowel's is where the pulses are. At 44.1
            // kHz the period is a fraction of a sample off.
            let snr = snr_db(&sound[gap.clone()], &out[gap.clone()]);
            let bound = if rate == SampleRate::HZ_44100 { 17.5 } else { 18.3 };
            assert!((bound..20.5).contains(&snr), "{rate}: {snr} dB");
        }
    }
}

#[test]
fn a_tone_between_whole_periods_is_still_close() {
    // Half a sample in the period of 15 ms is 6 degrees at 333 Hz, and as much more per period.
    for hz in [110.0, 201.7, 333.3, 440.0] {
        let sound = sine(hz, RATE, 12_000.0, 8 * frame(RATE));
        let gap = 5 * frame(RATE)..6 * frame(RATE);
        let snr = snr_db(&sound[gap.clone()], &with_gap(RATE, &sound, gap.clone())[gap]);
        assert!(snr > 10.0, "{hz} Hz: {snr} dB");
    }
}

#[test]
fn neither_join_has_a_step_that_the_sound_has_not() {
    for rate in SampleRate::ALL {
        for hz in [87.3, 250.0, 333.3, 1_004.0] {
            let sound = sine(hz, rate, 12_000.0, 10 * frame(rate));
            for lost in [1, 2] {
                for start in [500, 517, 531, 549].map(|n| n * frame(rate) / 100) {
                    let gap = start..start + lost * frame(rate);
                    let out = with_gap(rate, &sound, gap.clone());
                    let own = largest_step(&sound);
                    // At the beginning the ringing keeps the slope, and its own decay adds to it.
                    // Silence instead would be a step of up to 12,000.
                    let begin = &out[gap.start - 1..=gap.start + 1];
                    let step = largest_step(begin);
                    assert!(step <= own + own / 4 + 2, "{rate} {hz} {start}: {step}, own {own}");
                    // At the end the cross-fade adds at most its slope, 1 in 4 ms + 1 sample, times
                    // the difference of both, twice the peak.
                    let joined = gap.end - 1..gap.end + cross_fade(rate) + 1;
                    let step = largest_step(&out[joined]);
                    let slope = (24_000.0 / (cross_fade(rate) + 1) as f64) as i32;
                    assert!(step <= own + slope + 2, "{rate} {hz} {start}: {step}, own {own}");
                }
            }
        }
    }
}

fn cross_fade(rate: SampleRate) -> usize {
    rate.hz() as usize * 4 / 1_000
}

#[test]
fn a_long_gap_fades_evenly_to_silence_in_100_ms() {
    for rate in SampleRate::ALL {
        let hundredth = rate.hz() as usize / 100;
        let sound = sine(500.0, rate, 16_000.0, 30 * hundredth);
        let out = with_gap(rate, &sound, 10 * hundredth..30 * hundredth);
        for (tenth, piece) in out[10 * hundredth..20 * hundredth].chunks(hundredth).enumerate() {
            // The first half wave of 1 ms of each 10 ms peaks after 0.5 ms.
            let expected = 16_000.0 * (1.0 - (tenth as f64 * 10.0 + 0.5) / 100.0);
            let actual = f64::from(peak(&piece[..hundredth / 10]));
            // 16 samples a period meet a peak to 2 %; a tenth of the fade is 10 %.
            assert!((actual - expected).abs() < 0.02 * 16_000.0, "{rate} {tenth}: {actual}");
        }
        assert!(out[20 * hundredth - hundredth / 10..20 * hundredth].iter().any(|&s| s != 0));
        assert!(out[20 * hundredth..].iter().all(|&sample| sample == 0));
    }
}

#[test]
fn a_sound_that_gets_fainter_goes_on_getting_fainter() {
    // By half in 10 ms, over 20 ms before the gap.
    let tone = sine(200.0, RATE, 16_000.0, 480);
    let gain = |n: usize| 0.5_f64.powf(n.saturating_sub(160) as f64 / 80.0);
    let sound: Vec<i16> =
        tone.iter().enumerate().map(|(n, &s)| (f64::from(s) * gain(n)) as i16).collect();
    let out = with_gap(RATE, &sound, 320..480);
    // The last period, 5 ms, begins with 1.41 times the quarter that is left at the gap. After 15 ms
    // the fade leaves 0.85 of it, and two periods of decay half of that: 2,400. Without the decay
    // it would be 4,800.
    let late = f64::from(peak(&out[440..480]));
    assert!((1_800.0..3_000.0).contains(&late), "{late}");
}

#[test]
fn what_is_received_without_a_gap_stays_as_it_is() {
    let sound = random(1, 2_000);
    let mut out = sound.clone();
    let mut concealer = Concealer::new(RATE);
    for piece in out.chunks_mut(160) {
        concealer.receive(piece);
    }
    assert_eq!(out, sound);
}

#[test]
fn behind_a_gap_only_the_cross_fade_differs() {
    for rate in SampleRate::ALL {
        let sound = sine(300.0, rate, 9_000.0, 6 * frame(rate));
        let mut other = sound.clone();
        other[4 * frame(rate)..].fill(5_000);
        let out = with_gap(rate, &other, 3 * frame(rate)..4 * frame(rate));
        let end = 4 * frame(rate) + cross_fade(rate);
        assert_ne!(out[end - cross_fade(rate)..end], other[end - cross_fade(rate)..end]);
        assert_eq!(out[end..], other[end..]);
        assert_eq!(out[..3 * frame(rate)], other[..3 * frame(rate)]);
    }
}

#[test]
fn nothing_received_and_silence_received_are_silence() {
    for rate in SampleRate::ALL {
        let mut concealer = Concealer::new(rate);
        for _ in 0..3 {
            let mut samples = vec![7; frame(rate)];
            concealer.conceal(&mut samples);
            assert_eq!(samples, vec![0; frame(rate)]);
            concealer.receive(&mut samples);
            assert_eq!(samples, vec![0; frame(rate)]);
        }
    }
}

#[test]
fn an_empty_frame_changes_nothing() {
    let sound = vowel(RATE, 800);
    let expected = with_gap(RATE, &sound, 400..560);
    let mut concealer = Concealer::new(RATE);
    let mut out = sound;
    concealer.conceal(&mut []);
    concealer.receive(&mut out[..400]);
    concealer.conceal(&mut []);
    concealer.conceal(&mut out[400..500]);
    concealer.receive(&mut []);
    concealer.conceal(&mut []);
    concealer.conceal(&mut out[500..560]);
    concealer.receive(&mut out[560..]);
    assert_eq!(out, expected);
}

#[test]
fn a_concealer_that_was_reset_is_as_new() {
    let mut concealer = Concealer::new(RATE);
    let mut samples = random(3, 700);
    concealer.receive(&mut samples);
    concealer.conceal(&mut samples);
    concealer.reset();
    let sound = vowel(RATE, 160);
    let mut out = sound.clone();
    concealer.receive(&mut out);
    assert_eq!(out, sound);
    let mut fresh = Concealer::new(RATE);
    fresh.receive(&mut out);
    let (mut one, mut other) = ([0; 160], [0; 160]);
    concealer.conceal(&mut one);
    fresh.conceal(&mut other);
    assert_eq!(one, other);
    assert!(peak_dbov(&one) > -40.0);
}

#[test]
fn a_concealer_of_8_khz_takes_less_than_2_kib() {
    let concealer = Concealer::new(RATE);
    let heap = 2 * size_of::<i16>() * History::samples(RATE);
    assert_eq!(heap, 960);
    assert!(size_of_val(&concealer) + heap < 2_048, "{}", size_of_val(&concealer) + heap);
}

/// What a stream brings: so many samples, received or missing.
fn pieces() -> impl Strategy<Value = Vec<(bool, usize)>> {
    prop::collection::vec((any::<bool>(), 0_usize..700), 1..12)
}

proptest! {
    #[test]
    fn a_stream_may_be_cut_anywhere(
        seed: u64,
        pieces in pieces(),
        cuts in prop::collection::vec(1_usize..300, 1..20),
    ) {
        let all: usize = pieces.iter().map(|&(_, samples)| samples).sum();
        let sound = if seed.is_multiple_of(2) { vowel(RATE, all) } else { random(seed, all) };
        let (mut whole, mut cut) = (sound.clone(), sound);
        let (mut one, mut other) = (Concealer::new(RATE), Concealer::new(RATE));
        let mut cuts = cuts.iter().cycle();
        let mut start = 0;
        let feed = |concealer: &mut Concealer, missing: bool, samples: &mut [i16]| {
            if missing { concealer.conceal(samples) } else { concealer.receive(samples) }
        };
        for (missing, samples) in pieces {
            feed(&mut one, missing, &mut whole[start..start + samples]);
            let mut left = &mut cut[start..start + samples];
            while !left.is_empty() {
                let count = (*cuts.next().expect("an endless cycle")).min(left.len());
                let (now, rest) = left.split_at_mut(count);
                feed(&mut other, missing, now);
                left = rest;
            }
            start += samples;
        }
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn any_stream_at_any_rate_stays_within_the_peak_of_what_was_received(
        seed: u64,
        rate in prop::sample::select(SampleRate::ALL.to_vec()),
        shift in 0_u32..16,
        pieces in pieces(),
    ) {
        let mut concealer = Concealer::new(rate);
        let mut loudest = 0;
        for (n, (missing, samples)) in pieces.into_iter().enumerate() {
            let mut samples = random(seed ^ n as u64, samples);
            for sample in &mut samples {
                *sample >>= shift;
            }
            if missing {
                concealer.conceal(&mut samples);
            } else {
                loudest = loudest.max(peak(&samples));
                concealer.receive(&mut samples);
            }
            prop_assert!(peak(&samples) <= loudest);
        }
    }
}
