//! How far audio that was repaired is from the original, and which packets a network loses. For
//! tests and benches; it allocates, so it is not for the media path.

use std::f64::consts::TAU;

use super::fft::{Complex, Fft};
use super::level::energy;
use super::random::Random;

/// Limits of the ratio of one frame in dB: beyond them it says nothing more of what is heard
/// (J. H. L. Hansen and B. L. Pellom, "An effective quality evaluation protocol for speech
/// enhancement algorithms", ICSLP 1998).
pub const SEGMENT_DB: (f64, f64) = (-10.0, 35.0);

/// What lies this far below a frame's mean power is not heard beside the rest of it, in dB.
const MASKED_DB: f64 = -40.0;

/// Which of `packets` are lost: the share `loss` in the long run, in bursts of `mean_burst` packets
/// on average. The same for the same `seed`.
///
/// A channel of two states, good and bad, of which the bad one loses all (E. N. Gilbert, "Capacity
/// of a Burst-Noise Channel", 1960); it begins in the good state.
///
/// # Panics
/// Where `loss` is not at least 0 and below 1, or `mean_burst` below 1.
#[must_use]
pub fn bursty_loss(loss: f64, mean_burst: f64, packets: usize, seed: u64) -> Vec<bool> {
    assert!((0.0..1.0).contains(&loss), "a share of {loss}");
    assert!(mean_burst >= 1.0, "bursts of {mean_burst} packets");
    let recovery = 1.0 / mean_burst;
    let failure = recovery * loss / (1.0 - loss);
    let mut random = Random(seed);
    let mut bad = false;
    let mut next = || {
        bad = if bad { random.unit() >= recovery } else { random.unit() < failure };
        bad
    };
    (0..packets).map(|_| next()).collect()
}

/// Segmental signal-to-noise ratio: the mean over frames of the ratio of the original's power to
/// that of its difference from `repaired`, each within [`SEGMENT_DB`], in dB.
///
/// Counts the frames of `frame` samples that `chosen` says; silent ones and an incomplete last one
/// do not count. `None` where no frame does.
#[must_use]
pub fn segmental_snr_db(
    original: &[i16],
    repaired: &[i16],
    frame: usize,
    chosen: &[bool],
) -> Option<f64> {
    let pairs = original.chunks_exact(frame).zip(repaired.chunks_exact(frame)).zip(chosen);
    let heard = pairs.filter(|&((original, _), &chosen)| chosen && energy(original) > 0);
    mean(heard.map(|((original, repaired), _)| {
        let square = |(&a, &b): (&i16, &i16)| (f64::from(a) - f64::from(b)).powi(2);
        let noise: f64 = original.iter().zip(repaired).map(square).sum();
        let ratio = 10.0 * (energy(original) as f64 / noise).log10();
        ratio.clamp(SEGMENT_DB.0, SEGMENT_DB.1)
    }))
}

/// Log-spectral distance: the mean over frames of the root mean square over frequencies of the
/// difference of two power spectra in dB. 0 for the same sound, whatever its phases are.
///
/// The frames are those of [`segmental_snr_db`], each under a Hann window. Powers lower than 40 dB
/// below the mean of the original's frame count as that much.
#[must_use]
pub fn log_spectral_distance_db(
    original: &[i16],
    repaired: &[i16],
    frame: usize,
    chosen: &[bool],
) -> Option<f64> {
    let length = frame.next_power_of_two();
    let fft = Fft::new(length);
    let pairs = original.chunks_exact(frame).zip(repaired.chunks_exact(frame)).zip(chosen);
    let heard = pairs.filter(|&((original, _), &chosen)| chosen && energy(original) > 0);
    mean(heard.map(|((original, repaired), _)| {
        let (original, repaired) = (powers(&fft, length, original), powers(&fft, length, repaired));
        let mean_power = original.iter().sum::<f64>() / original.len() as f64;
        let floor = mean_power * 10_f64.powf(MASKED_DB / 10.0);
        let square = |(&a, &b): (&f64, &f64)| {
            (10.0 * (f64::max(a, floor) / f64::max(b, floor)).log10()).powi(2)
        };
        let sum: f64 = original.iter().zip(&repaired).map(square).sum();
        (sum / original.len() as f64).sqrt()
    }))
}

/// Powers of the positive frequencies, in an order of the transform's own.
fn powers(fft: &Fft, length: usize, samples: &[i16]) -> Vec<f64> {
    let mut data = vec![Complex::default(); length];
    for (n, (value, &sample)) in data.iter_mut().zip(samples).enumerate() {
        let weight = 0.5 - 0.5 * (TAU * (n as f64 + 0.5) / samples.len() as f64).cos();
        value.re = weight * f64::from(sample);
    }
    fft.forward(&mut data);
    // Of a real signal the negative frequencies repeat the positive ones: all may count.
    data.iter().map(|value| value.re * value.re + value.im * value.im).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, samples: usize) -> Vec<i16> {
        let mut random = Random(seed);
        (0..samples).map(|_| ((random.unit() - 0.5) * 20_000.0) as i16).collect()
    }

    #[test]
    fn a_loss_pattern_has_its_rate_and_its_bursts() {
        for (loss, burst) in [(0.05, 1.5), (0.1, 2.0), (0.2, 1.0)] {
            let lost = bursty_loss(loss, burst, 200_000, 1);
            let count = lost.iter().filter(|&&lost| lost).count() as f64;
            let begins = |pair: &&[bool]| !pair[0] && pair[1];
            let bursts = lost.windows(2).filter(begins).count() as f64;
            // 10,000 and more losses in bursts: a standard deviation of below 2 %.
            assert!((count / 200_000.0 / loss - 1.0).abs() < 0.06, "{loss}: {count}");
            // Bursts of one packet may follow each other, which is then one of more.
            let expected = if burst > 1.0 { burst } else { 1.0 / (1.0 - loss / (1.0 - loss)) };
            let mean = count / bursts;
            assert!((mean / expected - 1.0).abs() < 0.26, "{loss} {burst}: {mean}");
        }
        assert_eq!(bursty_loss(0.0, 2.0, 50, 3), [false; 50]);
        assert_eq!(bursty_loss(0.1, 2.0, 500, 3), bursty_loss(0.1, 2.0, 500, 3));
        assert_ne!(bursty_loss(0.1, 2.0, 500, 3), bursty_loss(0.1, 2.0, 500, 4));
    }

    #[test]
    fn the_ratio_of_a_known_difference_is_told() {
        // A tenth of the amplitude is added: 20 dB; the samples are multiples of 10.
        let original: Vec<i16> = noise(1, 1_600).into_iter().map(|s| s / 10 * 10).collect();
        let louder: Vec<i16> = original.iter().map(|s| s / 10 * 11).collect();
        let ratio = segmental_snr_db(&original, &louder, 160, &[true; 10]).unwrap();
        assert!((ratio - 20.0).abs() < 1e-9, "{ratio}");
        // Silence in place of a sound: the difference is the sound.
        let ratio = segmental_snr_db(&original, &[0; 1_600], 160, &[true; 10]).unwrap();
        assert!(ratio.abs() < 1e-9, "{ratio}");
    }

    #[test]
    fn the_ratio_of_a_frame_has_its_limits() {
        let original = noise(2, 480);
        let same = segmental_snr_db(&original, &original, 160, &[true; 3]);
        assert_eq!(same, Some(SEGMENT_DB.1));
        let faint: Vec<i16> = original.iter().map(|s| s / 100).collect();
        let wrong = segmental_snr_db(&faint, &original, 160, &[true; 3]);
        assert_eq!(wrong, Some(SEGMENT_DB.0));
    }

    #[test]
    fn only_chosen_frames_with_a_sound_count() {
        let mut original = noise(3, 480);
        original[160..320].fill(0);
        let mut repaired = original.clone();
        repaired[..320].fill(9);
        let snr = |chosen: &[bool]| segmental_snr_db(&original, &repaired, 160, chosen);
        let lsd = |chosen: &[bool]| log_spectral_distance_db(&original, &repaired, 160, chosen);
        assert_eq!(snr(&[false, true, true]), Some(35.0));
        assert_eq!(lsd(&[false, true, true]), Some(0.0));
        assert_eq!(snr(&[false, true, false]), None);
        assert_eq!(lsd(&[false, true, false]), None);
        assert_eq!(lsd(&[]), None);
        assert!(snr(&[true, false, false]).is_some_and(|ratio| ratio < 1.0));
    }

    #[test]
    fn a_level_is_a_spectral_distance_and_a_phase_is_none() {
        let original = noise(4, 1_600);
        let distance = |other: &[i16]| {
            log_spectral_distance_db(&original, other, 160, &[true; 10]).expect("frames")
        };
        // Half of the amplitude is 6.02 dB at every frequency, less what the floor covers.
        let half: Vec<i16> = original.iter().map(|s| s / 2).collect();
        assert!((distance(&half) - 6.02).abs() < 0.1, "{}", distance(&half));
        let negative: Vec<i16> = original.iter().map(|s| -s).collect();
        assert!(distance(&negative) < 1e-9, "{}", distance(&negative));
        // To silence it is as far as the floor is: 40 dB below the mean. A bin of noise is
        // exponentially distributed, 2.5 dB below the mean on average with a deviation of 5.6:
        // √(37.5² + 5.6²) = 37.9.
        assert!((distance(&[0; 1_600]) - 37.9).abs() < 1.0, "{}", distance(&[0; 1_600]));
    }
}
