//! A Vosk server: one answer to each message of audio, partial or final. It knows no end of an
//! utterance but the end of the stream, after which it closes the connection.

use serde::Deserialize;
use serde_json::json;

use super::{Answer, Heard, HeardWord, Unreadable};
use crate::audio::SampleRate;

/// The end of the stream. Servers compare it as a string, so that the spaces matter.
pub(super) const EOF: &str = r#"{"eof" : 1}"#;

pub(super) fn greeting(rate: SampleRate) -> String {
    json!({ "config": { "sample_rate": rate.hz(), "words": 1 } }).to_string()
}

#[derive(Deserialize)]
struct Reply {
    partial: Option<String>,
    text: Option<String>,
    #[serde(default)]
    result: Vec<ReplyWord>,
}

#[derive(Deserialize)]
struct ReplyWord {
    word: String,
    start: f64,
    end: f64,
    conf: Option<f64>,
}

pub(super) fn read(text: &str) -> Result<Answer, Unreadable> {
    let Reply { partial, text, result } = serde_json::from_str(text)?;
    let (text, is_final) = match (text, partial) {
        (Some(text), _) => (text, true),
        (None, Some(partial)) => (partial, false),
        // Answers to an empty message, and what later versions may add.
        (None, None) => return Ok(Answer::Nothing),
    };
    let confidences: Option<Vec<f64>> = result.iter().map(|word| word.conf).collect();
    let confidence = confidences
        .filter(|all| !all.is_empty())
        .map(|all| all.iter().sum::<f64>() / all.len() as f64);
    let words: Vec<HeardWord> = result
        .into_iter()
        .map(|ReplyWord { word, start, end, conf }| HeardWord {
            word,
            start,
            end,
            confidence: conf,
        })
        .collect();
    Ok(Answer::Heard(Heard {
        text,
        is_final,
        start: words.first().map(|word| word.start),
        end: words.last().map(|word| word.end),
        done_until: None,
        words,
        confidence,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_partial_or_final() {
        let Ok(Answer::Heard(heard)) = read(r#"{"partial" : "one tw"}"#) else { panic!("heard") };
        assert_eq!((heard.text.as_str(), heard.is_final, heard.start), ("one tw", false, None));

        let text = r#"{"result" : [
            {"conf" : 1.0, "end" : 1.02, "start" : 0.6, "word" : "one"},
            {"conf" : 0.5, "end" : 1.5, "start" : 1.02, "word" : "two"}
        ], "text" : "one two"}"#;
        let Ok(Answer::Heard(heard)) = read(text) else { panic!("heard") };
        assert_eq!((heard.text.as_str(), heard.is_final), ("one two", true));
        assert_eq!((heard.start, heard.end, heard.confidence), (Some(0.6), Some(1.5), Some(0.75)));
        assert_eq!(heard.words[1].word, "two");

        let Ok(Answer::Heard(heard)) = read(r#"{"text" : ""}"#) else { panic!("heard") };
        assert!(heard.is_final && heard.text.is_empty() && heard.confidence.is_none());
    }

    #[test]
    fn other_things_are_nothing_or_unreadable() {
        assert_eq!(read("{}").ok(), Some(Answer::Nothing));
        for text in ["", "[]", "7", r#"{"text" : 7}"#, r#"{"text":"a","result":[{}]}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_greeting_tells_the_rate() {
        let greeting = greeting(SampleRate::HZ_16000);
        assert_eq!(greeting, r#"{"config":{"sample_rate":16000,"words":1}}"#);
    }
}
