use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{audio, facts, said, text, told};
use super::super::{Conversation, Dialect};
use super::*;
use crate::call::Destination;

fn talk() -> Conversation {
    Conversation::new(Dialect::Sidetone, &facts())
}

fn json_of(message: &Message) -> Value {
    serde_json::from_str(text(message)).expect("JSON")
}

fn hear(text: impl Into<String>) -> Result<Option<Wish>, Unreadable> {
    talk().hear(&Message::Text(text.into()))
}

#[test]
fn a_connection_opens_with_start() {
    let mut out = Vec::new();
    talk().greet(40, &mut out);
    assert_eq!(out.len(), 1);
    let expected = json!({
        "media_ms": 40,
        "type": "start",
        "version": 1,
        "call": {
            "id": "01934a5b-0000-7000-8000-000000000001",
            "transport": "rtp",
            "format": "ulaw",
            "pipeline": "bot",
            "caller": {
                "channel_id": "1795225562.5",
                "channel_name": "PJSIP/alice-00000001",
                "number": "+15550100",
                "name": "Alice",
            },
            "parameters": {"language": "\"en\""},
        },
        "audio": {"encoding": "pcm_s16le", "channels": 1, "rate_hz": 8000, "chunk_ms": 20},
    });
    assert_eq!(json_of(&out[0]), expected);

    let mut unannounced = facts();
    (unannounced.call.format, unannounced.call.caller) = (None, None);
    Sidetone::new(&unannounced).greet(0, &mut out);
    let call = &json_of(&out[1])["call"];
    assert_eq!((&call["format"], &call["caller"]), (&Value::Null, &Value::Null));
}

#[test]
fn everything_that_happens_is_said() {
    let mut talk = talk();
    let said: Vec<_> = told()
        .iter()
        .flat_map(|told| said(&mut talk, told))
        .map(|message| text(&message).to_owned())
        .collect();
    let expected = [
        r#"{"media_ms":2310,"type":"speech_started","at_ms":1240}"#,
        r#"{"media_ms":2310,"type":"speech_ended","at_ms":2080}"#,
        r##"{"media_ms":2310,"type":"dtmf","digit":"#","duration_ms":120}"##,
        r#"{"media_ms":2310,"type":"dtmf","digit":"1"}"#,
        r#"{"media_ms":2310,"type":"transcript","service":"vosk","text":"good morning","is_final":true,"start_ms":1240,"end_ms":2080,"words":[{"word":"good","start_ms":1240,"end_ms":1480,"confidence":null}],"confidence":0.5}"#,
        r#"{"media_ms":2310,"type":"mark","name":"greeting \"1\"","played":true}"#,
        r#"{"media_ms":2310,"type":"mark","name":"greeting","played":false}"#,
        r#"{"media_ms":2310,"type":"playback","state":"done","played_ms":40,"discarded_ms":60}"#,
        r#"{"media_ms":2310,"type":"playback","state":"cleared","reason":"asked","played_ms":40,"discarded_ms":60}"#,
        r#"{"media_ms":2310,"type":"playback","state":"cleared","reason":"barge_in","played_ms":40,"discarded_ms":60}"#,
        r#"{"media_ms":2310,"type":"playback","state":"held","played_ms":40,"discarded_ms":60}"#,
        r#"{"media_ms":2310,"type":"playback","state":"resumed","played_ms":40,"discarded_ms":60}"#,
        r#"{"media_ms":2310,"type":"xoff","queued_ms":4000}"#,
        r#"{"media_ms":2310,"type":"xon","queued_ms":1000}"#,
        r#"{"media_ms":2310,"type":"stats","sent_ms":1,"dropped_ms":2,"received_ms":3,"queued_ms":4}"#,
        r#"{"media_ms":2310,"type":"error","wish":"play","reason":"there is no such file"}"#,
        r#"{"media_ms":2310,"type":"stop","reason":"caller_gone"}"#,
    ];
    assert_eq!(said, expected);
}

#[test]
fn audio_is_little_endian() {
    let out = said(&mut talk(), &audio(0, [1, -2]));
    assert_eq!(out, [Message::Binary(vec![1, 0, 0xfe, 0xff])]);
    assert_eq!(talk().hear(&out[0]), Ok(Some(Wish::Audio(vec![1, -2]))));
}

#[test]
fn half_a_sample_waits_for_the_other_half_and_a_clear_ends_that() {
    let mut talk = talk();
    let mut hear = |bytes: &[u8]| talk.hear(&Message::Binary(bytes.to_vec()));
    assert_eq!(hear(&[]), Ok(None));
    assert_eq!(hear(&[1]), Ok(None));
    assert_eq!(hear(&[]), Ok(None));
    assert_eq!(hear(&[0, 2]), Ok(Some(Wish::Audio(vec![1]))));
    assert_eq!(hear(&[0]), Ok(Some(Wish::Audio(vec![2]))));
    assert_eq!(hear(&[3, 0, 4]), Ok(Some(Wish::Audio(vec![3]))));

    let clear = Message::Text(r#"{"type":"clear"}"#.to_owned());
    assert_eq!(talk.hear(&clear), Ok(Some(Wish::Clear)));
    let audio = talk.hear(&Message::Binary(vec![5, 0]));
    assert_eq!(audio, Ok(Some(Wish::Audio(vec![5]))));
}

#[test]
fn what_a_bot_says_is_a_wish() {
    let transfer = |context: Option<&str>, extension: Option<&str>, priority| {
        let (context, extension) = (context.map(str::to_owned), extension.map(str::to_owned));
        Wish::Transfer(Destination { context, extension, priority })
    };
    let hangup = |after_playout| Wish::Hangup { after_playout };
    let play = |source: &str, looped| Wish::Play { source: source.to_owned(), looped };
    for (text, wish) in [
        (r#"{"type":"clear"}"#, Wish::Clear),
        (r#"{"type":"mark","name":"a"}"#, Wish::Mark("a".to_owned())),
        (r#"{"type":"pause"}"#, Wish::Pause),
        (r#"{"type":"resume"}"#, Wish::Resume),
        (r#"{"type":"play","source":"wait.wav"}"#, play("wait.wav", false)),
        (r#"{"loop":true,"source":"tone:425","type":"play"}"#, play("tone:425", true)),
        (r#"{"type":"send_dtmf","digits":"1#"}"#, Wish::SendDtmf("1#".to_owned())),
        (r#"{"type":"hangup"}"#, hangup(false)),
        (r#"{"type":"hangup","when":"now"}"#, hangup(false)),
        (r#"{"type":"hangup","when":"played"}"#, hangup(true)),
        (r#"{"type":"transfer"}"#, transfer(None, None, None)),
        (
            r#"{"type":"transfer","context":"sales","extension":"100","priority":2}"#,
            transfer(Some("sales"), Some("100"), Some(2)),
        ),
        (
            r#"{"type":"processor","name":"recorder","on":false}"#,
            Wish::Processor { name: "recorder".to_owned(), on: false },
        ),
    ] {
        assert_eq!(hear(text), Ok(Some(wish.clone())), "{text}");
        let kind = &serde_json::from_str::<Value>(text).expect("JSON")["type"];
        assert_eq!(kind, wish.name());
    }
}

#[test]
fn what_is_unknown_is_named_with_what_is_allowed() {
    for (text, what) in [
        ("", "EOF"),
        ("7", "invalid type"),
        ("{}", "missing field `type`"),
        (r#"{"type":"clera"}"#, "unknown variant `clera`, expected one of `clear`, `mark`"),
        (r#"{"type":"clear","now":true}"#, "unknown field `now`"),
        (r#"{"type":"mark"}"#, "missing field `name`"),
        (r#"{"type":"mark","name":"a","nmae":"b"}"#, "unknown field `nmae`, expected `name`"),
        (r#"{"type":"hangup","when":"later"}"#, "unknown variant `later`, expected `now` or"),
        (r#"{"type":"transfer","priority":-1}"#, "invalid value: integer `-1`"),
        (r#"{"type":"play","source":"a","looped":true}"#, "expected `source` or `loop`"),
        (r#"{"type":"processor","name":"vad","on":"yes"}"#, "invalid type: string"),
        (r#"{"event":"clear"}"#, "missing field `type`"),
    ] {
        let unreadable = hear(text).expect_err(text).to_string();
        assert!(unreadable.contains(what), "{text}: {unreadable}");
    }
}

fn wishes() -> impl Strategy<Value = FromBot> {
    let destination = any::<(Option<String>, Option<String>, Option<u32>)>();
    let when = prop_oneof![Just(from_bot::When::Now), Just(from_bot::When::Played)];
    prop_oneof![
        Just(FromBot::Clear {}),
        any::<String>().prop_map(|name| FromBot::Mark { name }),
        Just(FromBot::Pause {}),
        Just(FromBot::Resume {}),
        any::<(String, bool)>().prop_map(|(source, looped)| FromBot::Play { source, looped }),
        any::<String>().prop_map(|digits| FromBot::SendDtmf { digits }),
        when.prop_map(|when| FromBot::Hangup { when }),
        destination.prop_map(|(context, extension, priority)| FromBot::Transfer {
            context,
            extension,
            priority
        }),
        any::<(String, bool)>().prop_map(|(name, on)| FromBot::Processor { name, on }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in wishes()) {
        let text = serde_json::to_string(&message).expect("JSON");
        prop_assert_eq!(hear(text), Ok(Some(Wish::from(message))));
    }

    #[test]
    fn audio_may_be_cut_anywhere(
        samples in proptest::collection::vec(any::<i16>(), 0..1000),
        lengths in proptest::collection::vec(0_usize..50, 1..20),
    ) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let (mut talk, mut rest, mut heard) = (talk(), bytes.as_slice(), Vec::new());
        // At least one byte a round, so that it ends.
        for length in lengths.into_iter().chain([1]).cycle() {
            let (message, behind) = rest.split_at(length.min(rest.len()));
            if let Ok(Some(Wish::Audio(samples))) = talk.hear(&Message::Binary(message.to_vec())) {
                heard.extend(samples);
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(heard, samples);
    }
}
