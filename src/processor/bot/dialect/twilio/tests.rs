use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::tests::{audio, facts, said, text, told};
use super::super::{Conversation, Dialect};
use super::*;

const CALL_SID: &str = "CA01934a5b000070008000000000000001";
const STREAM_SID: &str = "MZ01934a5a000070008000000000000001";
const ACCOUNT_SID: &str = "AC00000000000000000000000000000001";

fn talk() -> Conversation {
    Conversation::new(Dialect::Twilio, &facts())
}

fn json_of(message: &Message) -> Value {
    serde_json::from_str(text(message)).expect("JSON")
}

fn hear(text: impl Into<String>) -> Result<Option<Wish>, Unreadable> {
    talk().hear(&Message::Text(text.into()))
}

/// A stream that has begun, 5 s after its call.
fn begun() -> Conversation {
    let mut talk = talk();
    talk.greet(5000, &mut Vec::new());
    talk
}

#[test]
fn a_stream_opens_with_connected_and_start() {
    let mut out = Vec::new();
    talk().greet(5000, &mut out);
    let opened: Vec<_> = out.iter().map(json_of).collect();
    let expected = [
        json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        json!({
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "streamSid": STREAM_SID,
                "accountSid": ACCOUNT_SID,
                "callSid": CALL_SID,
                "tracks": ["inbound"],
                "customParameters": {"language": "\"en\""},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
            "streamSid": STREAM_SID,
        }),
    ];
    assert_eq!(opened, expected);
}

#[test]
fn audio_is_base64_of_its_codes_with_its_time_in_the_stream() {
    let mut talk = begun();
    let messages = [40_000, 40_160, 41_600].map(|position| {
        let samples: Vec<i16> = (0..160).map(|n| n * 200 - 16_000).collect();
        let out = said(&mut talk, &audio(position, samples));
        json_of(&out[0])
    });
    for (message, (sequence, chunk, at)) in
        messages.iter().zip([("2", "1", "0"), ("3", "2", "20"), ("4", "3", "200")])
    {
        let payload = message["media"]["payload"].as_str().expect("a payload");
        assert_eq!(PAYLOAD.decode(payload).map(|codes| codes.len()), Ok(160));
        let media =
            json!({"track": "inbound", "chunk": chunk, "timestamp": at, "payload": payload});
        let expected = json!({
            "event": "media", "sequenceNumber": sequence, "media": media, "streamSid": STREAM_SID,
        });
        assert_eq!(*message, expected);
    }
}

#[test]
fn audio_from_before_the_connection_is_the_beginning_of_the_stream() {
    let mut talk = begun();
    let at = [32_000, 32_160, 40_000].map(|position| {
        let out = said(&mut talk, &audio(position, [0; 160]));
        json_of(&out[0])["media"]["timestamp"].as_str().map(str::to_owned)
    });
    assert_eq!(at, ["0", "20", "1000"].map(|at| Some(at.to_owned())));
}

#[test]
fn a_message_of_audio_is_written_in_one_allocation() {
    let mut talk = Twilio::new(&facts());
    for samples in [1, 2, 3, 160, 1600] {
        let (Told::Audio(piece), mut out) = (audio(0, vec![0; samples]), Vec::new()) else {
            unreachable!("it is audio")
        };
        (talk.sequence, talk.chunks) = (u64::MAX - 1, u64::MAX - 1);
        let text = talk.media(&piece);
        // The time is the shortest here: all but one of its digits are unused.
        assert_eq!(text.capacity() - text.len(), MAX_DIGITS - 1, "{samples}");
        out.push(Message::Text(text));
        assert_eq!(json_of(&out[0])["sequenceNumber"], u64::MAX.to_string());
    }
}

#[test]
fn what_happens_is_said_as_far_as_there_are_words() {
    let mut talk = begun();
    let said: Vec<_> = told()
        .iter()
        .flat_map(|told| said(&mut talk, told))
        .map(|message| json_of(&message))
        .collect();
    let message = |event: &str, sequence: &str, body: Value| {
        json!({
            "event": event, "sequenceNumber": sequence, event: body, "streamSid": STREAM_SID,
        })
    };
    let expected = [
        message("dtmf", "2", json!({"track": "inbound_track", "digit": "#"})),
        message("dtmf", "3", json!({"track": "inbound_track", "digit": "1"})),
        message("mark", "4", json!({"name": "greeting \"1\""})),
        message("mark", "5", json!({"name": "greeting"})),
        message("stop", "6", json!({"accountSid": ACCOUNT_SID, "callSid": CALL_SID})),
    ];
    assert_eq!(said, expected);
}

#[test]
fn every_code_goes_to_the_bot_and_back() {
    let codes: Vec<u8> = (0..=255).collect();
    let mut samples = vec![0; codes.len()];
    g711::ulaw_decode(&codes, &mut samples);
    let mut talk = begun();
    let out = said(&mut talk, &audio(0, samples.clone()));
    let payload = json_of(&out[0])["media"]["payload"].as_str().map(str::to_owned);
    let sent = PAYLOAD.decode(payload.expect("a payload")).expect("base64");
    // −0 is 0 when it has been a sample.
    let expected: Vec<u8> =
        codes.into_iter().map(|code| if code == 0x7f { 0xff } else { code }).collect();
    assert_eq!(sent, expected);

    let echoed = talk.hear(&out[0]);
    assert_eq!(echoed, Ok(Some(Wish::Audio(samples))));
}

#[test]
fn what_bots_send_is_a_wish() {
    for (text, wish) in [
        // As Python and as JavaScript write it; PHP escapes slashes.
        (
            r#"{"event": "media", "streamSid": "MZ1", "media": {"payload": "/38A"}}"#,
            Wish::Audio(vec![0, 0, -32_124]),
        ),
        (
            r#"{"streamSid":"MZ1","media":{"payload":"\/38A","track":"outbound"},"event":"media"}"#,
            Wish::Audio(vec![0, 0, -32_124]),
        ),
        (r#"{"event":"media","media":{"payload":"/w"}}"#, Wish::Audio(vec![0])),
        (r#"{"event":"media","media":{"payload":"/w=="}}"#, Wish::Audio(vec![0])),
        (r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"a\n"}}"#, Wish::Mark("a\n".into())),
        (r#"{"event":"clear","streamSid":"MZ1"}"#, Wish::Clear),
    ] {
        assert_eq!(hear(text), Ok(Some(wish)), "{text}");
    }
}

#[test]
fn what_we_do_not_know_is_ignored_and_nonsense_is_not() {
    for text in [
        r#"{"event":"start","streamSid":"MZ1","start":{}}"#,
        r#"{"event":"twirl","media":7,"mark":{}}"#,
        r#"{"event":"media","media":{"payload":""}}"#,
    ] {
        assert_eq!(hear(text), Ok(None), "{text}");
    }
    for (text, what) in [
        ("", "EOF"),
        ("[]", "invalid"),
        ("{}", "missing field `event`"),
        (r#"{"event":7}"#, "invalid type"),
        (r#"{"type":"clear"}"#, "missing field `event`"),
        (r#"{"event":"media"}"#, "missing field `media` of the event `media`"),
        (r#"{"event":"media","media":{}}"#, "missing field `payload`"),
        (r#"{"event":"media","media":{"payload":[1]}}"#, "invalid type"),
        (r#"{"event":"media","media":{"payload":"a b="}}"#, "media.payload is not base64"),
        (r#"{"event":"media","media":{"payload":"_w=="}}"#, "Invalid symbol"),
        (r#"{"event":"mark","mark":{"name":7}}"#, "invalid type"),
        (r#"{"event":"mark"}"#, "missing field `mark`"),
    ] {
        let unreadable = hear(text).expect_err(text).to_string();
        assert!(unreadable.contains(what), "{text}: {unreadable}");
    }
    let binary = talk().hear(&Message::Binary(vec![1, 2, 3]));
    assert_eq!(binary, Err(Unreadable::Binary { bytes: 3 }));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        name in any::<String>(),
        codes in proptest::collection::vec(any::<u8>(), 1..2000),
    ) {
        let mark = json!({"event": "mark", "streamSid": STREAM_SID, "mark": {"name": name}});
        prop_assert_eq!(hear(mark.to_string()), Ok(Some(Wish::Mark(name))));

        let payload = PAYLOAD.encode(&codes);
        let media = json!({"event": "media", "media": {"payload": payload}});
        let mut samples = vec![0; codes.len()];
        g711::ulaw_decode(&codes, &mut samples);
        prop_assert_eq!(hear(media.to_string()), Ok(Some(Wish::Audio(samples))));
    }
}
