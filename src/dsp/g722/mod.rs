//! ITU-T G.722 (11/88) at 64 kbit/s, mode 1: audio of 16 kHz in one byte per two samples.
//!
//! Codes stand as RFC 3551 section 4.5.2 has them on the wire: two bits of the higher sub-band,
//! then six of the lower one. The RTP clock of G.722 is 8 kHz all the same. All arithmetic is that
//! of the standard in whole numbers, limits included.
//!
//! Other codecs differ at the limits only: some do not limit the sub-bands after the transmit filter
//! (block LIMIT), or the zeros' prediction after each addition, as the tool of ITU-T G.191 does.
//!
//! Nothing here allocates. State is kept from call to call: how the stream is cut does not matter.

mod band;
#[cfg(test)]
mod definition;
mod predictor;
mod qmf;
mod tables;
mod zeros;
#[cfg(target_arch = "x86_64")]
mod zeros_sse2;

use band::{Higher, Lower};
use qmf::BLOCK;

/// Samples at 16 kHz by which what was encoded and decoded is later than the original: the delay of
/// both filters together.
pub const ROUND_TRIP_DELAY: usize = 22;

/// Samples → codes.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    filter: qmf::Transmit,
    lower: Lower,
    higher: Higher,
}

impl Encoder {
    /// An encoder that has heard silence so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Encodes `samples` (16 kHz) into `codes`, one byte per two samples; answers the number of
    /// samples used: an even number, as many as both slices hold.
    pub fn encode(&mut self, samples: &[i16], codes: &mut [u8]) -> usize {
        let (pairs, _) = samples.as_chunks::<2>();
        let mut bands = [[0; 2]; BLOCK];
        let count = pairs.len().min(codes.len());
        for (pairs, codes) in pairs[..count].chunks(BLOCK).zip(codes.chunks_mut(BLOCK)) {
            self.filter.process(pairs, &mut bands);
            for (code, &[lower, higher]) in codes.iter_mut().zip(&bands[..pairs.len()]) {
                *code = self.higher.encode(higher) << 6 | self.lower.encode(lower);
            }
        }
        2 * count
    }
}

/// Codes → samples.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    filter: qmf::Receive,
    lower: Lower,
    higher: Higher,
}

impl Decoder {
    /// A decoder that has heard silence so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `codes` into `samples` (16 kHz), two per byte; answers the number of samples: an even
    /// number, as many as both slices hold.
    pub fn decode(&mut self, codes: &[u8], samples: &mut [i16]) -> usize {
        let (pairs, _) = samples.as_chunks_mut::<2>();
        let mut bands = [[0; 2]; BLOCK];
        let count = pairs.len().min(codes.len());
        for (codes, pairs) in codes[..count].chunks(BLOCK).zip(pairs.chunks_mut(BLOCK)) {
            for (bands, &code) in bands.iter_mut().zip(codes) {
                *bands = [self.lower.decode(code), self.higher.decode(code >> 6)];
            }
            self.filter.process(&bands, &mut pairs[..codes.len()]);
        }
        2 * count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::SampleRate;
    use crate::dsp::level::rms_dbov;
    use crate::dsp::tone::Sine;

    fn encode(samples: &[i16]) -> Vec<u8> {
        let mut codes = vec![0; samples.len() / 2];
        assert_eq!(Encoder::new().encode(samples, &mut codes), samples.len() / 2 * 2);
        codes
    }

    fn decode(codes: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; 2 * codes.len()];
        assert_eq!(Decoder::new().decode(codes, &mut samples), samples.len());
        samples
    }

    fn tone(hz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        let mut tone = vec![0; samples];
        Sine::new(hz, SampleRate::HZ_16000, amplitude).fill(&mut tone);
        tone
    }

    /// Numbers of 32 bits without a pattern.
    fn chance(seed: u64) -> impl Iterator<Item = u32> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 32) as u32
        })
    }

    #[test]
    fn the_limits_of_sixteen_bits_are_kept_as_the_definition_keeps_them() {
        let noise: Vec<i16> = chance(1).take(20_000).map(|value| (value >> 16) as i16).collect();
        let quiet: Vec<i16> = noise.iter().map(|sample| sample >> 9).collect();
        let mut signals = vec![noise, quiet];
        for half in [1, 3, 7, 50, 2000] {
            let sign = |n: usize| if (n / half).is_multiple_of(2) { i16::MAX } else { i16::MIN };
            signals.push((0..20_000).map(sign).collect());
        }
        for hz in [50.0, 300.0, 1000.0, 3900.0, 4100.0, 7900.0] {
            signals.push(tone(hz, 1.0, 20_000));
        }
        for (n, signal) in signals.iter().enumerate() {
            let codes = encode(signal);
            assert!(codes == definition::encode(signal), "signal {n}");
            assert!(decode(&codes) == definition::decode(&codes), "signal {n}");
        }
    }

    #[test]
    fn streams_that_no_encoder_sends_are_decoded_as_the_definition_says() {
        // One code for a long time drives the predictor to its limits, the next one beyond them.
        let mut codes = Vec::new();
        for value in chance(2).take(3000) {
            let [code, length, ..] = value.to_be_bytes();
            codes.extend(std::iter::repeat_n(code, 1 << (length % 10)));
        }
        let samples = decode(&codes);
        assert!(samples.contains(&i16::MAX) && samples.contains(&i16::MIN));
        assert!(samples == definition::decode(&codes));
    }

    #[test]
    fn silence_stays_below_minus_87_dbov() {
        // The quantiser has no zero: the smallest steps of both bands remain, at most 4 together.
        let samples = decode(&encode(&[0; 16_000]));
        assert!(samples.iter().all(|sample| sample.unsigned_abs() <= 4));
        assert!(rms_dbov(&samples) < -87.0, "{}", rms_dbov(&samples));
    }

    #[test]
    fn a_tone_keeps_its_distance_from_what_the_codec_adds() {
        // Six bits below 4 kHz, two above. Measured: 47.7, 41.3, 21.9 and 24.5 dB.
        for (hz, least_db) in [(1000.0, 47.0), (3000.0, 41.0), (5000.0, 21.5), (6800.0, 24.0)] {
            let tone = tone(hz, 0.5, 16_000);
            let back = decode(&encode(&tone));
            let pairs = back[1000..].iter().zip(&tone[1000 - ROUND_TRIP_DELAY..]);
            let errors: Vec<i16> = pairs.map(|(heard, said)| heard - said).collect();
            let distance = rms_dbov(&tone) - rms_dbov(&errors);
            assert!(distance > least_db, "{hz} Hz: {distance:.1} dB");
        }
    }

    #[test]
    fn an_impulse_peaks_at_exactly_the_round_trip_delay() {
        for at in [1000, 1001] {
            let mut impulse = vec![0; 2000];
            impulse[at] = 20_000;
            let back = decode(&encode(&impulse));
            let peak = (0..back.len()).max_by_key(|&n| back[n].unsigned_abs());
            assert_eq!(peak, Some(at + ROUND_TRIP_DELAY));
        }
    }

    #[test]
    fn the_shorter_slice_decides_and_an_odd_sample_is_left_alone() {
        let samples = tone(700.0, 0.5, 7);
        let mut codes = [9; 4];
        assert_eq!(Encoder::new().encode(&samples, &mut codes), 6);
        assert_eq!((&codes[..3], codes[3]), (&encode(&samples)[..], 9));
        assert_eq!(Encoder::new().encode(&samples, &mut codes[..2]), 4);
        let mut back = [99; 5];
        assert_eq!(Decoder::new().decode(&codes, &mut back), 4);
        assert_eq!((&back[..4], back[4]), (&decode(&codes[..2])[..], 99));
        assert_eq!(Decoder::new().decode(&codes[..1], &mut back), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_as_the_definition_says(
            codes in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            prop_assert_eq!(decode(&codes), definition::decode(&codes));
        }

        #[test]
        fn any_samples_are_encoded_as_the_definition_says(
            samples in prop::collection::vec(any::<i16>(), 0..2000),
        ) {
            prop_assert_eq!(encode(&samples), definition::encode(&samples));
        }

        #[test]
        fn how_the_stream_is_cut_does_not_matter(
            samples in prop::collection::vec(any::<i16>(), 2000),
            cuts in prop::collection::vec(1_usize..400, 1..20),
        ) {
            let whole = encode(&samples);
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
            let (mut codes, mut back) = (vec![0; 1000], vec![0; 2000]);
            let mut done = 0;
            for cut in cuts.iter().cycle() {
                let end = (done + cut).min(1000);
                encoder.encode(&samples[2 * done..2 * end], &mut codes[done..end]);
                decoder.decode(&codes[done..end], &mut back[2 * done..2 * end]);
                done = end;
                if done == 1000 {
                    break;
                }
            }
            prop_assert_eq!(&codes, &whole);
            prop_assert_eq!(back, decode(&whole));
        }
    }
}
