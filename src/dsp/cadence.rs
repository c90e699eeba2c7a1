//! Tones and silences in turn: ringing, busy, and the like.

use std::f64::consts::SQRT_2;
use std::time::Duration;

use super::tone::{RAMP, Sine, edge_gain, to_sample};
use crate::audio::SampleRate;

/// Level of each tone: four of them together stay within full scale.
const LEVEL_DBOV: f64 = -16.0;

/// Samples that are worked on at once.
const PIECE: usize = 128;

/// A part of a cadence: tones that sound together, or silence where there is none.
#[derive(Clone, PartialEq, Debug)]
pub struct Beat {
    /// What sounds, in Hz.
    pub frequencies_hz: Vec<f64>,
    /// For how long.
    pub length: Duration,
}

/// Tones and silences one after the other, such as a ringing tone.
#[derive(Clone, Debug)]
pub struct Cadence {
    beats: Vec<Sounding>,
    /// The one that is next, and its samples that are done.
    beat: usize,
    position: usize,
    ramp: usize,
}

#[derive(Clone, Debug)]
struct Sounding {
    sines: Vec<Sine>,
    samples: usize,
}

impl Cadence {
    /// A cadence at `rate`. Each tone has −16 dBov; all rise and fall within 5 ms.
    #[must_use]
    pub fn new(beats: &[Beat], rate: SampleRate) -> Self {
        let peak = SQRT_2 * 10_f64.powf(LEVEL_DBOV / 20.0);
        let sounding = |beat: &Beat| Sounding {
            sines: beat.frequencies_hz.iter().map(|hz| Sine::new(*hz, rate, peak)).collect(),
            samples: rate.length_of(beat.length),
        };
        let beats = beats.iter().map(sounding).collect();
        Self { beats, beat: 0, position: 0, ramp: rate.length_of(RAMP) }
    }

    /// Begins anew.
    pub fn rewind(&mut self) {
        (self.beat, self.position) = (0, 0);
    }

    /// Fills `out` with the next piece; answers the number of samples, which is less than `out` holds
    /// at the end. Does not allocate.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let Some(beat) = self.beats.get_mut(self.beat) else { break };
            let count = (out.len() - done).min(PIECE).min(beat.samples - self.position);
            let piece = &mut out[done..done + count];
            let mut values = [0.0; PIECE];
            for sine in &mut beat.sines {
                sine.add_to(&mut values[..count]);
            }
            let ramp = self.ramp.min(beat.samples / 2);
            for (sample, value) in piece.iter_mut().zip(values) {
                *sample = to_sample(value * edge_gain(self.position, beat.samples, ramp));
                self.position += 1;
            }
            done += count;
            if self.position == beat.samples {
                self.beat += 1;
                self.position = 0;
            }
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::level;

    fn beat(frequencies_hz: &[f64], ms: u64) -> Beat {
        Beat { frequencies_hz: frequencies_hz.to_vec(), length: Duration::from_millis(ms) }
    }

    #[test]
    fn tones_and_silences_follow_each_other_to_the_sample() {
        for rate in [SampleRate::HZ_8000, SampleRate::HZ_44100] {
            let mut cadence = Cadence::new(&[beat(&[425.0], 1_000), beat(&[], 400)], rate);
            let hz = rate.hz() as usize;
            let mut whole = vec![1; 2 * hz];
            assert_eq!(cadence.fill(&mut whole), hz * 14 / 10);
            let (tone, silence) = whole[..hz * 14 / 10].split_at(hz);
            assert!(silence.iter().all(|&sample| sample == 0));
            // The ramps of 5 ms take 2 × 5 × 5/8 ms of a second's power: 0.03 dB.
            assert!((level::rms_dbov(tone) - LEVEL_DBOV).abs() < 0.05);
            let rising = tone.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((424..=425).contains(&rising), "{rising} periods");
            assert_eq!(cadence.fill(&mut whole), 0);
            // Anew, in other pieces.
            cadence.rewind();
            let mut again = Vec::new();
            let mut piece = [0; 77];
            loop {
                let count = cadence.fill(&mut piece);
                again.extend_from_slice(&piece[..count]);
                if count == 0 {
                    break;
                }
            }
            assert_eq!(again.len(), hz * 14 / 10);
            assert!(again[..hz / 500].iter().all(|sample| sample.unsigned_abs() < 3_000));
        }
    }

    #[test]
    fn four_tones_together_are_not_limited() {
        let tones = [350.0, 440.0, 480.0, 620.0];
        let mut cadence = Cadence::new(&[beat(&tones, 2_000)], SampleRate::HZ_8000);
        let mut samples = vec![0; 16_000];
        assert_eq!(cadence.fill(&mut samples), 16_000);
        assert!(!samples.contains(&i16::MAX) && !samples.contains(&i16::MIN));
        assert!((level::rms_dbov(&samples) - (LEVEL_DBOV + 6.02)).abs() < 0.1);
    }

    #[test]
    fn beats_of_no_length_are_passed_over() {
        let mut cadence = Cadence::new(&[beat(&[425.0], 0), beat(&[], 1)], SampleRate::HZ_8000);
        assert_eq!(cadence.fill(&mut [1; 100]), 8);
        assert_eq!(Cadence::new(&[], SampleRate::HZ_8000).fill(&mut [1; 100]), 0);
    }
}
