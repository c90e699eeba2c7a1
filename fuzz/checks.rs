//! What must hold for any input, one function per fuzz target. The ordinary tests run the same
//! functions over `seeds/` and over perturbed encodings.

// Every fuzz target uses one of them.
#![allow(dead_code)]

use sidetone::wire::audiosocket::encode_audio;
use sidetone::wire::{AudioSocketError, AudioSocketFrame, FrameDecoder, RtpPacket, rtp};

/// An RTP datagram is refused with a reason, or gives a view that lies within it and that can be
/// written and read again.
pub(crate) fn rtp_parse(datagram: &[u8]) {
    let packet = match RtpPacket::parse(datagram) {
        Ok(packet) => packet,
        Err(error) => {
            assert!(!error.reason().is_empty() && !error.to_string().is_empty());
            return;
        }
    };
    let payload = packet.payload();
    assert!(rtp::HEADER_BYTES + payload.len() <= datagram.len());
    assert!(datagram.as_ptr_range().contains(&payload.as_ptr()) || payload.is_empty());

    let mut written = Vec::new();
    rtp::write(packet.header(), payload, &mut written);
    assert_eq!(RtpPacket::parse(&written), Ok(packet));
    if datagram[0] == 0x80 {
        assert_eq!(written, datagram, "nothing but a fixed header and a payload");
    }
}

/// An AudioSocket stream gives the same frames and errors in whatever pieces it comes, within the
/// decoder's limit. The first two bytes choose the limit and the size of the pieces.
pub(crate) fn audiosocket_decode(input: &[u8]) {
    let [limit, piece, stream @ ..] = input else {
        return;
    };
    let limit = FrameDecoder::MIN_FRAME_BYTES + usize::from(*limit) * 8;
    let whole = decode(limit, &[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(*piece) + 1).collect();
    assert_eq!(decode(limit, &pieces), whole);
}

/// All that a decoder of `limit` answers to the stream that comes in `pieces`, up to the first
/// fatal error; at the end, how many bytes of an unfinished frame remain.
pub(crate) fn decode(limit: usize, pieces: &[&[u8]]) -> Vec<Answer> {
    let mut decoder = FrameDecoder::new(limit);
    let mut answers = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let taken = decoder.feed(rest);
            assert!(taken > 0, "a drained decoder has room");
            assert!(decoder.pending_bytes() <= limit);
            rest = &rest[taken..];
            loop {
                match decoder.next() {
                    Ok(Some(frame)) => answers.push(Answer::of(frame)),
                    Ok(None) => break,
                    Err(error) => {
                        assert!(!error.reason().is_empty() && !error.to_string().is_empty());
                        answers.push(Answer::Error(error));
                        if error.is_fatal() {
                            assert_eq!(decoder.next(), Err(error), "fatal once, fatal for ever");
                            return answers;
                        }
                    }
                }
            }
        }
    }
    answers.push(Answer::Pending(decoder.pending_bytes()));
    answers
}

/// One answer of the decoder, without its borrow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Answer {
    /// Audio, encoded again.
    Audio(Vec<u8>),
    /// Any other frame, as `Debug` shows it.
    Frame(String),
    /// A frame that was not as it should be.
    Error(AudioSocketError),
    /// Bytes that remain at the end.
    Pending(usize),
}

impl Answer {
    fn of(frame: AudioSocketFrame<'_>) -> Self {
        let AudioSocketFrame::Audio { rate, payload } = frame else {
            return Self::Frame(format!("{frame:?}"));
        };
        let (pairs, rest) = payload.as_chunks::<2>();
        assert!(!pairs.is_empty() && rest.is_empty(), "audio is whole samples");
        let samples: Vec<i16> = pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
        let mut encoded = Vec::new();
        encode_audio(rate, &samples, &mut encoded);
        assert_eq!(&encoded[sidetone::wire::audiosocket::HEADER_BYTES..], payload);
        Self::Audio(encoded)
    }
}
