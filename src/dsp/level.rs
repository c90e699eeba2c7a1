//! Level of a signal in dBov: decibels against the overload point, a square wave of full scale
//! (ITU-T G.100.1). A full-scale sine has −3.01 dBov.

use super::simd::{Kernel, Level};

/// What counts as silence: the floor of every level, as in RFC 6464 section 3.
pub const SILENCE_DBOV: f64 = -127.0;

/// Amplitude of the overload point.
const FULL_SCALE: f64 = 32_768.0;

/// Root mean square of `samples`, −127 to 0 dBov. No samples are silent.
#[must_use]
pub fn rms_dbov(samples: &[i16]) -> f64 {
    // A mean square: 10 instead of 20 per decade, and no root.
    let mean = energy(samples) as f64 / samples.len().max(1) as f64;
    to_dbov(mean, 10.0, FULL_SCALE * FULL_SCALE)
}

/// Largest magnitude in `samples`, −127 to 0 dBov. No samples are silent.
#[must_use]
pub fn peak_dbov(samples: &[i16]) -> f64 {
    to_dbov(f64::from(Level::best().run(Peak { samples })), 20.0, FULL_SCALE)
}

/// Sum of the squares of `samples`, exactly.
#[must_use]
pub fn energy(samples: &[i16]) -> u64 {
    energy_at(Level::best(), samples)
}

/// [`energy`] by the loop of that level.
#[must_use]
pub fn energy_at(level: Level, samples: &[i16]) -> u64 {
    level.run(Energy { samples })
}

struct Energy<'a> {
    samples: &'a [i16],
}

impl Kernel for Energy<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        // Both halves of a square are summed apart, in 32 bits, where more samples fit a register:
        // so many 16-bit halves cannot overflow.
        const BLOCK: usize = 65_536;
        let mut energy = 0;
        for block in self.samples.chunks(BLOCK) {
            let (mut high, mut low) = (0_u32, 0_u32);
            for &sample in block {
                let magnitude = u32::from(sample.unsigned_abs());
                let square = magnitude * magnitude;
                high += square >> 16;
                low += square & 0xffff;
            }
            energy += (u64::from(high) << 16) + u64::from(low);
        }
        energy
    }
}

struct Peak<'a> {
    samples: &'a [i16],
}

impl Kernel for Peak<'_> {
    type Output = u16;

    #[inline(always)]
    fn run(self) -> u16 {
        let mut peak = 0;
        for sample in self.samples {
            peak = peak.max(sample.unsigned_abs());
        }
        peak
    }
}

fn to_dbov(value: f64, per_decade: f64, full_scale: f64) -> f64 {
    (per_decade * (value / full_scale).log10()).max(SILENCE_DBOV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_scale_square_wave_is_the_overload_point() {
        assert_eq!(rms_dbov(&[i16::MIN; 160]), 0.0);
        assert_eq!(peak_dbov(&[0, i16::MIN, 0]), 0.0);
    }

    #[test]
    fn half_the_amplitude_is_six_decibels_less() {
        // 20 log10(1/2) = −6.0206.
        assert!((rms_dbov(&[16_384, -16_384]) + 6.0206).abs() < 1e-4);
        assert!((peak_dbov(&[3, -16_384]) + 6.0206).abs() < 1e-4);
    }

    #[test]
    fn rms_is_the_mean_of_energy_and_peak_is_not() {
        // One sample of full scale in four: a quarter of the energy, −6.0206 dB.
        let samples = [i16::MIN, 0, 0, 0];
        assert!((rms_dbov(&samples) + 6.0206).abs() < 1e-4);
        assert_eq!(peak_dbov(&samples), 0.0);
    }

    #[test]
    fn every_level_sums_exactly_however_long_and_loud_the_signal_is() {
        let mut samples = vec![i16::MIN; 200_000];
        samples.extend(i16::MIN..=i16::MAX);
        samples.extend([1, 2, 3]);
        let square = |&sample: &i16| i64::from(sample).pow(2).unsigned_abs();
        for part in [&samples[..], &samples[..65_537], &samples[200_000..], &samples[5..5]] {
            let expected: u64 = part.iter().map(square).sum();
            for level in Level::available() {
                assert_eq!(energy_at(level, part), expected, "{level:?}");
                let peak = part.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
                assert_eq!(level.run(Peak { samples: part }), peak, "{level:?}");
            }
        }
    }

    #[test]
    fn silence_is_the_floor_and_the_faintest_sound_is_above_it() {
        assert_eq!(rms_dbov(&[]), SILENCE_DBOV);
        assert_eq!(rms_dbov(&[0; 160]), SILENCE_DBOV);
        assert_eq!(peak_dbov(&[]), SILENCE_DBOV);
        let mut faint = [0; 160];
        faint[7] = 1;
        assert!(rms_dbov(&faint) > SILENCE_DBOV);
    }
}
