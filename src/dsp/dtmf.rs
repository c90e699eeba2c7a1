//! DTMF digits as audio: the two tones of ITU-T Q.23, made and found.

mod detector;

use std::f64::consts::SQRT_2;
use std::time::Duration;

pub use detector::{DtmfDetector, Found};

pub use super::tone::RAMP;
use super::tone::{Sine, edge_gain, to_sample};
use crate::audio::SampleRate;

/// Frequencies of the rows, in Hz (Q.23).
const LOWER_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the columns, in Hz (Q.23).
const UPPER_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The keypad, row by row.
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Samples that are worked on at once.
const PIECE: usize = 128;

/// How digits sound.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DtmfShape {
    /// Level of the lower tone, in dBov (root mean square). Both tones fit up to −9.1 without twist,
    /// up to −10.1 with the default's.
    pub lower_dbov: f64,
    /// By how much the upper tone is louder, in dB: lines lose more of it.
    pub twist_db: f64,
    /// Length of the digit.
    pub on: Duration,
    /// Length of the silence after it.
    pub off: Duration,
}

impl Default for DtmfShape {
    /// −16 and −14 dBov, 100 ms of tone and 100 ms of silence.
    fn default() -> Self {
        let duration = Duration::from_millis(100);
        Self { lower_dbov: -16.0, twist_db: 2.0, on: duration, off: duration }
    }
}

/// One digit: its tones, then the silence after it.
#[derive(Clone, Debug)]
pub struct Dtmf {
    lower: Sine,
    upper: Sine,
    /// Samples so far.
    position: usize,
    /// Samples of tone, of them at either edge a ramp, and of everything.
    on: usize,
    ramp: usize,
    length: usize,
}

impl Dtmf {
    /// The digit `0` to `9`, `*`, `#` or `A` to `D`, at `rate`; `None` for any other character.
    ///
    /// Tones that are too loud together are limited to full scale.
    #[must_use]
    pub fn new(digit: char, rate: SampleRate, shape: DtmfShape) -> Option<Self> {
        let (row, column) = (0..4)
            .flat_map(|row| (0..4).map(move |column| (row, column)))
            .find(|&(row, column)| KEYS[row][column] == digit)?;
        let on = rate.length_of(shape.on);
        let upper_dbov = shape.lower_dbov + shape.twist_db;
        Some(Self {
            lower: Sine::new(LOWER_HZ[row], rate, amplitude(shape.lower_dbov)),
            upper: Sine::new(UPPER_HZ[column], rate, amplitude(upper_dbov)),
            position: 0,
            on,
            ramp: rate.length_of(RAMP).min(on / 2),
            length: on.saturating_add(rate.length_of(shape.off)),
        })
    }

    /// Samples that are still to come.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.length - self.position
    }

    /// Fills `out` with the next piece of the digit; answers the number of samples, which is less
    /// than `out` holds where the digit ends, silence included. Does not allocate.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let count = out.len().min(self.remaining());
        let toned = count.min(self.on.saturating_sub(self.position));
        let (tone, silence) = out[..count].split_at_mut(toned);
        for piece in tone.chunks_mut(PIECE) {
            let mut values = [0.0; PIECE];
            let values = &mut values[..piece.len()];
            self.lower.add_to(values);
            self.upper.add_to(values);
            for (sample, value) in piece.iter_mut().zip(values) {
                *sample = to_sample(*value * self.gain());
                self.position += 1;
            }
        }
        silence.fill(0);
        self.position += silence.len();
        count
    }

    /// The ramp at the present sample, 0 to 1.
    fn gain(&self) -> f64 {
        edge_gain(self.position, self.on, self.ramp)
    }
}

/// Peak of a sine of this level, as a fraction of the largest sample.
fn amplitude(dbov: f64) -> f64 {
    SQRT_2 * 10_f64.powf(dbov / 20.0) * 32_768.0 / f64::from(i16::MAX)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn whole(digit: char, rate: SampleRate, shape: DtmfShape) -> Vec<i16> {
        let mut dtmf = Dtmf::new(digit, rate, shape).unwrap();
        let mut samples = vec![1; dtmf.remaining() + 10];
        let count = dtmf.fill(&mut samples);
        assert_eq!((count, dtmf.remaining()), (samples.len() - 10, 0));
        assert_eq!(dtmf.fill(&mut samples[count..]), 0);
        samples.truncate(count);
        samples
    }

    /// `samples` under a Hann window of unit weight.
    fn windowed(samples: &[i16]) -> Vec<f64> {
        let turn = TAU / samples.len() as f64;
        let window = |n: usize| (1.0 - (turn * (n as f64 + 0.5)).cos()) / samples.len() as f64;
        samples.iter().enumerate().map(|(n, &sample)| window(n) * f64::from(sample)).collect()
    }

    /// Level of what lies at `hz` in a windowed signal, in dBov, by Goertzel's algorithm.
    fn level_at(hz: f64, windowed: &[f64], rate: SampleRate) -> f64 {
        let double = 2.0 * (TAU * hz / f64::from(rate.hz())).cos();
        let (mut latest, mut before) = (0.0, 0.0);
        for value in windowed {
            (before, latest) = (latest, value + double * latest - before);
        }
        let power = latest * latest + before * before - double * latest * before;
        // Half of a sine's amplitude stands at its frequency; its mean square is half its square.
        10.0 * (2.0 * power / 32_768_f64.powi(2)).log10()
    }

    fn loudest_above_3_khz(samples: &[i16], rate: SampleRate) -> f64 {
        let signal = windowed(samples);
        let levels = (3000..8000).step_by(50).map(|hz| level_at(f64::from(hz), &signal, rate));
        levels.fold(f64::MIN, f64::max)
    }

    #[test]
    fn each_digit_has_its_two_frequencies_at_their_levels_and_nothing_else() {
        let shape = DtmfShape { on: Duration::from_millis(200), ..DtmfShape::default() };
        // The rows of the keypad as ITU-T Q.23 has them.
        let keypad = [(697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D")];
        for rate in [SampleRate::HZ_8000, SampleRate::HZ_16000, SampleRate::HZ_48000] {
            for (lower, row) in keypad {
                for (digit, upper) in row.chars().zip([1209_u32, 1336, 1477, 1633]) {
                    let samples = whole(digit, rate, shape);
                    let tenth = rate.hz() as usize / 100;
                    let steady = windowed(&samples[tenth..19 * tenth]);
                    let level = |hz: u32| level_at(f64::from(hz), &steady, rate);
                    assert!((level(lower) + 16.0).abs() < 0.01, "{digit}: {}", level(lower));
                    assert!((level(upper) + 14.0).abs() < 0.01, "{digit}: {}", level(upper));
                    // The main lobe of a Hann window of 180 ms reaches 2/0.18 s = 11.1 Hz; beyond
                    // 50 Hz its side lobes are 75 dB down. 2 × 941 Hz is the highest harmonic asked.
                    for hz in (200_u32..2000).step_by(9) {
                        if hz.abs_diff(lower) > 50 && hz.abs_diff(upper) > 50 {
                            assert!(level(hz) < -75.0, "{digit} {hz} Hz: {}", level(hz));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn on_and_off_last_as_long_as_asked_to_the_sample() {
        let (on, off) = (Duration::from_millis(60), Duration::from_millis(50));
        for rate in SampleRate::ALL {
            let samples = whole('5', rate, DtmfShape { on, off, ..DtmfShape::default() });
            let hz = rate.hz() as usize;
            assert_eq!(samples.len(), hz * 110 / 1000);
            let (tone, silence) = samples.split_at(hz * 60 / 1000);
            assert!(silence.iter().all(|&sample| sample == 0));
            // The ramps' outermost samples may be zeros, but not a millisecond of them.
            assert!(tone[tone.len() - hz / 1000..].iter().any(|&sample| sample != 0));
            assert!(tone[..hz / 1000].iter().any(|&sample| sample != 0));
        }
    }

    #[test]
    fn an_edge_does_not_click() {
        let rate = SampleRate::HZ_16000;
        let mut samples = vec![0; 1600];
        samples.extend(whole('1', rate, DtmfShape::default()));
        let ramped = loudest_above_3_khz(&samples, rate);
        // The same with the ramps cut off.
        samples[1600..1700].fill(0);
        samples[3100..].fill(0);
        let cut = loudest_above_3_khz(&samples, rate);
        assert!(ramped < -120.0 && cut > -80.0, "{ramped} {cut}");
    }

    #[test]
    fn the_fall_is_the_mirror_of_the_rise() {
        let mut dtmf = Dtmf::new('1', SampleRate::HZ_8000, DtmfShape::default()).unwrap();
        let mut gains = Vec::new();
        for position in 0..800 {
            dtmf.position = position;
            gains.push(dtmf.gain());
        }
        // 5 ms are 40 samples; the cosine's half period lies around the ramp's middle.
        assert!(gains[..40].is_sorted() && gains[0] > 0.0 && gains[39] < 1.0);
        assert!((gains[9] + gains[30] - 1.0).abs() < 1e-12);
        assert!(gains[40..760].iter().all(|&gain| gain == 1.0));
        assert!(gains.iter().eq(gains.iter().rev()));
    }

    #[test]
    fn how_the_digit_is_cut_does_not_matter() {
        let rate = SampleRate::HZ_8000;
        let expected = whole('#', rate, DtmfShape::default());
        for size in [1, 7, 128, 160, 799, 801] {
            let mut dtmf = Dtmf::new('#', rate, DtmfShape::default()).unwrap();
            let mut samples = Vec::new();
            let mut piece = vec![0; size];
            loop {
                let count = dtmf.fill(&mut piece);
                samples.extend_from_slice(&piece[..count]);
                if count == 0 {
                    break;
                }
            }
            assert_eq!(samples, expected, "pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_digit_has_no_tones_and_odd_shapes_are_borne() {
        for other in ['E', 'a', ' ', '²', '\0'] {
            assert!(Dtmf::new(other, SampleRate::HZ_8000, DtmfShape::default()).is_none());
        }
        let rate = SampleRate::HZ_8000;
        let instant = DtmfShape { on: Duration::ZERO, off: Duration::ZERO, ..Default::default() };
        assert!(whole('1', rate, instant).is_empty());
        let blip = DtmfShape { on: Duration::from_micros(400), ..instant };
        assert_eq!(whole('1', rate, blip).len(), 3);
        let loud = DtmfShape { lower_dbov: 0.0, twist_db: 0.0, ..DtmfShape::default() };
        let samples = whole('1', rate, loud);
        assert!(samples.contains(&i16::MAX) && samples.contains(&i16::MIN));
        let endless = DtmfShape { on: Duration::MAX, off: Duration::MAX, ..Default::default() };
        let mut piece = [0; 160];
        assert_eq!(Dtmf::new('1', rate, endless).unwrap().fill(&mut piece), 160);
    }
}
