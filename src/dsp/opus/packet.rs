//! What an Opus packet says about itself without being decoded (RFC 6716 section 3).

use super::OpusError;

/// Longest audio of one packet: 120 ms (RFC 6716 section 3.4, R5), in units of 2.5 ms.
const MAX_PACKET_UNITS: usize = 48;

/// The first byte of a packet, its table of contents (section 3.1).
#[derive(Clone, Copy)]
pub(super) struct Toc(pub(super) u8);

impl Toc {
    /// Duration of each frame, in units of 2.5 ms (table 2).
    pub(super) fn frame_units(self) -> usize {
        let config = usize::from(self.0 >> 3);
        match config {
            0..12 => [4, 8, 16, 24][config % 4],
            12..16 => [4, 8][config % 2],
            _ => [1, 2, 4, 8][config % 4],
        }
    }

    /// Whether there is no SILK layer.
    pub(super) const fn is_celt_only(self) -> bool {
        self.0 & 0x80 != 0
    }

    const fn is_stereo(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// How the frames are packed (section 3.2).
    const fn code(self) -> u8 {
        self.0 & 0x03
    }
}

/// Duration of a packet in units of 2.5 ms, 1 to 48.
pub(super) fn units(packet: &[u8]) -> Result<usize, OpusError> {
    let toc = Toc(*packet.first().ok_or(OpusError::Empty)?);
    let frames = match toc.code() {
        0 => 1,
        1 | 2 => 2,
        _ => usize::from(packet.get(1).ok_or(OpusError::FrameCountMissing)? & 0x3f),
    };
    match frames * toc.frame_units() {
        0 => Err(OpusError::NoFrames),
        units @ 1..=MAX_PACKET_UNITS => Ok(units),
        units => Err(OpusError::TooLong { actual_us: units * 2500 }),
    }
}

/// Whether the first frame has a low-bit-rate copy of the frame before it: the LBRR flags, which
/// stand behind the voice activity flags at the beginning of the frame (section 4.2.3). All of
/// them are as likely as not, which makes them plain bits of its first byte.
pub(super) fn has_redundancy(packet: &[u8]) -> bool {
    let Some(&toc) = packet.first() else { return false };
    let toc = Toc(toc);
    if toc.is_celt_only() {
        return false;
    }
    // libopus takes a frame of one byte for a lost one.
    let Some(&[first, _, ..]) = first_frame(packet) else { return false };
    // A SILK frame lasts 10 or 20 ms.
    let silk_frames = toc.frame_units().div_ceil(8);
    let mid = first >> (7 - silk_frames) & 1;
    let side = if toc.is_stereo() { first >> (6 - 2 * silk_frames) & 1 } else { 0 };
    mid | side != 0
}

/// The first frame, where the packet is as long as its head says (sections 3.2.1 to 3.2.5).
fn first_frame(packet: &[u8]) -> Option<&[u8]> {
    let mut rest = packet;
    let mut take = || rest.split_off_first().copied();
    let mut padding = 0;
    // Frames, and those of them whose length is written down.
    let (mut frames, mut lengths) = (1, 0);
    match Toc(take()?).code() {
        0 => {}
        1 => frames = 2,
        2 => (frames, lengths) = (2, 1),
        _ => {
            let count = take()?;
            frames = usize::from(count & 0x3f);
            if count & 0x40 != 0 {
                loop {
                    let more = take()?;
                    // 255 is 254 bytes, and another count behind this one.
                    padding += usize::from(more.min(254));
                    if more < 255 {
                        break;
                    }
                }
            }
            if count & 0x80 != 0 {
                lengths = frames.saturating_sub(1);
            }
        }
    }
    let mut first = None;
    for _ in 0..lengths {
        let mut length = usize::from(take()?);
        if length >= 252 {
            length += 4 * usize::from(take()?);
        }
        first.get_or_insert(length);
    }
    let audio = rest.get(..rest.len().checked_sub(padding)?)?;
    audio.get(..first.unwrap_or(audio.len() / frames.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SampleRate;

    #[test]
    fn the_duration_is_what_libopus_says() {
        for first in 0..=u8::MAX {
            for packet in (0..=u8::MAX).map(|second| vec![first, second]).chain([vec![first]]) {
                let rate = audiopus::SampleRate::Hz8000;
                // The crate casts libopus' negative error codes to `usize`.
                let samples = audiopus::packet::nb_samples(&packet, rate).unwrap().cast_signed();
                let expected = (samples > 0).then(|| samples.unsigned_abs() / 20);
                assert_eq!(units(&packet).ok(), expected, "{packet:02x?}");
            }
        }
    }

    /// The flag's place by frame length and channels, and the frame's place by packing: a packet
    /// of frames of 10, 20, 40 or 60 ms begins with 0x40, 0x48, 0x50 or 0x58; plus 4 for stereo.
    #[test]
    fn redundancy_is_seen_wherever_its_flag_may_stand() {
        let padded = |head: &[u8], padding: usize| [head, &vec![0; padding]].concat();
        let with: [&[u8]; 15] = [
            &[0x40, 0x40, 0],
            &[0x48, 0x40, 0],
            &[0x50, 0x20, 0],
            &[0x58, 0x10, 0],
            &[0x4c, 0x40, 0],
            &[0x4c, 0x10, 0],
            &[0x5c, 0x01, 0],
            &[0x49, 0x40, 0, 0, 0],
            &[0x4a, 2, 0x40, 0],
            &padded(&[0x4a, 252, 0, 0x40], 251),
            &[0x4b, 1, 0x40, 0],
            &[0x4b, 0x82, 2, 0x40, 0],
            &[0x4b, 0x41, 1, 0x40, 0, 0],
            &padded(&[0x4b, 0x41, 254, 0x40], 255),
            &padded(&[0x4b, 0x41, 255, 0, 0x40], 255),
        ];
        for packet in with {
            assert!(has_redundancy(packet), "{packet:02x?}");
        }
        // Other bits, no SILK layer, a first frame of no or one byte, nothing but padding, a head cut
        // short, a length beyond the end.
        let without: [&[u8]; 18] = [
            &[0x48, 0xbf, 0],
            &[0x50, 0xdf, 0],
            &[0x58, 0xef, 0],
            &[0x4c, 0xaf, 0],
            &[0x5c, 0xee, 0],
            &[0x98, 0xff, 0],
            &[0x48, 0x40],
            &[0x49, 0x40, 0],
            &[0x4a, 0, 0x40, 0],
            &[0x4a, 1, 0x40, 0, 0],
            &[0x4b, 0x82, 0, 0x40, 0],
            &[0x4b, 0x41, 1, 0x40, 0],
            &[0x4b, 0x41, 2, 0x40],
            &[],
            &[0x48],
            &[0x4b],
            &[0x4b, 0x41],
            &[0x4a, 251, 0x40, 0],
        ];
        for packet in without {
            assert!(!has_redundancy(packet), "{packet:02x?}");
        }
    }

    #[test]
    fn a_head_that_makes_no_sense_is_named() {
        assert_eq!(units(&[]), Err(OpusError::Empty));
        assert_eq!(units(&[0x4b]), Err(OpusError::FrameCountMissing));
        assert_eq!(units(&[0x4b, 0xc0]), Err(OpusError::NoFrames));
        assert_eq!(units(&[0x4b, 7]), Err(OpusError::TooLong { actual_us: 140_000 }));
        let samples = super::super::Decoder::packet_samples(&[0x4b, 6], SampleRate::HZ_48000);
        assert_eq!(samples, Ok(5760));
    }
}
