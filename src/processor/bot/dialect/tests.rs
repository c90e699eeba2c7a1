//! What holds for every dialect, and what the tests of each share.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::audio::{MediaFormat, Position};
use crate::call::{CallId, Caller, EndReason, Transport};
use crate::processor::bot::{ClearReason, Notice, PlaybackState};
use crate::processor::stt::{Transcript, Word};
use crate::processor::{Piece, Speech};

/// A call of which everything is known, over a connection that is not its first.
pub(super) fn facts() -> Facts {
    Facts {
        call: CallInfo {
            id: CallId::new(Uuid::from_u128(0x0193_4a5b_0000_7000_8000_0000_0000_0001)),
            transport: Transport::Rtp,
            format: Some(MediaFormat::Ulaw),
            pipeline: "bot".into(),
            parameters: BTreeMap::from([("language".to_owned(), "\"en\"".to_owned())]),
            caller: Some(Caller {
                channel_id: "1795225562.5".to_owned(),
                channel_name: "PJSIP/alice-00000001".to_owned(),
                number: "+15550100".to_owned(),
                name: "Alice".to_owned(),
            }),
            stream_uuid: None,
        },
        rate: SampleRate::HZ_8000,
        chunk: Duration::from_millis(20),
        account_sid: "AC00000000000000000000000000000001".to_owned(),
        connection: 1,
    }
}

pub(super) fn audio(position: u64, samples: impl Into<Vec<i16>>) -> Told {
    let (position, samples) = (Position(position), samples.into());
    Told::Audio(Piece { position, samples, speech: Speech::Silent })
}

/// Each kind of notice, and each form that it has.
pub(super) fn notices() -> Vec<Notice> {
    let transcript = Transcript {
        service: "vosk".into(),
        text: "good morning".to_owned(),
        is_final: true,
        start_ms: 1240,
        end_ms: 2080,
        words: vec![Word {
            word: "good".to_owned(),
            start_ms: 1240,
            end_ms: 1480,
            confidence: None,
        }],
        confidence: Some(0.5),
    };
    let playback = |state| Notice::Playback { state, played_ms: 40, discarded_ms: 60 };
    vec![
        Notice::SpeechStarted { at_ms: 1240 },
        Notice::SpeechEnded { at_ms: 2080 },
        Notice::Dtmf { digit: '#', duration_ms: Some(120) },
        Notice::Dtmf { digit: '1', duration_ms: None },
        Notice::Transcript(Box::new(transcript)),
        Notice::Mark { name: "greeting \"1\"".to_owned(), played: true },
        Notice::Mark { name: "greeting".to_owned(), played: false },
        playback(PlaybackState::Done),
        playback(PlaybackState::Cleared(ClearReason::Asked)),
        playback(PlaybackState::Cleared(ClearReason::BargeIn)),
        playback(PlaybackState::Held),
        playback(PlaybackState::Resumed),
        Notice::Xoff { queued_ms: 4000 },
        Notice::Xon { queued_ms: 1000 },
        Notice::Stats { sent_ms: 1, dropped_ms: 2, received_ms: 3, queued_ms: 4 },
        Notice::Refused { wish: "play", reason: "there is no such file".to_owned() },
        Notice::Stop { reason: EndReason::CallerGone },
    ]
}

pub(super) fn told() -> Vec<Told> {
    notices().into_iter().map(|notice| Told::Notice { media_ms: 2310, notice }).collect()
}

pub(super) fn said(talk: &mut Conversation, told: &Told) -> Vec<Message> {
    let mut out = Vec::new();
    talk.say(told, &mut out);
    out
}

pub(super) fn text(message: &Message) -> &str {
    match message {
        Message::Text(text) => text,
        Message::Binary(bytes) => panic!("{} bytes instead of text", bytes.len()),
    }
}

/// What looks like a message, more or less.
fn nearly_a_message() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        Just("type"),
        Just("event"),
        Just("media"),
        Just("mark"),
        Just("payload"),
        Just("name"),
        Just("when"),
    ];
    let value = prop_oneof![
        "\"(media|mark|clear|play|hangup|start|[a-zA-Z0-9+/=]{0,9})\"",
        Just("{\"payload\":\"AAA\"}".to_owned()),
        Just("{\"name\":\"a\"}".to_owned()),
        Just("7".to_owned()),
        Just("null".to_owned()),
        Just("[".to_owned()),
    ];
    let fields = proptest::collection::vec((field, value), 0..4);
    fields.prop_map(|fields| {
        let fields: Vec<_> =
            fields.iter().map(|(field, value)| format!("\"{field}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_a_wish_or_nothing_or_unreadable(
        messages in proptest::collection::vec(
            prop_oneof![
                any::<String>().prop_map(Message::Text),
                nearly_a_message().prop_map(Message::Text),
                any::<Vec<u8>>().prop_map(Message::Binary),
            ],
            0..8,
        ),
    ) {
        for (_, dialect) in Dialect::WORDS {
            let mut talk = Conversation::new(dialect, &facts());
            for message in &messages {
                if let Err(unreadable) = talk.hear(message) {
                    prop_assert!(!unreadable.to_string().is_empty());
                }
            }
        }
    }
}

#[test]
fn a_piece_without_audio_is_not_said() {
    for (name, dialect) in Dialect::WORDS {
        let mut talk = Conversation::new(dialect, &facts());
        assert_eq!(said(&mut talk, &audio(800, [])), [], "{name}");
    }
}

#[test]
fn a_reason_does_not_quote_a_long_message_whole() {
    let long = format!("{{\"type\":\"{}\",\"event\":7}}", "é".repeat(10_000));
    for (name, dialect) in Dialect::WORDS {
        let mut talk = Conversation::new(dialect, &facts());
        let unreadable = talk.hear(&Message::Text(long.clone())).expect_err(name);
        assert!(unreadable.to_string().len() < 500, "{name}: {unreadable}");
    }
}
