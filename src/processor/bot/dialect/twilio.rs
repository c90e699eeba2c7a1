//! Twilio Media Streams, bidirectional, so that bots written for it need no change.
//!
//! Everything is JSON text, numbers in it are strings, audio is base64 of G.711 µ-law at 8000 Hz.
//! `connected` comes first and is not counted; `start` has the sequence number 1, and each message
//! behind it the next one. Chunks of audio are counted on their own, from 1. Timestamps are
//! milliseconds since the stream's start. A mark comes back under its name when the audio before it
//! has been played, and when it was cleared: there is no word for the difference.
//!
//! Sources: Twilio's documentation of the messages, and what its own streams and Pipecat's
//! serializer send.

mod sid;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use self::sid::StreamSid;
use super::{Facts, Unreadable};
use crate::audio::SampleRate;
use crate::dsp::g711;
use crate::event::whole_millis;
use crate::processor::bot::{Notice, Told, Wish};
use crate::processor::{Message, Piece};

pub use sid::{CallSid, NotACallSid};

/// The base64 of payloads: the usual one; what a bot sends may lack the padding.
const PAYLOAD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Most digits that a number of a message has.
const MAX_DIGITS: usize = 20;

/// The pieces of a message of audio, around its three numbers.
const MEDIA: [&str; 4] = [
    r#"{"event":"media","sequenceNumber":""#,
    r#"","media":{"track":"inbound","chunk":""#,
    r#"","timestamp":""#,
    r#"","payload":""#,
];

/// One connection's talk.
#[derive(Debug)]
pub(super) struct Twilio {
    call_sid: String,
    stream_sid: String,
    account_sid: String,
    parameters: BTreeMap<String, String>,
    rate: SampleRate,
    /// Messages sent, but for `connected`.
    sequence: u64,
    /// Messages of audio sent.
    chunks: u64,
    /// Media time of the stream's start.
    began_ms: u64,
    /// What follows the payload in a message of audio.
    media_end: String,
    /// Room for the codes of one message.
    codes: Vec<u8>,
}

#[derive(Serialize)]
struct Connected {
    event: &'static str,
    protocol: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToBot<'a> {
    event: &'static str,
    sequence_number: String,
    #[serde(flatten)]
    body: Body<'a>,
    stream_sid: &'a str,
}

/// What a message is about, under the name of its event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Body<'a> {
    #[serde(rename_all = "camelCase")]
    Start {
        stream_sid: &'a str,
        account_sid: &'a str,
        call_sid: &'a str,
        tracks: [&'static str; 1],
        custom_parameters: &'a BTreeMap<String, String>,
        media_format: MediaFormat,
    },
    Dtmf {
        track: &'static str,
        digit: char,
    },
    Mark {
        name: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Stop {
        account_sid: &'a str,
        call_sid: &'a str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MediaFormat {
    encoding: &'static str,
    sample_rate: u32,
    channels: u8,
}

impl Body<'_> {
    const fn event(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Dtmf { .. } => "dtmf",
            Self::Mark { .. } => "mark",
            Self::Stop { .. } => "stop",
        }
    }
}

/// A message of a bot's. Its `streamSid` is not looked at: a connection has one stream.
#[derive(Deserialize)]
struct FromBot<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    media: Option<Media<'a>>,
    mark: Option<Mark>,
}

#[derive(Deserialize)]
struct Media<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Mark {
    name: String,
}

/// Only what a message is about.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
}

impl Twilio {
    pub(super) fn new(facts: &Facts) -> Self {
        let Facts { call, rate, account_sid, connection, chunk: _ } = facts;
        let stream_sid = StreamSid::new(call.id, *connection).to_string();
        Self {
            call_sid: CallSid::new(call.id).to_string(),
            media_end: format!(r#""}},"streamSid":"{stream_sid}"}}"#),
            stream_sid,
            account_sid: account_sid.clone(),
            parameters: call.parameters.clone(),
            rate: *rate,
            sequence: 0,
            chunks: 0,
            began_ms: 0,
            codes: Vec::new(),
        }
    }

    pub(super) fn greet(&mut self, media_ms: u64, out: &mut Vec<Message>) {
        self.began_ms = media_ms;
        let connected = Connected { event: "connected", protocol: "Call", version: "1.0.0" };
        out.push(text_of(&connected));
        self.sequence += 1;
        let format =
            MediaFormat { encoding: "audio/x-mulaw", sample_rate: self.rate.hz(), channels: 1 };
        out.push(self.message(Body::Start {
            stream_sid: &self.stream_sid,
            account_sid: &self.account_sid,
            call_sid: &self.call_sid,
            tracks: ["inbound"],
            custom_parameters: &self.parameters,
            media_format: format,
        }));
    }

    pub(super) fn say(&mut self, told: &Told, out: &mut Vec<Message>) {
        let notice = match told {
            Told::Audio(piece) if piece.samples.is_empty() => return,
            Told::Audio(piece) => {
                out.push(Message::Text(self.media(piece)));
                return;
            }
            Told::Notice { media_ms: _, notice } => notice,
        };
        let body = match notice {
            Notice::Dtmf { digit, duration_ms: _ } => {
                Body::Dtmf { track: "inbound_track", digit: *digit }
            }
            Notice::Mark { name, played: _ } => Body::Mark { name },
            Notice::Stop { reason: _ } => {
                Body::Stop { account_sid: &self.account_sid, call_sid: &self.call_sid }
            }
            Notice::SpeechStarted { .. }
            | Notice::SpeechEnded { .. }
            | Notice::Transcript(_)
            | Notice::Playback { .. }
            | Notice::Xoff { .. }
            | Notice::Xon { .. }
            | Notice::Stats { .. }
            | Notice::Refused { .. } => return,
        };
        self.sequence += 1;
        out.push(self.message(body));
    }

    pub(super) fn hear(&mut self, message: &Message) -> Result<Option<Wish>, Unreadable> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(bytes) => return Err(Unreadable::Binary { bytes: bytes.len() }),
        };
        let FromBot { event, media, mark } = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => return if is_unknown(text) { Ok(None) } else { Err(error.into()) },
        };
        match &*event {
            "media" => {
                let Media { payload } = media.ok_or_else(|| lacks("media"))?;
                Ok(self.audio(&payload)?.map(Wish::Audio))
            }
            "mark" => {
                let Mark { name } = mark.ok_or_else(|| lacks("mark"))?;
                Ok(Some(Wish::Mark(name)))
            }
            "clear" => Ok(Some(Wish::Clear)),
            _ => Ok(None),
        }
    }

    /// The message of a piece's audio: fifty a second of each call, so by hand and in one
    /// allocation.
    fn media(&mut self, piece: &Piece) -> String {
        let at_ms = whole_millis(self.rate.duration_of(piece.position.0));
        if self.chunks == 0 {
            // What was kept from before the connection is the stream's beginning.
            self.began_ms = self.began_ms.min(at_ms);
        }
        self.sequence += 1;
        self.chunks += 1;
        let numbers = [self.sequence, self.chunks, at_ms.saturating_sub(self.began_ms)];

        self.codes.resize(piece.samples.len(), 0);
        g711::ulaw_encode(&piece.samples, &mut self.codes);
        let parts: usize = MEDIA.iter().map(|part| part.len()).sum();
        let encoded = self.codes.len().div_ceil(3) * 4;
        let length = parts + numbers.len() * MAX_DIGITS + encoded + self.media_end.len();
        let mut text = String::with_capacity(length);
        for (part, number) in MEDIA.iter().zip(numbers) {
            text.push_str(part);
            write!(text, "{number}").expect("a string takes everything");
        }
        text.push_str(MEDIA[numbers.len()]);
        PAYLOAD.encode_string(&self.codes, &mut text);
        text.push_str(&self.media_end);
        text
    }

    /// The samples of a payload; `None`: it is empty.
    fn audio(&mut self, payload: &str) -> Result<Option<Vec<i16>>, Unreadable> {
        self.codes.clear();
        PAYLOAD.decode_vec(payload, &mut self.codes)?;
        let mut samples = vec![0; self.codes.len()];
        g711::ulaw_decode(&self.codes, &mut samples);
        Ok(Some(samples).filter(|samples| !samples.is_empty()))
    }

    fn message(&self, body: Body<'_>) -> Message {
        let (event, sequence_number) = (body.event(), self.sequence.to_string());
        text_of(&ToBot { event, sequence_number, body, stream_sid: &self.stream_sid })
    }
}

fn text_of(message: &impl Serialize) -> Message {
    Message::Text(serde_json::to_string(message).expect("strings and numbers"))
}

/// Whether a message is about something that we do not know: later versions may add what they want.
fn is_unknown(text: &str) -> bool {
    serde_json::from_str(text)
        .is_ok_and(|Event { event }| !["media", "mark", "clear"].contains(&&*event))
}

fn lacks(field: &str) -> Unreadable {
    Unreadable::Json(format!("missing field `{field}` of the event `{field}`"))
}

#[cfg(test)]
mod tests;
