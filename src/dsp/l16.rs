//! 16-bit samples and their bytes: L16 is big-endian (RFC 3551 section 4.5.11), as Asterisk's
//! `slin` is over RTP; over AudioSocket `slin` is little-endian.
//!
//! Each function does as many samples as both slices hold and answers how many. A last odd byte is
//! left alone.

/// Reads big-endian samples from `src` into `dst`; answers the number of samples.
pub fn decode_be(src: &[u8], dst: &mut [i16]) -> usize {
    decode(src, dst, i16::from_be_bytes)
}

/// Reads little-endian samples from `src` into `dst`; answers the number of samples.
pub fn decode_le(src: &[u8], dst: &mut [i16]) -> usize {
    decode(src, dst, i16::from_le_bytes)
}

/// Writes `src` big-endian into `dst`; answers the number of samples (half the bytes).
pub fn encode_be(src: &[i16], dst: &mut [u8]) -> usize {
    encode(src, dst, i16::to_be_bytes)
}

/// Writes `src` little-endian into `dst`; answers the number of samples (half the bytes).
pub fn encode_le(src: &[i16], dst: &mut [u8]) -> usize {
    encode(src, dst, i16::to_le_bytes)
}

#[inline]
fn decode(src: &[u8], dst: &mut [i16], read: impl Fn([u8; 2]) -> i16) -> usize {
    let (pairs, _) = src.as_chunks::<2>();
    for (sample, &pair) in dst.iter_mut().zip(pairs) {
        *sample = read(pair);
    }
    pairs.len().min(dst.len())
}

#[inline]
fn encode(src: &[i16], dst: &mut [u8], write: impl Fn(i16) -> [u8; 2]) -> usize {
    let (pairs, _) = dst.as_chunks_mut::<2>();
    let count = src.len().min(pairs.len());
    for (pair, &sample) in pairs.iter_mut().zip(src) {
        *pair = write(sample);
    }
    count
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
