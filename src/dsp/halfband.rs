//! Halving a sample rate: a half-band low-pass filter that keeps every second sample.

/// Taps of the filter: odd, and of the form 4n + 3, so that a half-band's zeros fall into place.
const TAPS: usize = 63;

/// Shape of the Kaiser window: 72 dB of stop-band attenuation by Kaiser's formula
/// 0.1102 · (A − 8.7) (Oppenheim and Schafer, Discrete-Time Signal Processing, section 7.5.3).
const KAISER_BETA: f64 = 0.1102 * (72.0 - 8.7);

/// Turns a stream into one of half its sample rate.
///
/// A linear-phase FIR filter of 63 taps, designed by the window method. From 16 kHz to 8 kHz it
/// passes up to 3.4 kHz within 0.1 dB, and what would fold into that band is 70 dB down. It keeps
/// its state from call to call: how the stream is cut does not matter.
#[derive(Clone, Debug)]
pub struct HalfBand {
    taps: [f32; TAPS],
    /// The latest samples, oldest first: the filter's memory, then what is being worked on.
    line: Vec<f32>,
    /// The next output is due at the second of the next two inputs.
    odd: bool,
}

impl Default for HalfBand {
    fn default() -> Self {
        Self::new()
    }
}

impl HalfBand {
    /// A filter that has heard silence so far.
    #[must_use]
    pub fn new() -> Self {
        Self { taps: design(), line: vec![0.0; TAPS - 1], odd: false }
    }

    /// Delay of the filter, in input samples: an impulse that goes in at `n` has its peak in the
    /// output that belongs to `n + output_delay()`.
    #[must_use]
    pub const fn output_delay() -> usize {
        TAPS / 2
    }

    /// Filters `input` into `output`, which is cleared before: one sample for every two.
    ///
    /// Allocates only while `input` is longer than ever before.
    pub fn process(&mut self, input: &[i16], output: &mut Vec<i16>) {
        output.clear();
        self.line.extend(input.iter().map(|&sample| f32::from(sample)));
        let first = usize::from(self.odd);
        for window in self.line.windows(TAPS).skip(first).step_by(2) {
            let sum: f32 = window.iter().zip(&self.taps).map(|(sample, tap)| sample * tap).sum();
            // Saturates: a full-scale square wave overshoots when it is filtered.
            output.push(sum.round() as i16);
        }
        self.odd ^= input.len() % 2 == 1;
        self.line.drain(..input.len());
    }
}

/// The ideal half-band's impulse response under a Kaiser window, scaled to unity at 0 Hz.
fn design() -> [f32; TAPS] {
    let centre = (TAPS / 2) as f64;
    let mut taps = [0.0; TAPS];
    for (n, tap) in taps.iter_mut().enumerate() {
        let x = n as f64 - centre;
        let angle = std::f64::consts::FRAC_PI_2 * x;
        let ideal = if x == 0.0 { 0.5 } else { 0.5 * angle.sin() / angle };
        let edge = x / (centre + 1.0);
        *tap = ideal * bessel_i0(KAISER_BETA * (1.0 - edge * edge).sqrt());
    }
    let sum: f64 = taps.iter().sum();
    taps.map(|tap| (tap / sum) as f32)
}

/// Modified Bessel function of the first kind and order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..64 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SampleRate;
    use crate::dsp::level::rms_dbov;
    use crate::dsp::tone::Sine;

    /// Level of a tone behind the filter against the level before it, in dB.
    fn gain_db(hz: f64) -> f64 {
        let mut input = vec![0; 16_000];
        Sine::new(hz, SampleRate::HZ_16000, 16_000.0).fill(&mut input);
        let mut output = Vec::new();
        HalfBand::new().process(&input, &mut output);
        rms_dbov(&output[100..]) - rms_dbov(&input)
    }

    #[test]
    fn the_telephone_band_passes_within_a_tenth_of_a_decibel() {
        for hz in (100..=3_400).step_by(100) {
            let gain = gain_db(f64::from(hz));
            assert!(gain.abs() < 0.1, "{hz} Hz: {gain:.3} dB");
        }
    }

    #[test]
    fn what_would_fold_into_the_telephone_band_is_70_db_down() {
        for hz in (4_600..8_000).step_by(100) {
            let gain = gain_db(f64::from(hz));
            assert!(gain < -70.0, "{hz} Hz: {gain:.1} dB");
        }
    }

    #[test]
    fn an_impulse_peaks_at_exactly_the_output_delay() {
        for at in [100, 101] {
            let mut input = vec![0; 400];
            input[at] = 20_000;
            let mut output = Vec::new();
            HalfBand::new().process(&input, &mut output);
            // Output m belongs to input 2 m. An impulse between two outputs peaks in both alike.
            let peak = output.iter().map(|s| s.abs()).max().unwrap();
            let peaks: Vec<_> = (0..output.len()).filter(|&m| output[m].abs() == peak).collect();
            let expected = at + HalfBand::output_delay();
            if expected.is_multiple_of(2) {
                assert_eq!(peaks, [expected / 2]);
            } else {
                assert_eq!(peaks, [expected / 2, expected / 2 + 1]);
            }
        }
    }

    #[test]
    fn how_the_stream_is_cut_does_not_matter() {
        let mut input = vec![0; 4_000];
        Sine::new(997.0, SampleRate::HZ_16000, 20_000.0).fill(&mut input);
        let mut whole = Vec::new();
        HalfBand::new().process(&input, &mut whole);
        for size in [1, 2, 3, 7, 160, 161, 320] {
            let (mut filter, mut piece, mut pieces) = (HalfBand::new(), Vec::new(), Vec::new());
            for chunk in input.chunks(size) {
                filter.process(chunk, &mut piece);
                pieces.extend_from_slice(&piece);
            }
            assert_eq!(pieces, whole, "chunks of {size}");
        }
    }
}
