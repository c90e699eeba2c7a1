//! Whether somebody has been silent for a while: level against a threshold, nothing cleverer. For
//! processors of one's own that wait for a pause.

use std::time::Duration;

use super::level::{SILENCE_DBOV, energy};
use crate::audio::SampleRate;

/// Windows in a second.
const WINDOWS: u32 = 100;

/// Tells whether a stream has been below a level for a given time.
///
/// The stream is cut into windows of 10 ms from its first sample on, whatever pieces it comes in. A
/// window is silent where its root mean square is below the threshold; one that is not begins the
/// time anew.
#[derive(Clone, Debug)]
pub struct SilenceDetector {
    /// Energy of a window at the threshold.
    threshold: f64,
    /// Samples of a window.
    window: usize,
    /// Silent windows in a row that are asked for.
    required: u32,
    /// The window at work: its samples and their energy.
    samples: usize,
    energy: u64,
    /// Silent windows in a row.
    silent: u32,
}

impl SilenceDetector {
    /// A detector of `min_duration` below `threshold_dbov` at `rate`, which has heard nothing.
    ///
    /// The threshold is at least −127 dBov, where only digital silence is below it; the duration is
    /// at least 10 ms and is rounded up to whole windows.
    #[must_use]
    pub fn new(threshold_dbov: f64, rate: SampleRate, min_duration: Duration) -> Self {
        let window = rate.hz() / WINDOWS;
        let mean_square = 10_f64.powf(threshold_dbov.max(SILENCE_DBOV) / 10.0) * 32_768_f64.powi(2);
        let windows = min_duration.as_nanos().div_ceil(1_000_000_000 / u128::from(WINDOWS));
        Self {
            threshold: mean_square * f64::from(window),
            window: window as usize,
            required: u32::try_from(windows).unwrap_or(u32::MAX).max(1),
            samples: 0,
            energy: 0,
            silent: 0,
        }
    }

    /// Takes the next samples of the stream; answers whether the latest `min_duration` was silent,
    /// up to the last whole window.
    pub fn push(&mut self, mut samples: &[i16]) -> bool {
        while !samples.is_empty() {
            let count = samples.len().min(self.window - self.samples);
            let (piece, rest) = samples.split_at(count);
            self.energy += energy(piece);
            self.samples += count;
            if self.samples == self.window {
                self.close_window();
            }
            samples = rest;
        }
        self.silent >= self.required
    }

    /// For how long the stream has been silent, in whole windows.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        Duration::from_secs(1) / WINDOWS * self.silent
    }

    fn close_window(&mut self) {
        let silent = (self.energy as f64) < self.threshold;
        self.silent = if silent { self.silent.saturating_add(1) } else { 0 };
        self.samples = 0;
        self.energy = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::tone::Sine;

    const RATE: SampleRate = SampleRate::HZ_8000;

    fn detector(min_ms: u64) -> SilenceDetector {
        SilenceDetector::new(-40.0, RATE, Duration::from_millis(min_ms))
    }

    /// A tone of this level, in dBov.
    fn tone(dbov: f64, samples: usize) -> Vec<i16> {
        let mut tone = vec![0; samples];
        Sine::new(1000.0, RATE, 10_f64.powf((dbov + 3.0103) / 20.0)).fill(&mut tone);
        tone
    }

    #[test]
    fn silence_is_told_with_the_window_that_completes_it() {
        let mut detector = detector(200);
        assert!(!detector.push(&[0; 1599]));
        assert!(detector.push(&[0; 1]));
        assert!(detector.push(&[]));
        assert_eq!(detector.silent_for(), Duration::from_millis(200));
    }

    #[test]
    fn the_threshold_is_the_root_mean_square() {
        // A tenth of a decibel either way; rounding to whole samples moves this level by less.
        assert!(detector(100).push(&tone(-40.1, 800)));
        assert!(!detector(100).push(&tone(-39.9, 800)));
    }

    #[test]
    fn a_sound_begins_the_time_anew() {
        let mut detector = detector(100);
        assert!(detector.push(&[0; 800]));
        assert!(!detector.push(&tone(-20.0, 80)));
        assert!(!detector.push(&[0; 799]));
        assert!(detector.push(&[0; 1]));
    }

    #[test]
    fn how_the_stream_is_cut_does_not_matter() {
        let mut stream = vec![0; 900];
        stream.extend(tone(-30.0, 333));
        stream.extend(vec![3; 2000]);
        stream.extend(tone(-30.0, 41));
        stream.extend(vec![0; 1500]);
        // One sample at a time, as it is defined.
        let mut reference = detector(100);
        let told: Vec<bool> = stream.iter().map(|&sample| reference.push(&[sample])).collect();
        assert!(told.contains(&true) && told.contains(&false));
        for size in [2, 7, 80, 81, 160, 1000, stream.len()] {
            let mut detector = detector(100);
            let mut end = 0;
            for piece in stream.chunks(size) {
                end += piece.len();
                assert_eq!(detector.push(piece), told[end - 1], "pieces of {size}, at {end}");
            }
        }
    }

    #[test]
    fn at_the_floor_only_digital_silence_is_silent() {
        let floor = || SilenceDetector::new(-999.0, RATE, Duration::ZERO);
        assert!(floor().push(&[0; 80]));
        let mut faint = [0; 80];
        faint[7] = 1;
        assert!(!floor().push(&faint));
        assert!(!floor().push(&[0; 79]), "a duration of zero is one window");
    }

    #[test]
    fn every_rate_has_windows_of_ten_milliseconds() {
        for rate in SampleRate::ALL {
            let mut detector = SilenceDetector::new(-40.0, rate, Duration::from_millis(15));
            let second = vec![0; rate.hz() as usize];
            assert!(!detector.push(&second[..second.len() / 100 * 2 - 1]));
            assert!(detector.push(&second[..1]), "20 ms, the next whole windows after 15");
            detector.push(&second);
            assert_eq!(detector.silent_for(), Duration::from_millis(1020));
        }
    }
}
