//! G.711 µ-law and A-law, bit-exact with the tool library of ITU-T G.191.
//!
//! µ-law keeps the upper 14 bits of a sample, A-law the upper 13. A negative sample's magnitude is
//! its one's complement, so that −1 is the mirror of 0 and no code is lost.
//!
//! Each function does as many samples as both slices hold, answers how many, and does not
//! allocate. None has a branch or a table that depends on the samples, so that a frame costs the
//! same whatever is in it and in the caches.

use super::simd::Level;

/// Moves the borders of µ-law's segments to powers of two, in units of 14 bits.
const ULAW_BIAS: u16 = 33;
/// Largest biased magnitude of µ-law, 13 bits; beyond it the code clips.
const ULAW_CLIP: u16 = 0x1fff;
/// A-law codes have every other bit turned over, to put transitions on a silent line.
const ALAW_TOGGLE: u8 = 0x55;
/// The sign bit of a code: set for a sample of 0 or more, in both laws.
const POSITIVE: u8 = 0x80;
/// What an f32 adds to its exponent.
const FLOAT_BIAS: u32 = 127;

/// Writes the µ-law codes of `src` into `dst`; answers the number of samples.
pub fn ulaw_encode(src: &[i16], dst: &mut [u8]) -> usize {
    ulaw_encode_at(Level::best(), src, dst)
}

/// [`ulaw_encode`] by the loop of that level.
pub fn ulaw_encode_at(level: Level, src: &[i16], dst: &mut [u8]) -> usize {
    level.map(src, dst, ulaw_compress)
}

/// Writes the samples of the µ-law codes `src` into `dst`; answers the number of samples.
pub fn ulaw_decode(src: &[u8], dst: &mut [i16]) -> usize {
    ulaw_decode_at(Level::best(), src, dst)
}

/// [`ulaw_decode`] by the loop of that level.
pub fn ulaw_decode_at(level: Level, src: &[u8], dst: &mut [i16]) -> usize {
    level.map(src, dst, ulaw_expand)
}

/// Writes the A-law codes of `src` into `dst`; answers the number of samples.
pub fn alaw_encode(src: &[i16], dst: &mut [u8]) -> usize {
    alaw_encode_at(Level::best(), src, dst)
}

/// [`alaw_encode`] by the loop of that level.
pub fn alaw_encode_at(level: Level, src: &[i16], dst: &mut [u8]) -> usize {
    level.map(src, dst, alaw_compress)
}

/// Writes the samples of the A-law codes `src` into `dst`; answers the number of samples.
pub fn alaw_decode(src: &[u8], dst: &mut [i16]) -> usize {
    alaw_decode_at(Level::best(), src, dst)
}

/// [`alaw_decode`] by the loop of that level.
pub fn alaw_decode_at(level: Level, src: &[u8], dst: &mut [i16]) -> usize {
    level.map(src, dst, alaw_expand)
}

/// Magnitude of `sample` (one's complement where negative), and the sign bit of its code.
#[inline(always)]
fn fold(sample: i16) -> (u16, u8) {
    let complement = sample >> 15;
    ((sample ^ complement).cast_unsigned(), !complement.cast_unsigned() as u8 & POSITIVE)
}

/// A value with its sign, in a code of either law whose sign bit is told.
#[inline(always)]
fn unfold(magnitude: i16, negative: bool) -> i16 {
    let complement = -i16::from(negative);
    (magnitude ^ complement) - complement
}

/// Segment and step of a magnitude of `2^base` or more, as the low seven bits of a code: the
/// segment is its exponent as a float less `base`, the step is the top of its mantissa.
#[inline(always)]
fn segment_and_step(magnitude: u16, base: u32) -> u8 {
    let exponent_and_step = f32::from(magnitude).to_bits() >> (f32::MANTISSA_DIGITS - 1 - 4);
    exponent_and_step.wrapping_sub((FLOAT_BIAS + base) << 4) as u8
}

/// The µ-law code of a sample.
#[inline(always)]
fn ulaw_compress(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    let biased = ((magnitude >> 2) + ULAW_BIAS).min(ULAW_CLIP);
    // Codes are sent inverted; the sign bit already is.
    sign | (!segment_and_step(biased, 5) & 0x7f)
}

/// The A-law code of a sample.
#[inline(always)]
fn alaw_compress(sample: i16) -> u8 {
    let (magnitude, sign) = fold(sample);
    let magnitude = magnitude >> 4;
    // The lowest two segments share one step, so that their codes are the magnitude itself.
    let linear = magnitude as u8;
    let code = if magnitude < 16 { linear } else { segment_and_step(magnitude, 3) };
    (sign | code) ^ ALAW_TOGGLE
}

/// The middle of a µ-law code's interval.
#[inline(always)]
fn ulaw_expand(code: u8) -> i16 {
    let inverted = !code;
    let segment = (inverted >> 4) & 0x07;
    let step = i16::from(inverted & 0x0f);
    // One half step above the interval's lower border, in units of 16 bits.
    let magnitude = (((2 * step + 33) << segment) - ULAW_BIAS.cast_signed()) << 2;
    unfold(magnitude, code & POSITIVE == 0)
}

/// The middle of an A-law code's interval.
#[inline(always)]
fn alaw_expand(code: u8) -> i16 {
    let toggled = code ^ ALAW_TOGGLE;
    let segment = (toggled >> 4) & 0x07;
    let step = i16::from(toggled & 0x0f);
    let (lowest, shift) = if segment == 0 { (1, 1) } else { (33, segment) };
    unfold((2 * step + lowest) << 2 << shift, code & POSITIVE == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A law as G.711 tabulates it: the decision values of one polarity, in ascending order.
    struct Law {
        /// `borders[n]..borders[n + 1]` is the interval of character signal `n`.
        borders: Vec<i32>,
        /// Units of a 16-bit sample in one unit of the table.
        units_of_16_bits: i32,
        /// Code of character signal `n`, by polarity.
        code: fn(positive: bool, n: u8) -> u8,
    }

    /// G.711 table 2a: values up to 8159, one interval of 1, 15 of 2, then 16 of 4, 8, … 256.
    fn ulaw() -> Law {
        let mut widths = vec![1];
        widths.extend([2; 15]);
        for segment in 1..8 {
            widths.extend([2 << segment; 16]);
        }
        Law {
            borders: borders(&widths),
            units_of_16_bits: 4,
            code: |positive, n| if positive { 0xff - n } else { 0x7f - n },
        }
    }

    /// G.711 table 1a: values up to 4096, 32 intervals of 2, then 16 of 4, 8, … 128. Every other
    /// bit of a character signal is inverted.
    fn alaw() -> Law {
        let mut widths = vec![2; 32];
        for segment in 1..7 {
            widths.extend([2 << segment; 16]);
        }
        Law {
            borders: borders(&widths),
            units_of_16_bits: 8,
            code: |positive, n| (if positive { 0x80 } else { 0 } + n) ^ 0x55,
        }
    }

    fn borders(widths: &[i32]) -> Vec<i32> {
        assert_eq!(widths.len(), 128);
        let mut borders = vec![0];
        for width in widths {
            borders.push(borders[borders.len() - 1] + width);
        }
        borders
    }

    impl Law {
        fn encode(&self, sample: i16) -> u8 {
            let sample = i32::from(sample);
            let positive = sample >= 0;
            let magnitude = if positive { sample } else { -1 - sample } / self.units_of_16_bits;
            let n = (1..128).filter(|&n| self.borders[n] <= magnitude).count();
            (self.code)(positive, u8::try_from(n).unwrap())
        }

        /// The middle of each interval; µ-law's first one is centred on 0.
        fn decode(&self, code: u8) -> i16 {
            let (positive, n) = (0..=127)
                .flat_map(|n| [(true, n), (false, n)])
                .find(|&(positive, n)| (self.code)(positive, n) == code)
                .unwrap();
            let n = usize::from(n);
            let (low, high) = (self.borders[n], self.borders[n + 1]);
            let doubled = if high - low == 1 { 0 } else { low + high };
            let magnitude = doubled * self.units_of_16_bits / 2;
            i16::try_from(if positive { magnitude } else { -magnitude }).unwrap()
        }
    }

    type Encode = fn(Level, &[i16], &mut [u8]) -> usize;
    type Decode = fn(Level, &[u8], &mut [i16]) -> usize;

    fn laws() -> [(Law, Encode, Decode); 2] {
        [(ulaw(), ulaw_encode_at, ulaw_decode_at), (alaw(), alaw_encode_at, alaw_decode_at)]
    }

    #[test]
    fn the_reference_ends_where_the_standard_does() {
        assert_eq!(ulaw().borders[128], 8159);
        assert_eq!(alaw().borders[128], 4096);
    }

    #[test]
    fn all_samples_encode_as_the_decision_values_say_at_every_level() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for (law, encode, _) in laws() {
            let expected: Vec<u8> = samples.iter().map(|&sample| law.encode(sample)).collect();
            for level in Level::available() {
                let mut codes = vec![0; samples.len()];
                assert_eq!(encode(level, &samples, &mut codes), samples.len());
                assert!(codes == expected, "{level:?}");
            }
        }
    }

    #[test]
    fn all_codes_decode_to_the_middle_of_their_interval_and_back_at_every_level() {
        let codes: Vec<u8> = (0..=255).collect();
        let mut samples = [0; 256];
        let mut back = [0; 256];
        for (law, encode, decode) in laws() {
            for level in Level::available() {
                assert_eq!(decode(level, &codes, &mut samples), 256);
                encode(level, &samples, &mut back);
                for ((&code, &sample), &again) in codes.iter().zip(&samples).zip(&back) {
                    assert_eq!(sample, law.decode(code), "{code:#04x} {level:?}");
                    // µ-law's negative zero is 0, whose code is the positive one.
                    let expected = if sample == 0 { code | 0x80 } else { code };
                    assert_eq!(again, expected, "{code:#04x} {level:?}");
                }
            }
        }
    }

    #[test]
    fn the_ends_and_the_middle_have_their_known_codes() {
        let samples = [0, -1, i16::MAX, i16::MIN];
        let mut codes = [0; 4];
        ulaw_encode(&samples, &mut codes);
        assert_eq!(codes, [0xff, 0x7f, 0x80, 0x00]);
        alaw_encode(&samples, &mut codes);
        assert_eq!(codes, [0xd5, 0x55, 0xaa, 0x2a]);
        let mut ends = [0; 2];
        ulaw_decode(&[0x80, 0x00], &mut ends);
        assert_eq!(ends, [32_124, -32_124]);
        alaw_decode(&[0xaa, 0x2a], &mut ends);
        assert_eq!(ends, [32_256, -32_256]);
    }

    #[test]
    fn the_shorter_slice_decides() {
        let mut codes = [1; 4];
        assert_eq!(ulaw_encode(&[0, 0], &mut codes), 2);
        assert_eq!(codes, [0xff, 0xff, 1, 1]);
        let mut samples = [1; 2];
        assert_eq!(alaw_decode(&[0xd5; 5], &mut samples), 2);
        assert_eq!(samples, [8, 8]);
    }
}
