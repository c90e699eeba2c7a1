//! Level of a signal in dBov: decibels against the overload point, a square wave of full scale
//! (ITU-T G.100.1). A full-scale sine has −3.01 dBov.

/// What counts as silence: the floor of every level, as in RFC 6464 section 3.
pub const SILENCE_DBOV: f64 = -127.0;

/// Amplitude of the overload point.
const FULL_SCALE: f64 = 32_768.0;

/// Root mean square of `samples`, −127 to 0 dBov. No samples are silent.
#[must_use]
pub fn rms_dbov(samples: &[i16]) -> f64 {
    let energy: u64 = samples.iter().map(|&sample| square(sample)).sum();
    // A mean square: 10 instead of 20 per decade, and no root.
    to_dbov(energy as f64 / samples.len().max(1) as f64, 10.0, FULL_SCALE * FULL_SCALE)
}

/// Largest magnitude in `samples`, −127 to 0 dBov. No samples are silent.
#[must_use]
pub fn peak_dbov(samples: &[i16]) -> f64 {
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    to_dbov(f64::from(peak), 20.0, FULL_SCALE)
}

fn square(sample: i16) -> u64 {
    let magnitude = u64::from(sample.unsigned_abs());
    magnitude * magnitude
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
    fn silence_is_the_floor_and_the_faintest_sound_is_above_it() {
        assert_eq!(rms_dbov(&[]), SILENCE_DBOV);
        assert_eq!(rms_dbov(&[0; 160]), SILENCE_DBOV);
        assert_eq!(peak_dbov(&[]), SILENCE_DBOV);
        let mut faint = [0; 160];
        faint[7] = 1;
        assert!(rms_dbov(&faint) > SILENCE_DBOV);
    }
}
