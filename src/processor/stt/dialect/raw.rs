//! A service of one's own: binary audio, and JSON objects both ways.
//!
//! An object with `text` is a result, in the fields of our own transcripts, with times in
//! milliseconds of the audio of this connection. Everything else is passed on as it is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Heard, HeardWord, Unreadable};
use crate::audio::SampleRate;
use crate::processor::stt::Encoding;

pub(super) const FINALIZE: &str = r#"{"type":"finalize"}"#;
pub(super) const STOP: &str = r#"{"type":"stop"}"#;

pub(super) fn greeting(rate: SampleRate, encoding: Encoding) -> String {
    json!({ "type": "start", "rate_hz": rate.hz(), "encoding": encoding.name() }).to_string()
}

#[derive(Deserialize)]
struct Transcribed {
    text: String,
    #[serde(default = "yes")]
    is_final: bool,
    start_ms: Option<f64>,
    end_ms: Option<f64>,
    #[serde(default)]
    words: Vec<ResultWord>,
    confidence: Option<f64>,
}

#[derive(Deserialize)]
struct ResultWord {
    word: String,
    start_ms: f64,
    end_ms: f64,
    confidence: Option<f64>,
}

fn yes() -> bool {
    true
}

pub(super) fn read(text: &str) -> Result<Answer, Unreadable> {
    let message: Value = serde_json::from_str(text)?;
    let object = message.as_object().ok_or(Unreadable::NoObject)?;
    if !object.contains_key("text") {
        return Ok(Answer::Message(message));
    }
    let Transcribed { text, is_final, start_ms, end_ms, words, confidence } =
        serde_json::from_value(message)?;
    let seconds = |ms: f64| ms / 1e3;
    let words: Vec<HeardWord> = words
        .into_iter()
        .map(|ResultWord { word, start_ms, end_ms, confidence }| HeardWord {
            word,
            start: seconds(start_ms),
            end: seconds(end_ms),
            confidence,
        })
        .collect();
    let first = words.first().map(|word| word.start);
    let last = words.last().map(|word| word.end);
    let end = end_ms.map(seconds).or(last);
    Ok(Answer::Heard(Heard {
        text,
        is_final,
        start: start_ms.map(seconds).or(first),
        end,
        done_until: end,
        words,
        confidence,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_fields_of_our_transcripts() {
        let text = r#"{"text":"one","words":[{"word":"one","start_ms":500,"end_ms":900}]}"#;
        let Ok(Answer::Heard(heard)) = read(text) else { panic!("heard") };
        assert_eq!((heard.text.as_str(), heard.is_final), ("one", true));
        assert_eq!((heard.start, heard.end), (Some(0.5), Some(0.9)));
        let text = r#"{"text":"on","is_final":false,"start_ms":0,"end_ms":250,"confidence":0.5}"#;
        let Ok(Answer::Heard(heard)) = read(text) else { panic!("heard") };
        assert_eq!((heard.is_final, heard.end, heard.confidence), (false, Some(0.25), Some(0.5)));
    }

    #[test]
    fn other_objects_are_passed_on_and_the_rest_is_unreadable() {
        let text = r#"{"type":"mood","value":[1,null]}"#;
        assert_eq!(read(text).ok(), Some(Answer::Message(json!({"type":"mood","value":[1,null]}))));
        for text in ["", "x", "[1]", "null", r#"{"text":1}"#, r#"{"text":"a","words":[{}]}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_greeting_says_what_is_sent() {
        let greeting = greeting(SampleRate::HZ_8000, Encoding::Alaw);
        assert_eq!(greeting, r#"{"encoding":"alaw","rate_hz":8000,"type":"start"}"#);
    }
}
