use uuid::Uuid;

use super::{ErrorCode, HEADER_BYTES, Kind};
use crate::audio::SampleRate;
use crate::dsp::l16;

/// Most samples that one frame's 16-bit length can tell.
const MAX_SAMPLES: usize = u16::MAX as usize / 2;

/// Writes `samples` as audio at `rate` into `out`, in place of what was there: header and payload
/// in one piece, because Asterisk gives up on a header that comes in two.
///
/// One frame; only beyond 32,767 samples several. No samples give no frame at all, because an
/// audio frame without a payload ends the leg. Allocates only where `out` is too small.
pub fn encode_audio(rate: SampleRate, samples: &[i16], out: &mut Vec<u8>) {
    out.clear();
    for piece in samples.chunks(MAX_SAMPLES) {
        let start = out.len();
        out.resize(start + HEADER_BYTES + 2 * piece.len(), 0);
        let (header, payload) = out[start..].split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&header_of(Kind::Audio(rate), payload.len()));
        l16::encode_le(piece, payload);
    }
}

/// Writes a hangup into `out`, in place of what was there.
pub fn encode_hangup(out: &mut Vec<u8>) {
    encode(Kind::Hangup, &[], out);
}

/// Writes the stream's UUID into `out`, in place of what was there. Asterisk's side only.
pub fn encode_uuid(uuid: Uuid, out: &mut Vec<u8>) {
    encode(Kind::Uuid, uuid.as_bytes(), out);
}

/// Writes a DTMF digit, one ASCII byte, into `out`, in place of what was there. Asterisk's side
/// only.
pub fn encode_dtmf(digit: u8, out: &mut Vec<u8>) {
    encode(Kind::Dtmf, &[digit], out);
}

/// Writes an error into `out`, in place of what was there. Asterisk's side only.
pub fn encode_error(code: ErrorCode, out: &mut Vec<u8>) {
    encode(Kind::Error, &[code.0], out);
}

fn encode(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&header_of(kind, payload.len()));
    out.extend_from_slice(payload);
}

fn header_of(kind: Kind, payload_bytes: usize) -> [u8; HEADER_BYTES] {
    let length = u16::try_from(payload_bytes).expect("payloads are cut to 65,534 bytes");
    let [high, low] = length.to_be_bytes();
    [kind.byte(), high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_is_little_endian_behind_a_big_endian_length() {
        let mut out = vec![0xaa; 7];
        encode_audio(SampleRate::HZ_16000, &[0x0102, -2], &mut out);
        assert_eq!(out, [0x12, 0x00, 0x04, 0x02, 0x01, 0xfe, 0xff]);
    }

    #[test]
    fn a_frame_of_20_ms_has_the_length_that_asterisk_sends() {
        let mut out = Vec::new();
        encode_audio(SampleRate::HZ_48000, &[0; 960], &mut out);
        assert_eq!((out.len(), &out[..3]), (1923, &[0x16, 0x07, 0x80][..]));
    }

    #[test]
    fn no_samples_give_no_frame_and_too_many_give_several() {
        let mut out = vec![1];
        encode_audio(SampleRate::HZ_8000, &[], &mut out);
        assert!(out.is_empty());
        encode_audio(SampleRate::HZ_8000, &[7; MAX_SAMPLES + 1], &mut out);
        assert_eq!(&out[..3], [0x10, 0xff, 0xfe]);
        assert_eq!(&out[3 + 2 * MAX_SAMPLES..], [0x10, 0, 2, 7, 0]);
    }

    #[test]
    fn control_frames_are_as_the_protocol_says() {
        let mut out = Vec::new();
        encode_hangup(&mut out);
        assert_eq!(out, [0, 0, 0]);
        encode_dtmf(b'#', &mut out);
        assert_eq!(out, [3, 0, 1, b'#']);
        encode_error(ErrorCode::MEMORY, &mut out);
        assert_eq!(out, [0xff, 0, 1, 4]);
        encode_uuid(Uuid::from_u128(1), &mut out);
        assert_eq!(out, [1, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
