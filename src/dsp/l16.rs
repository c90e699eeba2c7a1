//! 16-bit samples and their bytes: L16 is big-endian (RFC 3551 section 4.5.11), as Asterisk's
//! `slin` is over RTP; over AudioSocket `slin` is little-endian.
//!
//! Each function does as many samples as both slices hold and answers how many. A last odd byte is
//! left alone.

use super::simd::Level;

/// Reads big-endian samples from `src` into `dst`; answers the number of samples.
pub fn decode_be(src: &[u8], dst: &mut [i16]) -> usize {
    decode_be_at(Level::best(), src, dst)
}

/// Reads little-endian samples from `src` into `dst`; answers the number of samples.
pub fn decode_le(src: &[u8], dst: &mut [i16]) -> usize {
    decode_le_at(Level::best(), src, dst)
}

/// Writes `src` big-endian into `dst`; answers the number of samples (half the bytes).
pub fn encode_be(src: &[i16], dst: &mut [u8]) -> usize {
    encode_be_at(Level::best(), src, dst)
}

/// Writes `src` little-endian into `dst`; answers the number of samples (half the bytes).
pub fn encode_le(src: &[i16], dst: &mut [u8]) -> usize {
    encode_le_at(Level::best(), src, dst)
}

/// [`decode_be`] by the loop of that level.
pub fn decode_be_at(level: Level, src: &[u8], dst: &mut [i16]) -> usize {
    level.map(src.as_chunks().0, dst, read_be)
}

/// [`decode_le`] by the loop of that level.
pub fn decode_le_at(level: Level, src: &[u8], dst: &mut [i16]) -> usize {
    level.map(src.as_chunks().0, dst, read_le)
}

/// [`encode_be`] by the loop of that level.
pub fn encode_be_at(level: Level, src: &[i16], dst: &mut [u8]) -> usize {
    level.map(src, dst.as_chunks_mut().0, write_be)
}

/// [`encode_le`] by the loop of that level.
pub fn encode_le_at(level: Level, src: &[i16], dst: &mut [u8]) -> usize {
    level.map(src, dst.as_chunks_mut().0, write_le)
}

#[inline(always)]
fn read_be(bytes: [u8; 2]) -> i16 {
    i16::from_be_bytes(bytes)
}

#[inline(always)]
fn read_le(bytes: [u8; 2]) -> i16 {
    i16::from_le_bytes(bytes)
}

#[inline(always)]
fn write_be(sample: i16) -> [u8; 2] {
    sample.to_be_bytes()
}

#[inline(always)]
fn write_le(sample: i16) -> [u8; 2] {
    sample.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_survives_both_byte_orders() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut bytes = vec![0; 2 * samples.len()];
        let mut back = vec![0; samples.len()];
        assert_eq!(encode_be(&samples, &mut bytes), 65_536);
        assert_eq!(decode_be(&bytes, &mut back), 65_536);
        assert_eq!(back, samples);
        encode_le(&samples, &mut bytes);
        decode_le(&bytes, &mut back);
        assert_eq!(back, samples);
    }

    #[test]
    fn every_level_gives_the_same_bytes() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for level in Level::available() {
            let mut bytes = vec![0; 2 * samples.len()];
            let mut back = vec![0; samples.len()];
            encode_be_at(level, &samples, &mut bytes);
            assert!(samples.iter().flat_map(|sample| sample.to_be_bytes()).eq(bytes.clone()));
            decode_be_at(level, &bytes, &mut back);
            assert_eq!(back, samples, "{level:?}");
            encode_le_at(level, &samples, &mut bytes);
            assert!(samples.iter().flat_map(|sample| sample.to_le_bytes()).eq(bytes.clone()));
            decode_le_at(level, &bytes, &mut back);
            assert_eq!(back, samples, "{level:?}");
        }
    }

    #[test]
    fn the_byte_orders_are_what_their_names_say() {
        let mut bytes = [0; 2];
        encode_be(&[0x0102], &mut bytes);
        assert_eq!(bytes, [1, 2]);
        encode_le(&[0x0102], &mut bytes);
        assert_eq!(bytes, [2, 1]);
        let mut sample = [0];
        decode_be(&[0xff, 0xfe], &mut sample);
        assert_eq!(sample, [-2]);
        decode_le(&[0xff, 0xfe], &mut sample);
        assert_eq!(sample, [-257]);
    }

    #[test]
    fn the_shorter_slice_decides_and_an_odd_byte_is_left_alone() {
        let mut samples = [9; 3];
        assert_eq!(decode_be(&[0, 1, 0, 2, 0], &mut samples), 2);
        assert_eq!(samples, [1, 2, 9]);
        assert_eq!(decode_le(&[1, 0, 2, 0, 3, 0, 4, 0], &mut samples), 3);
        let mut bytes = [7; 5];
        assert_eq!(encode_be(&[1, 2, 3], &mut bytes), 2);
        assert_eq!(bytes, [0, 1, 0, 2, 7]);
    }
}
