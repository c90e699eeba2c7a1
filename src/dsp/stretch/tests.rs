use std::f64::consts::TAU;

use super::*;
use crate::dsp::level::rms_dbov;
use crate::dsp::tone::Sine;

const RATE: SampleRate = SampleRate::HZ_8000;

fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 32) as f64 / f64::from(1_u32 << 31) - 1.0
}

/// Samples of `ms` at a rate.
fn samples_in(ms: usize, rate: SampleRate) -> usize {
    rate.hz() as usize * ms / 1000
}

fn sine(frequency: f64, rate: SampleRate, samples: usize) -> Vec<i16> {
    let mut sine = vec![0; samples];
    Sine::new(frequency, rate, 0.3).fill(&mut sine);
    sine
}

/// Something like speech: each second two syllables whose pitch moves between 95 and 185 Hz, a
/// fricative between them, and a pause, over noise of −62 dBov.
fn speech(seconds: usize) -> Vec<i16> {
    let mut state = 77;
    let (mut phase, mut loudness, mut hiss) = (0.0, 0.0, 0.0);
    let hz = f64::from(RATE.hz());
    (0..seconds * 8000)
        .map(|n| {
            let time = n as f64 / hz;
            let pitch = 140.0 + 45.0 * (TAU * 0.31 * time).sin();
            phase += pitch / hz;
            let (voiced, fricative) = match time.fract() {
                0.0..0.4 | 0.5..0.75 => (1.0, 0.0),
                0.4..0.5 => (0.0, 1.0),
                _ => (0.0, 0.0),
            };
            // Sounds come and go within some 10 ms.
            loudness += (voiced - loudness) * 0.01;
            hiss += (fricative - hiss) * 0.01;
            let voice: f64 = (1..20)
                .map(|k| {
                    let at = f64::from(k) * pitch;
                    let formant = |centre: f64| (1.0 + ((at - centre) / 150.0).powi(2)).recip();
                    let weight = formant(500.0) + 0.5 * formant(1500.0) + 0.2 * formant(2500.0);
                    weight * (TAU * f64::from(k) * phase).sin()
                })
                .sum();
            let value = 4_000.0 * loudness * voice + 1_500.0 * hiss * random(&mut state);
            (value + 45.0 * random(&mut state)) as i16
        })
        .collect()
}

/// The largest second difference.
fn sharpest(samples: &[i16]) -> i32 {
    let bend = |w: &[i16]| i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2]);
    samples.windows(3).map(|w| bend(w).abs()).max().unwrap_or(0)
}

/// The largest step from one sample to the next.
fn steepest(samples: &[i16]) -> i32 {
    samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

/// Sends a signal through in frames; every `every`th is changed by up to `at_most`, to the shorter
/// side or to the longer. Answers what went out and the sum of what was changed.
fn run(
    signal: &[i16],
    rate: SampleRate,
    frame_ms: usize,
    (every, at_most, shorter, effort): (usize, usize, bool, Effort),
) -> (Vec<i16>, usize) {
    let mut stretcher = Stretcher::new(rate);
    let (mut out, mut changed) = (Vec::new(), 0);
    for (n, frame) in signal.chunks_exact(samples_in(frame_ms, rate)).enumerate() {
        if n % every < every - 1 {
            stretcher.pass(frame);
            out.extend_from_slice(frame);
            continue;
        }
        let mut changing = frame.to_vec();
        let count = if shorter {
            stretcher.shorten(&mut changing, at_most, effort)
        } else {
            stretcher.lengthen(&mut changing, at_most, effort)
        };
        assert!(count <= at_most);
        let expected = if shorter { frame.len() - count } else { frame.len() + count };
        assert_eq!(changing.len(), expected, "frame {n}");
        out.extend(changing);
        changed += count;
    }
    (out, changed)
}

/// The frequency by the first and the last rising zero, interpolated.
fn frequency(samples: &[i16], rate: SampleRate) -> f64 {
    let rising: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0] < 0 && pair[1] >= 0)
        .map(|(n, pair)| n as f64 + f64::from(pair[0]) / (f64::from(pair[0]) - f64::from(pair[1])))
        .collect();
    let span = rising[rising.len() - 1] - rising[0];
    (rising.len() - 1) as f64 / span * f64::from(rate.hz())
}

/// The most that a fade of at least 5 ms between two signals may bend the first, where they are so
/// much apart and so much bend themselves.
fn most_bend(bend: i32, apart: i32, rate: SampleRate) -> i32 {
    // With weights that go linearly over M samples: their own bend, 2/M of the step in their
    // difference, at most twice the bend of either, 1/M of their difference at the ends, and two
    // roundings by a half at each of three samples.
    let fade = i32::try_from(samples_in(5, rate)).unwrap();
    bend + (4 * bend + apart) / fade + 4
}

#[test]
fn a_sine_keeps_its_pitch_and_shows_no_joint() {
    for rate in SampleRate::ALL {
        for tone in [150.0, 310.0, 440.0, 1_003.0] {
            for shorter in [true, false] {
                let signal = sine(tone, rate, rate.hz() as usize * 2);
                let how = (10, samples_in(10, rate), shorter, Effort::WhereSimilar);
                let (out, changed) = run(&signal, rate, 20, how);
                // Ten changes of a whole number of periods, 2.5 ms at least.
                assert!(changed >= 10 * samples_in(5, rate) / 2, "{rate} {tone}: {changed}");
                let actual = frequency(&out, rate);
                assert!((actual / tone - 1.0).abs() < 0.001, "{rate} {tone}: {actual}");
                // The periods fit to half a sample: the two are apart by half a step at most.
                let (bend, step) = (sharpest(&signal), steepest(&signal));
                assert!(sharpest(&out) <= most_bend(bend, step / 2, rate), "{rate} {tone}");
                let fade = i32::try_from(samples_in(5, rate)).unwrap();
                assert!(steepest(&out) <= step + step / 2 / fade + 2, "{rate} {tone}");
            }
        }
    }
}

#[test]
fn speech_is_changed_where_it_is_steady_and_not_heard_there() {
    let signal = speech(20);
    for shorter in [true, false] {
        for ms in [10, 20, 30, 40, 60] {
            let length = samples_in(ms, RATE);
            let mut stretcher = Stretcher::new(RATE);
            let mut out: Vec<i16> = vec![0; 2];
            let mut changes = 0;
            for (n, frame) in signal.chunks_exact(length).enumerate() {
                let mut changing = frame.to_vec();
                let count = if shorter {
                    stretcher.shorten(&mut changing, 100, Effort::WhereSimilar)
                } else {
                    stretcher.lengthen(&mut changing, 100, Effort::WhereSimilar)
                };
                changes += usize::from(count > 0);
                let begin = out.len() - 2;
                out.extend(changing);
                // What is there, and the tail, which a longer frame repeats.
                let own = &signal[(n * length).saturating_sub(160)..(n + 1) * length];
                // The worst is 1.032, of 10 ms frames, where a fade may be as short as 2 ms; a step of
                // a tenth of the peak at a joint would be 2 and more.
                let most = f64::from(sharpest(own)) * 1.05 + 2.0;
                assert!(f64::from(sharpest(&out[begin..])) <= most, "{ms} ms, frame {n}");
            }
            // A quarter of it is pause, more than a half voiced.
            let frames = signal.len() / length;
            assert!(changes * 2 > frames && changes < frames, "{ms} ms: {changes} of {frames}");
        }
    }
}

#[test]
fn ten_minutes_of_a_fast_sender_stay_aligned() {
    let twenty_seconds = speech(20);
    let signal: Vec<i16> = twenty_seconds.iter().copied().cycle().take(600 * 8000).collect();
    let mut stretcher = Stretcher::new(RATE);
    let mut out: Vec<i16> = Vec::with_capacity(signal.len());
    let (mut ahead, mut changes, mut furthest) = (0.0_f64, 0, 0.0_f64);
    let mut frame = Vec::with_capacity(160);
    for samples in signal.chunks_exact(160) {
        frame.clear();
        frame.extend_from_slice(samples);
        // 200 ppm of a frame.
        ahead += 160.0 * 200e-6;
        if ahead >= 40.0 {
            let count = stretcher.shorten(&mut frame, (2.0 * ahead) as usize, Effort::WhereSimilar);
            ahead -= count as f64;
            changes += usize::from(count > 0);
        } else {
            stretcher.pass(&frame);
        }
        furthest = furthest.max(ahead.abs());
        out.extend_from_slice(&frame);
    }
    // 5 ms ahead is where it begins and 5 ms behind the most that it leaves; a second may pass until a
    // place is good enough, at 1.6 samples a second.
    assert!(furthest < 42.0, "{furthest}");
    // 200 ppm of 600 s are 960 samples, of which less than 40 may be left to do and 40 too many done.
    assert!(signal.len().abs_diff(out.len() + 960) <= 41, "{}", out.len());
    // No change is less than 2.5 ms, 20 samples: (960 + 40)/20.
    assert!(changes <= 50, "{changes}");
    println!("{changes} changes in ten minutes");
    assert!(sharpest(&out) <= sharpest(&signal));
    assert!(steepest(&out) <= steepest(&signal));
    assert!((rms_dbov(&out) - rms_dbov(&signal)).abs() < 0.01);
}

#[test]
fn silence_is_changed_by_any_amount_and_stays_silence() {
    for rate in SampleRate::ALL {
        for ms in [10, 20, 30, 60] {
            let length = samples_in(ms, rate);
            let longest = (length / 2).min(samples_in(15, rate));
            let mut stretcher = Stretcher::new(rate);
            for at_most in [0, 1, 7, longest, usize::MAX] {
                let mut frame = vec![0; length];
                let taken = stretcher.shorten(&mut frame, at_most, Effort::WhereSimilar);
                let mut other = vec![0; length];
                let given = stretcher.lengthen(&mut other, at_most, Effort::WhereSimilar);
                assert_eq!((frame.len(), other.len()), (length - taken, length + given));
                assert!(frame.iter().chain(&other).all(|&sample| sample == 0));
                assert_eq!(taken, given);
                // Of 15 ms the rounding to samples takes up to a hundredth more.
                let expected = at_most.min(longest);
                assert!(taken >= expected && taken <= expected + expected / 90, "{rate} {ms}");
            }
        }
    }
}

#[test]
fn what_is_silence_follows_the_noise_floor() {
    let mut state = 5;
    // Uniform noise of ±71: its root mean square is 71/√3 = 41, −58 dBov.
    let mut noise =
        || -> Vec<i16> { (0..160).map(|_| (71.0 * random(&mut state)) as i16).collect() };
    let mut stretcher = Stretcher::new(RATE);
    assert_eq!(stretcher.shorten(&mut noise(), 5, Effort::WhereSimilar), 0, "is it a sound?");
    // The floor begins at −70 and rises by 3 dB a second: −64 is 6 dB below the noise after 2 s.
    for _ in 0..150 {
        stretcher.pass(&noise());
    }
    assert_eq!(stretcher.shorten(&mut noise(), 5, Effort::WhereSimilar), 5);
    assert_eq!(stretcher.lengthen(&mut noise(), 80, Effort::WhereSimilar), 80);

    // A tone of −40 dBov that lasts for a minute is none, for all that its floor rises.
    let mut tone = vec![0; 60 * 8000];
    Sine::new(400.0, RATE, 0.014).fill(&mut tone);
    for frame in tone.chunks_exact(160) {
        stretcher.pass(frame);
    }
    let mut frame = tone[..160].to_vec();
    assert_eq!(stretcher.shorten(&mut frame, 19, Effort::WhereSimilar), 0, "less than 2.5 ms");
}

#[test]
fn what_is_not_alike_is_changed_with_effort_only() {
    let mut state = 9;
    let noise: Vec<i16> = (0..160 * 50).map(|_| (5_000.0 * random(&mut state)) as i16).collect();
    for shorter in [true, false] {
        let (same, count) = run(&noise, RATE, 20, (1, 80, shorter, Effort::WhereSimilar));
        assert_eq!((same == noise, count), (true, 0));
        let (_, count) = run(&noise, RATE, 20, (1, 80, shorter, Effort::Always));
        assert!(count >= 50 * 20, "2.5 ms of each frame at least: {count}");
        let (_, count) = run(&noise, RATE, 20, (1, 3, shorter, Effort::Always));
        assert_eq!(count, 50 * 3, "at most so many, and all of them");
    }
}

#[test]
fn the_onset_of_a_sound_is_left_alone() {
    let tone = sine(200.0, RATE, 160);
    let change = |frame: &mut Vec<i16>, shorter: bool| {
        let mut stretcher = Stretcher::new(RATE);
        stretcher.pass(&[0; 160]);
        if shorter {
            stretcher.shorten(frame, 80, Effort::WhereSimilar)
        } else {
            stretcher.lengthen(frame, 80, Effort::WhereSimilar)
        }
    };
    for shorter in [true, false] {
        // From the frame's beginning on: alike to itself a period later, but for what was before.
        let mut frame = tone.clone();
        assert_eq!((change(&mut frame, shorter), &frame), (0, &tone));

        // 5 ms before the frame's end: only the silence before it is changed.
        let mut frame = vec![0; 120];
        frame.extend_from_slice(&tone[..40]);
        assert!(change(&mut frame, shorter) > 0);
        let (silence, sound) = frame.split_at(frame.len() - 40);
        assert!(silence.iter().all(|&sample| sample == 0) && sound == &tone[..40]);
    }
}

#[test]
fn any_frames_are_taken_and_every_length_is_exact() {
    let mut state = 3;
    for rate in SampleRate::ALL {
        let mut stretcher = Stretcher::new(rate);
        for n in 0..150 {
            let longest = samples_in(if n % 10 == 0 { 150 } else { 30 }, rate) as f64;
            let length = (random(&mut state).abs() * longest) as usize;
            let loudness = [0.0, 40.0, 3_000.0, 1e6][n % 4];
            let mut frame: Vec<i16> = Vec::with_capacity(length * 2 + samples_in(16, rate));
            frame.extend((0..length).map(|_| (loudness * random(&mut state)) as i16));
            let at_most = [0, 1, length / 3, usize::MAX][n / 4 % 4];
            let effort = [Effort::WhereSimilar, Effort::Always][n / 16 % 2];
            let place = frame.as_ptr();
            let expected = match n % 3 {
                0 => length - stretcher.shorten(&mut frame, at_most, effort),
                1 => length + stretcher.lengthen(&mut frame, at_most, effort),
                _ => {
                    stretcher.pass(&frame);
                    length
                }
            };
            assert_eq!(frame.len(), expected);
            assert_eq!(frame.as_ptr(), place, "a Vec with room is not moved");
        }
    }
}

#[test]
fn behind_frames_that_were_skimmed_none_is_changed_before_20_ms_are_remembered() {
    let tone = sine(200.0, RATE, 8_000);
    let mut frames = tone.chunks_exact(80);
    let mut next = || frames.next().expect("a second of them").to_vec();
    let mut stretcher = Stretcher::new(RATE);
    let mut other = stretcher.clone();
    for _ in 0..10 {
        let frame = next();
        stretcher.skim(&frame);
        other.pass(&frame);
    }
    for remembered in 0..4 {
        let mut frame = [next(), next()].concat();
        let mut same = frame.clone();
        let count = stretcher.shorten(&mut frame, 80, Effort::Always);
        assert_eq!(count > 0, remembered > 0, "frame {remembered}");
        if remembered == 0 {
            assert_eq!(frame, same, "the first goes out as it is");
            other.pass(&same);
        } else {
            other.shorten(&mut same, 80, Effort::Always);
            assert_eq!(frame, same, "frame {remembered}");
        }
    }
}
