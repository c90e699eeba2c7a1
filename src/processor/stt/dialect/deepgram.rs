//! Deepgram's live transcription. Its clock counts audio only: keep-alives do not move it.

use std::time::Duration;

use serde::Deserialize;

use super::{Answer, Heard, HeardWord, Unreadable};
use crate::audio::SampleRate;
use crate::processor::stt::Encoding;

pub(super) const FINALIZE: &str = r#"{"type":"Finalize"}"#;
pub(super) const CLOSE: &str = r#"{"type":"CloseStream"}"#;
pub(super) const KEEP_ALIVE: &str = r#"{"type":"KeepAlive"}"#;

/// After 10 s without audio and without this it closes the connection.
pub(super) const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(4);

/// What `base` asks for, and what it must ask for besides.
pub(super) fn url(base: &str, rate: SampleRate, encoding: Encoding) -> String {
    let (address, query) = base.split_once('?').unwrap_or((base, ""));
    let rate = rate.hz().to_string();
    let needed = [("encoding", encoding.name()), ("sample_rate", &rate), ("channels", "1")];
    let usual = [("interim_results", "true")];
    let name_of = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_owned();
    let mut parameters: Vec<String> = query
        .split('&')
        .filter(|given| !given.is_empty())
        .filter(|given| !needed.iter().any(|(name, _)| name_of(given) == *name))
        .map(str::to_owned)
        .collect();
    let asked = |name: &str| parameters.iter().any(|given| name_of(given) == name);
    let missing = usual.into_iter().filter(|(name, _)| !asked(name)).collect::<Vec<_>>();
    for (name, value) in needed.into_iter().chain(missing) {
        parameters.push(format!("{name}={value}"));
    }
    format!("{address}?{}", parameters.join("&"))
}

#[derive(Deserialize)]
struct Reply {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Results {
    start: f64,
    duration: f64,
    #[serde(default)]
    is_final: bool,
    channel: Channel,
}

#[derive(Deserialize)]
struct Channel {
    alternatives: Vec<Alternative>,
}

#[derive(Deserialize)]
struct Alternative {
    transcript: String,
    confidence: Option<f64>,
    #[serde(default)]
    words: Vec<ReplyWord>,
}

#[derive(Deserialize)]
struct ReplyWord {
    word: String,
    punctuated_word: Option<String>,
    start: f64,
    end: f64,
    confidence: Option<f64>,
}

pub(super) fn read(text: &str) -> Result<Answer, Unreadable> {
    let Reply { kind } = serde_json::from_str(text)?;
    if kind != "Results" {
        return Ok(Answer::Nothing);
    }
    let Results { start, duration, is_final, channel } = serde_json::from_str(text)?;
    let end = start + duration;
    let mut heard = Heard {
        is_final,
        start: Some(start),
        end: Some(end),
        done_until: Some(end),
        ..Heard::default()
    };
    // The first one is the best.
    if let Some(best) = channel.alternatives.into_iter().next() {
        let Alternative { transcript, confidence, words } = best;
        heard.text = transcript;
        heard.confidence = confidence;
        heard.words = words
            .into_iter()
            .map(|ReplyWord { word, punctuated_word, start, end, confidence }| HeardWord {
                word: punctuated_word.unwrap_or(word),
                start,
                end,
                confidence,
            })
            .collect();
    }
    if let (Some(first), Some(last)) = (heard.words.first(), heard.words.last()) {
        (heard.start, heard.end) = (Some(first.start), Some(last.end));
    }
    Ok(Answer::Heard(heard))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_what_is_sent_and_keeps_what_was_asked_for() {
        let url = |base| url(base, SampleRate::HZ_16000, Encoding::Mulaw);
        let sent = "encoding=mulaw&sample_rate=16000&channels=1";
        assert_eq!(
            url("wss://a/v1/listen"),
            format!("wss://a/v1/listen?{sent}&interim_results=true")
        );
        assert_eq!(
            url("wss://a/v1/listen?model=nova-3&interim_results=false&encoding=opus"),
            format!("wss://a/v1/listen?model=nova-3&interim_results=false&{sent}")
        );
    }

    #[test]
    fn results_carry_the_words_of_the_best_alternative() {
        let text = r#"{"type":"Results","channel_index":[0,1],"duration":1.5,"start":2.0,
            "is_final":true,"speech_final":true,"from_finalize":false,
            "channel":{"alternatives":[{"transcript":"One two.","confidence":0.9,"words":[
                {"word":"one","start":2.1,"end":2.5,"confidence":0.8,"punctuated_word":"One"},
                {"word":"two","start":2.6,"end":3.0,"confidence":1.0}]}]}}"#;
        let Ok(Answer::Heard(heard)) = read(text) else { panic!("heard") };
        assert_eq!((heard.text.as_str(), heard.is_final), ("One two.", true));
        assert_eq!((heard.start, heard.end, heard.done_until), (Some(2.1), Some(3.0), Some(3.5)));
        assert_eq!(heard.words[0].word, "One");
        assert_eq!(heard.words[1].word, "two");

        let silent = r#"{"type":"Results","duration":1.0,"start":0.0,"is_final":true,
            "channel":{"alternatives":[{"transcript":"","confidence":0.0,"words":[]}]}}"#;
        let Ok(Answer::Heard(heard)) = read(silent) else { panic!("heard") };
        assert_eq!((heard.text.as_str(), heard.done_until), ("", Some(1.0)));
    }

    #[test]
    fn other_messages_are_nothing() {
        for kind in ["Metadata", "SpeechStarted", "UtteranceEnd"] {
            let text = format!(r#"{{"type":"{kind}","x":1}}"#);
            assert_eq!(read(&text).ok(), Some(Answer::Nothing));
        }
        for text in ["", "{}", r#"{"type":"Results"}"#, r#"{"type":"Results","start":"a"}"#] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
