use std::f64::consts::TAU;
use std::ops::RangeInclusive;

use super::{Spectrum, Tone, steps};
use crate::audio::SampleRate;

/// Level of a single tone that goes into a converter: 1 dB below full scale, as in AES17.
const TONE_DBFS: f64 = -1.0;

/// The tone of [`Converter::thd_n_db`]: the 1 kHz of AES17, whose period is no whole number of
/// samples at any usual rate, so that errors of rounding spread like noise.
const THD_N_HZ: f64 = 997.0;

/// What comes out in this time is not looked at: the converter settles.
const SETTLING_S: f64 = 0.25;

/// Frames in a second: the converter is fed with 20 ms at a time.
const FRAMES_PER_SECOND: u32 = 50;

/// Tones in a measurement of ripple, and in a stepped sweep over one band.
const MULTITONE: usize = 48;
const SWEEP: usize = 64;

/// How far from round frequencies a stepped sweep keeps, in Hz: a tone whose period is a whole number of
/// samples would gather its errors of rounding in a few lines, which could pass for images.
const OFF_GRID_HZ: f64 = 0.618_034;

/// An alias is looked for no closer to an end of the output's band than this, in Hz.
const MARGIN_HZ: f64 = 20.0;

/// The bands in which a converter between two rates is judged, in Hz.
#[derive(Clone, PartialEq, Debug)]
pub struct Bands {
    /// What must pass unchanged, and have neither images nor aliases.
    pub voice: RangeInclusive<f64>,
    /// Tones above it whose images count as those of the edge.
    pub edge_images: RangeInclusive<f64>,
    /// Where aliases beyond the voice count as those of the edge.
    pub edge_aliases: RangeInclusive<f64>,
}

impl Bands {
    /// 300–3,400, 3,500–3,800 and 3,400–4,000 Hz where the lower of the two rates is 8 kHz; the
    /// upper ends of all grow with the lower rate, the 300 Hz stay.
    #[must_use]
    pub fn between(from: SampleRate, to: SampleRate) -> Self {
        let scale = f64::from(from.hz().min(to.hz())) / 8_000.0;
        Self {
            voice: 300.0..=3_400.0 * scale,
            edge_images: 3_500.0 * scale..=3_800.0 * scale,
            edge_aliases: 3_400.0 * scale..=4_000.0 * scale,
        }
    }
}

/// What a converter does to audio, in dB.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Figures {
    /// The largest gain in [`Bands::voice`] less the smallest.
    pub ripple_db: f64,
    /// The strongest image of a tone in [`Bands::voice`] or alias into it, relative to the tone.
    pub images_db: f64,
    /// The same of [`Bands::edge_images`] and [`Bands::edge_aliases`].
    pub edge_images_db: f64,
    /// Distortion and noise beside a tone of 997 Hz and −1 dBFS. Rounding to 16 bits, before and
    /// after, alone makes −94.1 dB, or −97.1 dB where the converter takes out most of the first.
    pub thd_n_db: f64,
}

/// A rate converter under measurement: takes samples of one rate in frames of 20 ms, answers those
/// of another that are ready, and remembers the stream in between.
#[derive(Debug)]
pub struct Converter<F> {
    from: SampleRate,
    to: SampleRate,
    convert: F,
}

impl<F: FnMut(&[i16]) -> Vec<i16>> Converter<F> {
    /// The converter `convert`, from one rate to another.
    pub fn new(from: SampleRate, to: SampleRate, convert: F) -> Self {
        Self { from, to, convert }
    }

    /// All figures of the converter in `bands`.
    ///
    /// # Panics
    /// As all functions here: where the converter answers far fewer samples than are due.
    pub fn figures(&mut self, bands: &Bands) -> Figures {
        let images = self.worst_image_db(&bands.voice);
        let edge_images = self.worst_image_db(&bands.edge_images);
        Figures {
            ripple_db: self.ripple_db(&bands.voice),
            images_db: self.worst_alias_db(&bands.voice).map_or(images, |db| db.max(images)),
            edge_images_db: self
                .worst_alias_db(&bands.edge_aliases)
                .map_or(edge_images, |db| db.max(edge_images)),
            thd_n_db: self.thd_n_db(),
        }
    }

    /// The gain at each of `frequencies` (below half of both rates), in dB, by multitones.
    pub fn gains_db(&mut self, frequencies: &[f64]) -> Vec<f64> {
        let mut gains = Vec::with_capacity(frequencies.len());
        for group in frequencies.chunks(MULTITONE) {
            let tones = Tone::multitone(group, self.from, 0.9);
            let spectrum = self.spectrum(&tones);
            let gain =
                |tone: &Tone| spectrum.line_dbfs(tone.frequency_hz) - 20.0 * tone.amplitude.log10();
            gains.extend(tones.iter().map(gain));
        }
        gains
    }

    /// The largest gain in `band` less the smallest, in dB.
    pub fn ripple_db(&mut self, band: &RangeInclusive<f64>) -> f64 {
        let gains = self.gains_db(&steps(band, MULTITONE));
        let largest = gains.iter().copied().fold(f64::MIN, f64::max);
        largest - gains.iter().copied().fold(f64::MAX, f64::min)
    }

    /// The strongest line other than the tone itself when one of `frequency_hz` goes in, relative
    /// to it in dB: its image or alias, unless something else is stronger yet. The floor set by
    /// 16 bits is about −120 dB.
    pub fn spurious_db(&mut self, frequency_hz: f64) -> f64 {
        self.spurious_within(frequency_hz, None)
    }

    /// The strongest image of tones that sweep `band` (below half of both rates), in dB relative
    /// to the tone.
    pub fn worst_image_db(&mut self, band: &RangeInclusive<f64>) -> f64 {
        sweep(band).map(|frequency| self.spurious_db(frequency)).fold(f64::MIN, f64::max)
    }

    /// The strongest alias within the band `into` of tones that sweep all frequencies which fold
    /// into it, in dB relative to the tone. `None` where the rate does not fall.
    pub fn worst_alias_db(&mut self, into: &RangeInclusive<f64>) -> Option<f64> {
        let (from, to) = (f64::from(self.from.hz()), f64::from(self.to.hz()));
        let within = into.start().max(MARGIN_HZ)..=into.end().min(to / 2.0 - MARGIN_HZ);
        let last = from / 2.0 - MARGIN_HZ;
        let mut worst: Option<f64> = None;
        for fold in 1..=self.from.hz() / self.to.hz() {
            for target in sweep(&within) {
                let centre = f64::from(fold) * to;
                for frequency in [centre - target, centre + target] {
                    if (to / 2.0..=last).contains(&frequency) {
                        let alias = self.spurious_within(frequency, Some(into));
                        worst = Some(worst.map_or(alias, |worst| worst.max(alias)));
                    }
                }
            }
        }
        worst
    }

    /// Distortion and noise beside a tone of 997 Hz and −1 dBFS, relative to it in dB.
    pub fn thd_n_db(&mut self) -> f64 {
        self.spectrum(&[Tone::new(THD_N_HZ, TONE_DBFS)]).thd_n_db(THD_N_HZ)
    }

    /// Seconds from a pulse's going in to its coming out: those by which the stream is shifted, and
    /// those of audio that the converter holds back at most. That a frame must be full before it
    /// goes in is not counted.
    pub fn delay_s(&mut self) -> f64 {
        let (from, to) = (f64::from(self.from.hz()), f64::from(self.to.hz()));
        let silence = vec![0; self.frame_samples()];
        // A single sample could fall between those that remain; a raised cosine as wide as eight
        // samples of the lower rate cannot.
        let width = 8.0 * from / from.min(to);
        let middle = width.ceil();
        let pulse: Vec<i16> = (0..silence.len())
            .map(|n| (n as f64 - middle) / width)
            .map(|x| if x.abs() < 0.5 { 8_192.0 * (1.0 + (TAU * x).cos()) } else { 0.0 })
            .map(|value| value.round() as i16)
            .collect();
        let (mut fed, mut output) = (0, Vec::new());
        let (mut went_in, mut held_back) = (0.0, 0.0_f64);
        for n in 0..2 * FRAMES_PER_SECOND {
            let is_pulse = n == FRAMES_PER_SECOND;
            if is_pulse {
                went_in = (fed as f64 + middle) / from;
            }
            output.extend((self.convert)(if is_pulse { &pulse } else { &silence }));
            fed += silence.len();
            if f64::from(n) > SETTLING_S * f64::from(FRAMES_PER_SECOND) {
                held_back = held_back.max(fed as f64 / from - output.len() as f64 / to);
            }
        }
        place_of_peak(&output) / to - went_in + held_back
    }

    /// What comes out for the sum of `tones`.
    pub fn spectrum(&mut self, tones: &[Tone]) -> Spectrum {
        let needed = Spectrum::samples_at(self.to);
        let settling = (SETTLING_S * f64::from(self.to.hz())) as usize;
        let mut frame = vec![0; self.frame_samples()];
        let mut output = Vec::with_capacity(needed + settling + frame.len());
        let (mut fed, most) = (0, 4 * self.from.hz() as usize);
        while output.len() < needed + settling {
            assert!(fed < most, "{} samples came out of {fed}", output.len());
            Tone::fill(tones, self.from, fed, &mut frame);
            output.extend((self.convert)(&frame));
            fed += frame.len();
        }
        Spectrum::of(&output[settling..settling + needed], self.to)
    }

    fn spurious_within(&mut self, frequency_hz: f64, band: Option<&RangeInclusive<f64>>) -> f64 {
        let spectrum = self.spectrum(&[Tone::new(frequency_hz, TONE_DBFS)]);
        let all = 0.0..=spectrum.end_hz();
        // A tone beyond the output's band has no line of its own.
        let own = [frequency_hz];
        let own = if frequency_hz < spectrum.end_hz() { &own[..] } else { &[] };
        let strongest = spectrum.strongest(band.unwrap_or(&all), own);
        strongest.map_or(f64::MIN, |(_, level)| level - TONE_DBFS)
    }

    fn frame_samples(&self) -> usize {
        (self.from.hz() / FRAMES_PER_SECOND) as usize
    }
}

/// A stepped sweep over `band`, its lower end less than a Hertz up and its upper as much down.
fn sweep(band: &RangeInclusive<f64>) -> impl Iterator<Item = f64> + use<> {
    let inner = band.start() + OFF_GRID_HZ..=band.end() - OFF_GRID_HZ;
    steps(&inner, SWEEP).into_iter()
}

/// Where the parabola through the largest sample and its neighbours has its top.
fn place_of_peak(samples: &[i16]) -> f64 {
    let height = |n: usize| samples.get(n).map_or(0.0, |sample| f64::from(*sample).abs());
    let largest = (1..samples.len()).max_by(|&a, &b| height(a).total_cmp(&height(b)));
    let at = largest.unwrap_or(1);
    let (left, top, right) = (height(at - 1), height(at), height(at + 1));
    let bend = left - 2.0 * top + right;
    let shift = if bend == 0.0 { 0.0 } else { (left - right) / (2.0 * bend) };
    at as f64 + shift
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_1_SQRT_2, PI};

    use super::super::FULL_SCALE;
    use super::*;

    const LOW: SampleRate = SampleRate::HZ_8000;
    const HIGH: SampleRate = SampleRate::HZ_16000;

    /// `(previous + 2 · sample + next) / 4`, one sample late: |H| = cos²(π f / rate).
    fn raised_cosine() -> impl FnMut(&[i16]) -> Vec<f64> {
        let mut line = [0.0; 3];
        move |input| {
            let filter = |&sample: &i16| {
                line = [line[1], line[2], f64::from(sample)];
                (line[0] + 2.0 * line[1] + line[2]) / 4.0
            };
            input.iter().map(filter).collect()
        }
    }

    fn rounded(samples: impl IntoIterator<Item = f64>) -> Vec<i16> {
        samples.into_iter().map(|sample| sample.round() as i16).collect()
    }

    /// Doubles the rate with the straight line between samples, one input sample late.
    fn interpolate() -> impl FnMut(&[i16]) -> Vec<i16> {
        let mut last = 0;
        move |input| {
            let pair = |&sample: &i16| {
                let middle = f64::midpoint(f64::from(last), f64::from(sample));
                let pair = [f64::from(last), middle];
                last = sample;
                pair
            };
            rounded(input.iter().flat_map(pair))
        }
    }

    fn decibels(gain: f64) -> f64 {
        20.0 * gain.abs().log10()
    }

    #[test]
    fn the_gain_of_a_filter_is_its_closed_form() {
        let mut filter = raised_cosine();
        let mut converter = Converter::new(LOW, LOW, |input: &[i16]| rounded(filter(input)));
        let frequencies = steps(&(100.0..=3_600.0), 100);
        let gains = converter.gains_db(&frequencies);
        assert_eq!(gains.len(), 100);
        for (frequency, gain) in frequencies.iter().zip(gains) {
            let expected = decibels((PI * frequency / 8_000.0).cos().powi(2));
            assert!((gain - expected).abs() < 0.01, "{frequency} Hz: {gain} not {expected}");
        }
        let expected = decibels(((PI * 300.0 / 8_000.0).cos() / (PI * 0.425).cos()).powi(2));
        let ripple = converter.ripple_db(&(300.0..=3_400.0));
        assert!((ripple - expected).abs() < 0.01, "{ripple} not {expected}");
    }

    #[test]
    fn images_of_linear_interpolation_are_their_closed_form() {
        // Zeros in between and (1, 2, 1) / 2: of a tone f, the image at 8 kHz − f has
        // sin²(π f / 16 kHz) of its amplitude.
        let mut converter = Converter::new(LOW, HIGH, interpolate());
        for frequency in [1_000.3, 2_222.2, 3_400.0] {
            let expected = decibels((PI * frequency / 16_000.0).sin().powi(2));
            let image = converter.spurious_db(frequency);
            assert!((image - expected).abs() < 0.01, "{frequency} Hz: {image} not {expected}");
        }
        let worst = converter.worst_image_db(&(300.0..=3_400.0));
        assert!((worst - decibels((PI * 0.2125).sin().powi(2))).abs() < 0.01, "{worst}");
        assert_eq!(converter.worst_alias_db(&(300.0..=3_400.0)), None);
    }

    #[test]
    fn aliases_of_plain_decimation_are_their_closed_form() {
        let mut filter = raised_cosine();
        let decimate = |input: &[i16]| rounded(filter(input).into_iter().step_by(2));
        let mut converter = Converter::new(HIGH, LOW, decimate);
        // The tone that folds to 3,400 Hz, 4,600 Hz, is the least attenuated.
        let expected = decibels((PI * 4_600.0 / 16_000.0).cos().powi(2));
        let worst = converter.worst_alias_db(&(300.0..=3_400.0)).unwrap();
        assert!((worst - expected).abs() < 0.01, "{worst} not {expected}");
    }

    #[test]
    fn an_image_of_known_level_is_found() {
        // Noise of rounding in a lobe, −122 dBFS, adds up with the line's amplitude: by up to 0.02
        // dB at −71 dBFS, 0.07 at −81, 0.4 at −96; half as much again, as noise has peaks.
        for (level, tolerance) in [(-70.0, 0.03), (-80.0, 0.1), (-95.0, 0.6)] {
            // What goes in is 1 dB below full scale.
            let image = Tone::new(2_345.6, level + TONE_DBFS);
            let mut at = 0;
            // The gain makes all fractions of what goes in; without them a faint image would be lost
            // to rounding, all or nothing.
            let mut converter = Converter::new(LOW, LOW, |input: &[i16]| {
                let first = at;
                at += input.len();
                rounded((first..).zip(input).map(|(n, &sample)| {
                    FRAC_1_SQRT_2 * f64::from(sample) + FULL_SCALE * image.at(n, LOW)
                }))
            });
            let found = converter.spurious_db(1_000.3);
            assert!((found - level).abs() < tolerance, "{found} not {level}");
        }
    }

    #[test]
    fn a_copy_has_no_fault_but_its_rounding() {
        let mut copy = Converter::new(LOW, LOW, <[i16]>::to_vec);
        let figures = copy.figures(&Bands::between(LOW, LOW));
        assert!(figures.ripple_db < 1e-3, "{figures:?}");
        assert!(figures.images_db < -108.0 && figures.edge_images_db < -108.0, "{figures:?}");
        // Rounded once, when the tone was made.
        assert!((figures.thd_n_db + 97.09).abs() < 0.3, "{figures:?}");
        assert!(copy.delay_s().abs() < 1e-9, "{}", copy.delay_s());
    }

    #[test]
    fn a_delay_counts_what_shifts_the_stream_and_what_is_held_back() {
        let mut shift = Converter::new(LOW, HIGH, interpolate());
        assert!((shift.delay_s() - 1.0 / 8_000.0).abs() < 1e-9, "{}", shift.delay_s());
        // Two frames at a time: the first of them waits for a frame's time.
        let mut held = Vec::new();
        let mut pairs = Converter::new(LOW, LOW, |input: &[i16]| {
            held.extend_from_slice(input);
            if held.len() == 320 { std::mem::take(&mut held) } else { Vec::new() }
        });
        assert!((pairs.delay_s() - 0.02).abs() < 1e-9, "{}", pairs.delay_s());
    }

    #[test]
    fn bands_grow_with_the_lower_rate() {
        let bands = Bands::between(SampleRate::HZ_48000, LOW);
        assert_eq!((bands.voice, bands.edge_aliases), (300.0..=3_400.0, 3_400.0..=4_000.0));
        let bands = Bands::between(HIGH, SampleRate::HZ_24000);
        assert_eq!((bands.voice, bands.edge_images), (300.0..=6_800.0, 7_000.0..=7_600.0));
    }

    #[test]
    #[should_panic(expected = "samples came out of")]
    fn a_converter_that_answers_nothing_is_a_fault() {
        Converter::new(LOW, LOW, |_: &[i16]| Vec::new()).thd_n_db();
    }
}
