//! RTP data packets (RFC 3550 section 5.1), read over `rtp-rs`.

use rtp_rs::{RtpReader, RtpReaderError};
use thiserror::Error;

use super::{RtpTs, Seq, Ssrc};
use crate::audio::MediaFormat;

/// Bytes of a header without contributing sources and extension.
pub const HEADER_BYTES: usize = RtpReader::MIN_HEADER_LEN;

/// The first byte of a header of version 2 and nothing else.
const VERSION: u8 = 0x80;
const EXTENSION_FLAG: u8 = 0x10;
const CSRC_COUNT_MASK: u8 = 0x0f;

/// What a packet carries, by the profile's or the peer's table: 0 to 127.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PayloadType(u8);

impl PayloadType {
    /// The payload type `value`, or `None` above 127.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value < 0x80 { Some(Self(value)) } else { None }
    }

    /// The number, 0 to 127.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

/// The payload type that Asterisk gives to a format.
impl From<MediaFormat> for PayloadType {
    fn from(format: MediaFormat) -> Self {
        Self::new(format.payload_type()).expect("Asterisk's payload types are below 128")
    }
}

/// The fields of a header that we read and write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpHeader {
    /// For audio: the first packet of a talkspurt (RFC 3551 section 4.1).
    pub marker: bool,
    /// What the payload is.
    pub payload_type: PayloadType,
    /// Counts packets.
    pub seq: Seq,
    /// Sampling instant of the payload's first sample, in ticks of the payload's clock.
    pub timestamp: RtpTs,
    /// The sender.
    pub ssrc: Ssrc,
}

/// Why bytes are not an RTP packet. Lengths are bytes from the start of the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("an RTP header needs {need} bytes, have {have}")]
    HeaderTruncated {
        /// Length of the fixed header.
        need: usize,
        /// Length of the datagram.
        have: usize,
    },
    /// A version other than 2.
    #[error("RTP version {actual}, expected {expected}")]
    Version {
        /// Always 2.
        expected: u8,
        /// What the first two bits say.
        actual: u8,
    },
    /// The list of contributing sources reaches beyond the datagram.
    #[error("the contributing sources need {need} bytes, have {have}")]
    CsrcTruncated {
        /// Where the list ends.
        need: usize,
        /// Length of the datagram.
        have: usize,
    },
    /// The header extension, its own header included, reaches beyond the datagram.
    #[error("the header extension needs {need} bytes, have {have}")]
    ExtensionTruncated {
        /// Where the extension ends, as far as it can be told.
        need: usize,
        /// Length of the datagram.
        have: usize,
    },
    /// The padding flag is set, but no byte follows the header.
    #[error("the padding count needs {need} bytes, have {have}")]
    PaddingMissing {
        /// Where the padding count could be at the earliest.
        need: usize,
        /// Length of the datagram.
        have: usize,
    },
    /// The padding counts less than itself.
    #[error("the padding count is 0")]
    PaddingZero,
    /// The padding reaches into the header.
    #[error("the padding of {need} bytes exceeds the {have} bytes behind the header")]
    PaddingTooLong {
        /// What the padding count says.
        need: usize,
        /// Bytes behind the header.
        have: usize,
    },
}

impl RtpError {
    /// The reason as a label for metrics.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::HeaderTruncated { .. } => "header_truncated",
            Self::Version { .. } => "version",
            Self::CsrcTruncated { .. } => "csrc_truncated",
            Self::ExtensionTruncated { .. } => "extension_truncated",
            Self::PaddingMissing { .. } => "padding_missing",
            Self::PaddingZero => "padding_zero",
            Self::PaddingTooLong { .. } => "padding_too_long",
        }
    }
}

/// A validated view of an RTP packet: no accessor can fail.
///
/// Contributing sources, a header extension and padding are checked and left out of
/// [`payload`](Self::payload). RTCP (RFC 5761) looks like RTP with a payload type of 64 to 95;
/// who knows the payload types of a source refuses it by that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RtpPacket<'a> {
    header: RtpHeader,
    payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Reads the packet that fills `datagram`. Does not allocate.
    ///
    /// # Errors
    /// [`RtpError`], one variant per way to be wrong.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtpError> {
        let reader = RtpReader::new(datagram).map_err(|error| explain(&error, datagram))?;
        let header = RtpHeader {
            marker: reader.mark(),
            payload_type: PayloadType(reader.payload_type()),
            seq: Seq(reader.sequence_number().into()),
            timestamp: RtpTs(reader.timestamp()),
            ssrc: Ssrc(reader.ssrc()),
        };
        Ok(Self { header, payload: reader.payload() })
    }

    /// All header fields.
    #[must_use]
    pub const fn header(&self) -> &RtpHeader {
        &self.header
    }

    /// For audio: the first packet of a talkspurt.
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.header.marker
    }

    /// What the payload is.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        self.header.payload_type
    }

    /// The packet's number.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.header.seq
    }

    /// Sampling instant of the first sample, in ticks of the payload's clock.
    #[must_use]
    pub const fn timestamp(&self) -> RtpTs {
        self.header.timestamp
    }

    /// The sender.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.header.ssrc
    }

    /// The payload without header and padding; may be empty.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// Names the part of the packet that `rtp-rs` found wanting.
fn explain(error: &RtpReaderError, datagram: &[u8]) -> RtpError {
    let have = datagram.len();
    match *error {
        RtpReaderError::BufferTooShort(have) => {
            RtpError::HeaderTruncated { need: HEADER_BYTES, have }
        }
        RtpReaderError::UnsupportedVersion(actual) => RtpError::Version { expected: 2, actual },
        RtpReaderError::HeadersTruncated { header_len, .. } => {
            // The reader got past the fixed header, so the first byte is there.
            let flags = datagram[0];
            let csrc_end = HEADER_BYTES + 4 * usize::from(flags & CSRC_COUNT_MASK);
            if have < csrc_end {
                RtpError::CsrcTruncated { need: csrc_end, have }
            } else if flags & EXTENSION_FLAG != 0 && have < header_len {
                RtpError::ExtensionTruncated { need: header_len, have }
            } else {
                RtpError::PaddingMissing { need: header_len + 1, have }
            }
        }
        RtpReaderError::PaddingLengthInvalid(0) => RtpError::PaddingZero,
        RtpReaderError::PaddingLengthInvalid(count) => RtpError::PaddingTooLong {
            need: usize::from(count),
            have: have.saturating_sub(header_end(datagram)),
        },
    }
}

/// Where the payload starts in a datagram whose header is known to be whole.
fn header_end(datagram: &[u8]) -> usize {
    let csrc_end = HEADER_BYTES + 4 * usize::from(datagram[0] & CSRC_COUNT_MASK);
    if datagram[0] & EXTENSION_FLAG == 0 {
        return csrc_end;
    }
    let words = u16::from_be_bytes([datagram[csrc_end + 2], datagram[csrc_end + 3]]);
    csrc_end + 4 + 4 * usize::from(words)
}

/// The bytes of a header: version 2, no contributing sources, no extension, no padding.
#[must_use]
pub fn header_bytes(header: &RtpHeader) -> [u8; HEADER_BYTES] {
    let marker = u8::from(header.marker) << 7;
    let [seq_high, seq_low] = header.seq.0.to_be_bytes();
    let [t0, t1, t2, t3] = header.timestamp.0.to_be_bytes();
    let [s0, s1, s2, s3] = header.ssrc.0.to_be_bytes();
    let second = marker | header.payload_type.0;
    [VERSION, second, seq_high, seq_low, t0, t1, t2, t3, s0, s1, s2, s3]
}

/// Writes the packet of `header` and `payload` into `out`, in place of what was there.
///
/// Allocates only where `out` is smaller than the packet.
pub fn write(header: &RtpHeader, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&header_bytes(header));
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: PayloadType(118),
        seq: Seq(0x1234),
        timestamp: RtpTs(0x89ab_cdef),
        ssrc: Ssrc(0xdead_beef),
    };

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0xff; 400];
        write(&HEADER, payload, &mut out);
        out
    }

    #[test]
    fn the_header_is_laid_out_as_rfc_3550_draws_it() {
        let expected =
            [0x80, 0xf6, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3];
        assert_eq!(packet(&[1, 2, 3]), expected);
        let parsed = RtpPacket::parse(&expected).unwrap();
        assert_eq!(parsed.header(), &HEADER);
        assert_eq!(parsed.payload(), [1, 2, 3]);
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut bytes = packet(&[]);
        bytes[0] = 0x80 | 0x20 | 0x10 | 2;
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        bytes.extend_from_slice(&[5, 6, 7, 0, 0, 3]);
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload(), [5, 6, 7]);
    }

    #[test]
    fn padding_may_fill_the_whole_payload() {
        let mut bytes = packet(&[0, 0, 0, 4]);
        bytes[0] |= 0x20;
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload(), [0; 0]);
    }

    #[test]
    fn every_way_to_be_wrong_has_its_variant() {
        let flagged = |flags: u8, tail: &[u8]| {
            let mut bytes = packet(tail);
            bytes[0] |= flags;
            RtpPacket::parse(&bytes).unwrap_err()
        };
        let long_extension = [0xbe, 0xde, 0xff, 0xff];
        let cases = [
            (RtpPacket::parse(&[]).unwrap_err(), RtpError::HeaderTruncated { need: 12, have: 0 }),
            (
                RtpPacket::parse(&packet(&[])[..11]).unwrap_err(),
                RtpError::HeaderTruncated { need: 12, have: 11 },
            ),
            (flagged(0x40, &[]), RtpError::Version { expected: 2, actual: 3 }),
            (flagged(3, &[0; 11]), RtpError::CsrcTruncated { need: 24, have: 23 }),
            (flagged(0x1f, &[0; 59]), RtpError::CsrcTruncated { need: 72, have: 71 }),
            (flagged(0x10, &[0; 3]), RtpError::ExtensionTruncated { need: 16, have: 15 }),
            (
                flagged(0x10, &long_extension),
                RtpError::ExtensionTruncated { need: 16 + 4 * 65_535, have: 16 },
            ),
            (flagged(0x20, &[]), RtpError::PaddingMissing { need: 13, have: 12 }),
            (flagged(0x30, &[0, 0, 0, 0]), RtpError::PaddingMissing { need: 17, have: 16 }),
            (flagged(0x20, &[1, 0]), RtpError::PaddingZero),
            (flagged(0x20, &[1, 3]), RtpError::PaddingTooLong { need: 3, have: 2 }),
            (flagged(0x30, &[0, 0, 0, 0, 0xff]), RtpError::PaddingTooLong { need: 255, have: 1 }),
        ];
        let mut reasons = Vec::new();
        for (actual, expected) in cases {
            assert_eq!(actual, expected);
            reasons.push(actual.reason());
        }
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), 7, "one label per variant: {reasons:?}");
    }

    #[test]
    fn a_payload_type_has_seven_bits() {
        assert_eq!(PayloadType::new(127).map(PayloadType::value), Some(127));
        assert_eq!(PayloadType::new(128), None);
        for format in MediaFormat::ALL {
            assert_eq!(PayloadType::from(format).value(), format.payload_type());
        }
    }
}
