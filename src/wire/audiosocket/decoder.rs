use thiserror::Error;
use uuid::Uuid;

use super::{ErrorCode, HEADER_BYTES, Kind, UUID_BYTES};
use crate::audio::SampleRate;

/// One frame, its payload still in the decoder's buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AudioSocketFrame<'a> {
    /// The peer hangs up. A payload, which nobody defines, is left out.
    Hangup,
    /// The stream's UUID.
    Uuid(Uuid),
    /// A DTMF digit: the ASCII byte as it came, not checked against the 16 digits.
    Dtmf(u8),
    /// Audio: at least one sample, an even number of bytes.
    Audio {
        /// Samples per second, told by the frame's kind.
        rate: SampleRate,
        /// 16-bit little-endian mono samples (see [`crate::dsp::l16::decode_le`]).
        payload: &'a [u8],
    },
    /// The peer met an error.
    Error {
        /// What it tells of it.
        code: ErrorCode,
    },
    /// A kind that the protocol does not have; the frame is skipped, the stream goes on.
    Unknown {
        /// Its first byte.
        kind: u8,
    },
}

/// What is wrong with a frame.
///
/// Only a frame beyond the size limit is [fatal](Self::is_fatal): the stream cannot be followed
/// within the buffer. After any other error the faulty frame is gone and the decoder stands at the
/// next one; count it and go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AudioSocketError {
    /// A frame longer than the limit. Fatal.
    #[error("a frame of {actual} bytes exceeds the limit of {limit}")]
    FrameTooLong {
        /// Longest frame allowed, header included.
        limit: usize,
        /// Length of the frame, header included.
        actual: usize,
    },
    /// A UUID frame whose payload is not 16 bytes.
    #[error("a UUID of {actual} bytes, expected {expected}")]
    UuidLength {
        /// Always 16.
        expected: usize,
        /// Bytes of the payload.
        actual: usize,
    },
    /// A DTMF frame whose payload is not one byte.
    #[error("a DTMF payload of {actual} bytes, expected {expected}")]
    DtmfLength {
        /// Always 1.
        expected: usize,
        /// Bytes of the payload.
        actual: usize,
    },
    /// An audio frame without samples.
    #[error("an audio frame without a payload")]
    AudioEmpty,
    /// Audio with half a sample: what an Opus or GSM channel sends under the kind of slin.
    #[error("an audio payload of {actual} bytes, which is no whole number of samples")]
    AudioOdd {
        /// Bytes of the payload.
        actual: usize,
    },
    /// An error frame whose payload is longer than one byte.
    #[error("an error payload of {actual} bytes, at most {limit} expected")]
    ErrorLength {
        /// Always 1.
        limit: usize,
        /// Bytes of the payload.
        actual: usize,
    },
}

impl AudioSocketError {
    /// Whether the stream is lost. The decoder repeats a fatal error for ever.
    #[must_use]
    pub const fn is_fatal(self) -> bool {
        matches!(self, Self::FrameTooLong { .. })
    }

    /// The reason as a label for metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::FrameTooLong { .. } => "frame_too_long",
            Self::UuidLength { .. } => "uuid_length",
            Self::DtmfLength { .. } => "dtmf_length",
            Self::AudioEmpty => "audio_empty",
            Self::AudioOdd { .. } => "audio_odd",
            Self::ErrorLength { .. } => "error_length",
        }
    }
}

/// Cuts a byte stream into frames, whatever pieces it comes in.
///
/// The buffer never holds more than `max_frame_bytes`: [`feed`](Self::feed) takes what fits and
/// says how much that was. It grows to that size at most, and does not allocate afterwards. Every
/// byte is copied once. Drive it so:
///
/// ```
/// use sidetone::wire::{AudioSocketError, FrameDecoder};
///
/// fn receive(decoder: &mut FrameDecoder, mut bytes: &[u8]) -> Result<usize, AudioSocketError> {
///     let mut frames = 0;
///     while !bytes.is_empty() {
///         let taken = decoder.feed(bytes);
///         bytes = &bytes[taken..];
///         loop {
///             match decoder.next() {
///                 Ok(Some(_frame)) => frames += 1,
///                 Ok(None) => break,
///                 Err(error) if error.is_fatal() => return Err(error),
///                 Err(_counted) => {}
///             }
///         }
///     }
///     Ok(frames)
/// }
///
/// let mut decoder = FrameDecoder::new(8192);
/// assert_eq!(receive(&mut decoder, &[0x03, 0x00, 0x01, b'5', 0x00, 0x00]), Ok(1));
/// assert_eq!(receive(&mut decoder, &[0x00]), Ok(1));
/// ```
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Where the next frame starts in `buffer`.
    start: usize,
    max_frame_bytes: usize,
    fatal: Option<AudioSocketError>,
}

impl FrameDecoder {
    /// The smallest limit: a UUID frame must fit.
    pub const MIN_FRAME_BYTES: usize = HEADER_BYTES + UUID_BYTES;
    /// The largest limit: what the 16-bit length can tell.
    pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + u16::MAX as usize;

    /// A decoder for frames of at most `max_frame_bytes`, header included. A limit outside of
    /// [`MIN_FRAME_BYTES`](Self::MIN_FRAME_BYTES) to [`MAX_FRAME_BYTES`](Self::MAX_FRAME_BYTES)
    /// is put right to the nearer end.
    #[must_use]
    pub fn new(max_frame_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            max_frame_bytes: max_frame_bytes.clamp(Self::MIN_FRAME_BYTES, Self::MAX_FRAME_BYTES),
            fatal: None,
        }
    }

    /// Takes bytes of the stream and answers how many: all that the buffer has room for.
    ///
    /// After [`next`](Self::next) has answered `Ok(None)` there is room for at least one byte.
    /// After a fatal error everything is taken and thrown away.
    #[must_use = "the bytes not taken must be fed again"]
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.fatal.is_some() {
            return bytes.len();
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let taken = bytes.len().min(self.max_frame_bytes - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        taken
    }

    /// The next whole frame, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`AudioSocketError`] for a frame that is not as it should be. Unless the error
    /// [is fatal](AudioSocketError::is_fatal), that frame is skipped and the next call goes on
    /// behind it.
    #[expect(clippy::should_implement_trait, reason = "the frames borrow from the decoder")]
    pub fn next(&mut self) -> Result<Option<AudioSocketFrame<'_>>, AudioSocketError> {
        if let Some(fatal) = self.fatal {
            return Err(fatal);
        }
        let Some((header, rest)) = self.buffer[self.start..].split_first_chunk::<HEADER_BYTES>()
        else {
            return Ok(None);
        };
        let [kind, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if HEADER_BYTES + length > self.max_frame_bytes {
            let fatal = AudioSocketError::FrameTooLong {
                limit: self.max_frame_bytes,
                actual: HEADER_BYTES + length,
            };
            self.fatal = Some(fatal);
            return Err(fatal);
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        self.start += HEADER_BYTES + length;
        read(Kind::from_byte(kind), payload).map(Some)
    }

    /// Whether the next frame is whole already.
    #[must_use]
    pub fn is_frame_whole(&self) -> bool {
        match self.buffer[self.start..] {
            [_, high, low, ref rest @ ..] => {
                rest.len() >= usize::from(u16::from_be_bytes([high, low]))
            }
            _ => false,
        }
    }

    /// Bytes of a frame that is not whole yet. More than 0 at the stream's end: it was cut short.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }
}

fn read(kind: Kind, payload: &[u8]) -> Result<AudioSocketFrame<'_>, AudioSocketError> {
    let actual = payload.len();
    match kind {
        Kind::Hangup => Ok(AudioSocketFrame::Hangup),
        Kind::Uuid => Uuid::from_slice(payload)
            .map(AudioSocketFrame::Uuid)
            .map_err(|_| AudioSocketError::UuidLength { expected: UUID_BYTES, actual }),
        Kind::Dtmf => match payload {
            &[digit] => Ok(AudioSocketFrame::Dtmf(digit)),
            _ => Err(AudioSocketError::DtmfLength { expected: 1, actual }),
        },
        Kind::Audio(_) if payload.is_empty() => Err(AudioSocketError::AudioEmpty),
        Kind::Audio(_) if actual % 2 == 1 => Err(AudioSocketError::AudioOdd { actual }),
        Kind::Audio(rate) => Ok(AudioSocketFrame::Audio { rate, payload }),
        Kind::Error => match payload {
            [] => Ok(AudioSocketFrame::Error { code: ErrorCode::NONE }),
            &[code] => Ok(AudioSocketFrame::Error { code: ErrorCode(code) }),
            _ => Err(AudioSocketError::ErrorLength { limit: 1, actual }),
        },
        Kind::Unknown(kind) => Ok(AudioSocketFrame::Unknown { kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a decoder of `limit` answers to `bytes`, fed at once where they fit.
    fn answers(limit: usize, mut bytes: &[u8]) -> Vec<Result<String, AudioSocketError>> {
        let mut decoder = FrameDecoder::new(limit);
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let taken = decoder.feed(bytes);
            assert!(taken > 0, "a drained decoder takes at least one byte");
            assert!(decoder.pending_bytes() <= limit);
            bytes = &bytes[taken..];
            while let Some(answer) = decoder.next().transpose() {
                answers.push(answer.map(|frame| format!("{frame:?}")));
                if matches!(answers.last(), Some(Err(error)) if error.is_fatal()) {
                    return answers;
                }
            }
        }
        answers
    }

    #[test]
    fn every_kind_is_told_apart() {
        let mut decoder = FrameDecoder::new(64);
        let mut check = |bytes: &[u8], expected| {
            assert_eq!(decoder.feed(bytes), bytes.len());
            assert_eq!(decoder.next(), Ok(Some(expected)));
            assert_eq!(decoder.next(), Ok(None));
        };
        check(&[0, 0, 0], AudioSocketFrame::Hangup);
        check(&[0, 0, 1, 9], AudioSocketFrame::Hangup);
        check(
            &[1, 0, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            AudioSocketFrame::Uuid(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f)),
        );
        check(&[3, 0, 1, b'*'], AudioSocketFrame::Dtmf(b'*'));
        for (kind, rate) in (0x10_u8..).zip(SampleRate::ALL) {
            check(&[kind, 0, 2, 1, 2], AudioSocketFrame::Audio { rate, payload: &[1, 2] });
        }
        check(&[0xff, 0, 0], AudioSocketFrame::Error { code: ErrorCode::NONE });
        check(&[0xff, 0, 1, 2], AudioSocketFrame::Error { code: ErrorCode::FRAME_FORWARDING });
        check(&[0x42, 0, 2, 1, 2], AudioSocketFrame::Unknown { kind: 0x42 });
    }

    #[test]
    fn a_malformed_frame_is_reported_and_the_stream_goes_on() {
        let cases = [
            (&[1, 0, 2, 7, 7][..], AudioSocketError::UuidLength { expected: 16, actual: 2 }),
            (&[3, 0, 0], AudioSocketError::DtmfLength { expected: 1, actual: 0 }),
            (&[3, 0, 2, 1, 1], AudioSocketError::DtmfLength { expected: 1, actual: 2 }),
            (&[0x10, 0, 0], AudioSocketError::AudioEmpty),
            (&[0x12, 0, 3, 1, 2, 3], AudioSocketError::AudioOdd { actual: 3 }),
            (&[0xff, 0, 2, 1, 2], AudioSocketError::ErrorLength { limit: 1, actual: 2 }),
        ];
        for (bytes, expected) in cases {
            assert!(!expected.is_fatal());
            let stream = [bytes, &[3, 0, 1, b'1']].concat();
            assert_eq!(answers(64, &stream), [Err(expected), Ok("Dtmf(49)".into())]);
        }
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes_and_one_more_byte_is_fatal() {
        let frame = |length: u8| [&[0x10, 0, length][..], &vec![0; usize::from(length)]].concat();
        assert_eq!(answers(35, &frame(32)).len(), 1);
        let fatal = AudioSocketError::FrameTooLong { limit: 34, actual: 35 };
        assert_eq!(answers(34, &frame(32)), [Err(fatal)]);

        let mut decoder = FrameDecoder::new(34);
        let header = [0x10, 0xff, 0xff];
        assert_eq!(decoder.feed(&header), 3, "refused by its header, without the payload");
        for _ in 0..3 {
            assert!(decoder.next().is_err_and(AudioSocketError::is_fatal));
            assert_eq!(decoder.feed(&[0; 1000]), 1000, "thrown away");
        }
        assert_eq!(decoder.pending_bytes(), 3);
    }

    #[test]
    fn the_buffer_stays_within_the_limit_and_keeps_its_memory() {
        let mut decoder = FrameDecoder::new(323);
        let frame = [&[0x10, 1, 64][..], &[0; 320]].concat();
        let stream = frame.repeat(100);
        let mut rest = &stream[..];
        let mut frames = 0;
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            rest = &rest[taken..];
            assert!(decoder.buffer.len() <= 323);
            while decoder.next().unwrap().is_some() {
                frames += 1;
            }
        }
        assert_eq!((frames, decoder.pending_bytes()), (100, 0));
        assert!(decoder.buffer.capacity() < 2 * 323);
    }

    #[test]
    fn a_foreign_limit_is_put_right() {
        assert_eq!(FrameDecoder::new(0).max_frame_bytes, 19);
        assert_eq!(FrameDecoder::new(usize::MAX).max_frame_bytes, 65_538);
    }
}
