//! Noise to speak against, of a root mean square of 1.

use std::f64::consts::TAU;

use sidetone::dsp::random::Random;

use crate::corpus::Track;

/// What is heard beside the speech.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Noise {
    White,
    Brown,
    Babble,
    Music,
}

/// How many voices babble.
const VOICES: usize = 20;

const SECONDS: usize = 60;

impl Noise {
    pub(crate) const ALL: [Self; 4] = [Self::White, Self::Brown, Self::Babble, Self::Music];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::White => "white",
            Self::Brown => "brown",
            Self::Babble => "babble",
            Self::Music => "music",
        }
    }

    /// A minute of it at the rate of the tracks, whose voices babble.
    pub(crate) fn make(self, tracks: &[Track]) -> Vec<f64> {
        let rate = tracks[0].rate.hz();
        let length = SECONDS * rate as usize;
        let mut random = Random(self as u64 + 100);
        let mut samples = match self {
            Self::White => (0..length).map(|_| gaussian(&mut random)).collect(),
            Self::Brown => brown(length, rate, &mut random),
            Self::Babble => babble(length, tracks, &mut random),
            Self::Music => music(length, rate, &mut random),
        };
        let power = samples.iter().map(|it| it * it).sum::<f64>() / length as f64;
        samples.iter_mut().for_each(|sample| *sample /= power.sqrt());
        samples
    }
}

/// A value of the normal distribution (Irwin and Hall's, of twelve).
fn gaussian(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// White noise summed up, which forgets below 20 Hz.
fn brown(length: usize, rate: u32, random: &mut Random) -> Vec<f64> {
    let keep = 1.0 - TAU * 20.0 / f64::from(rate);
    let mut sum = 0.0;
    (0..length)
        .map(|_| {
            sum = keep * sum + gaussian(random);
            sum
        })
        .collect()
}

/// Many voices at once, each a track from a place of its own on, without its pauses, so that each
/// speaks all the time.
fn babble(length: usize, tracks: &[Track], random: &mut Random) -> Vec<f64> {
    let mut sums = vec![0.0; length];
    for n in 0..VOICES {
        let track = &tracks[n % tracks.len()];
        let spoken: Vec<f64> = track
            .samples
            .chunks_exact(track.cell())
            .zip(&track.labels)
            .filter(|(_, label)| **label)
            .flat_map(|(cell, _)| cell.iter().map(|&sample| f64::from(sample)))
            .collect();
        let begin = (random.unit() * spoken.len() as f64) as usize;
        // One half is played backwards, so that no voice is heard twice at once.
        let voice: Vec<f64> = if n % 2 == 0 { spoken } else { spoken.into_iter().rev().collect() };
        let voice = voice.iter().cycle().skip(begin);
        sums.iter_mut().zip(voice).for_each(|(sum, sample)| *sum += sample);
    }
    sums
}

/// Chords, a melody above them, and a beat: two tones a second.
fn music(length: usize, rate: u32, random: &mut Random) -> Vec<f64> {
    const CHORDS: [[i32; 3]; 4] = [[0, 4, 7], [9, 12, 16], [5, 9, 12], [7, 11, 14]];
    const SCALE: [i32; 8] = [12, 14, 16, 17, 19, 21, 23, 24];
    let beat = rate as usize / 2;
    let rate = f64::from(rate);
    let hertz = |half_tones: i32| 220.0 * 2_f64.powf(f64::from(half_tones) / 12.0);
    let mut samples = vec![0.0; length];
    for (n, samples) in samples.chunks_mut(beat).enumerate() {
        let chord = CHORDS[n / 4 % CHORDS.len()];
        let tone = SCALE[(random.unit() * SCALE.len() as f64) as usize];
        let voices = chord.iter().map(|&tone| (tone, 0.5)).chain([(tone, 1.0)]);
        for (tone, amplitude) in voices {
            for harmonic in 1..=6 {
                let frequency = hertz(tone) * f64::from(harmonic);
                if frequency > 0.45 * rate {
                    break;
                }
                let amplitude = amplitude / f64::from(harmonic * harmonic);
                for (k, sample) in samples.iter_mut().enumerate() {
                    let time = k as f64 / rate;
                    let envelope = (time / 0.01).min(1.0) * (-2.0 * time).exp();
                    *sample += amplitude * envelope * (TAU * frequency * time).sin();
                }
            }
        }
        for (k, sample) in samples.iter_mut().take(beat / 8).enumerate() {
            *sample += 0.6 * gaussian(random) * (-60.0 * k as f64 / rate).exp();
        }
    }
    samples
}
