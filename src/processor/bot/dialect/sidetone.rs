//! Our own dialect, version 1: audio in binary messages, all else in JSON messages with a `type`.
//!
//! Audio is 16 bits, little-endian, mono, at the rate that `start` tells. From the bot it may come in
//! messages of any length: an odd byte at the end of one is the first half of a sample, whose other
//! half begins the next binary message, so that audio may be cut anywhere. A `clear` ends that: half
//! a sample from before it is thrown away with the rest, and audio behind it begins with a sample.
//!
//! What a bot says must be understood whole: unknown types and fields are refused, so that a slip of
//! the pen does not go unnoticed. What it is told may grow: a bot ignores what it does not know.

mod from_bot;
#[cfg(test)]
mod schema;
mod to_bot;

use self::from_bot::FromBot;
use self::to_bot::{Body, ToBot};
use super::{Facts, Unreadable};
use crate::dsp::l16;
use crate::processor::Message;
use crate::processor::bot::{Told, Wish};

/// Bytes of a sample.
const SAMPLE_BYTES: usize = 2;

/// One connection's talk.
#[derive(Debug)]
pub(super) struct Sidetone {
    facts: Facts,
    /// The first byte of a sample, of which the second is still to come.
    half: Option<u8>,
}

impl Sidetone {
    pub(super) fn new(facts: &Facts) -> Self {
        Self { facts: facts.clone(), half: None }
    }

    pub(super) fn greet(&mut self, media_ms: u64, out: &mut Vec<Message>) {
        out.push(text_of(media_ms, Body::start(&self.facts)));
    }

    pub(super) fn say(&mut self, told: &Told, out: &mut Vec<Message>) {
        match told {
            Told::Audio(piece) if piece.samples.is_empty() => {}
            Told::Audio(piece) => {
                let mut bytes = vec![0; piece.samples.len() * SAMPLE_BYTES];
                l16::encode_le(&piece.samples, &mut bytes);
                out.push(Message::Binary(bytes));
            }
            Told::Notice { media_ms, notice } => out.push(text_of(*media_ms, notice.into())),
        }
    }

    pub(super) fn hear(&mut self, message: &Message) -> Result<Option<Wish>, Unreadable> {
        match message {
            Message::Binary(bytes) => Ok(self.audio(bytes).map(Wish::Audio)),
            Message::Text(text) => {
                let wish = Wish::from(serde_json::from_str::<FromBot>(text)?);
                if wish == Wish::Clear {
                    self.half = None;
                }
                Ok(Some(wish))
            }
        }
    }

    /// The samples that are whole with these bytes; `None`: there are none.
    fn audio(&mut self, mut bytes: &[u8]) -> Option<Vec<i16>> {
        let mut samples = Vec::with_capacity((bytes.len() + 1) / SAMPLE_BYTES);
        if let (Some(low), Some((&high, rest))) = (self.half, bytes.split_first()) {
            samples.push(i16::from_le_bytes([low, high]));
            self.half = None;
            bytes = rest;
        }
        let (whole, rest) = bytes.as_chunks::<SAMPLE_BYTES>();
        let begun = samples.len();
        samples.resize(begun + whole.len(), 0);
        l16::decode_le(whole.as_flattened(), &mut samples[begun..]);
        self.half = rest.first().copied().or(self.half);
        Some(samples).filter(|samples| !samples.is_empty())
    }
}

fn text_of(media_ms: u64, body: Body<'_>) -> Message {
    let text = serde_json::to_string(&ToBot { media_ms, body });
    Message::Text(text.expect("strings and numbers"))
}

#[cfg(test)]
mod tests;
