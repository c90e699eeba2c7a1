//! The sections of speech-to-text services and of bots.

use sidetone::audio::SampleRate;
use sidetone::call::Destination;
use sidetone::processor::bot::{BargeIn, Dialect};
use sidetone::processor::stt::Encoding;

use super::Given;

const SERVICE: &str = "[stt.a]\nurl = \"wss://stt.example/listen?model=x\"\n";

#[test]
fn a_pipeline_names_its_service_which_one_alone_need_not_be() {
    let pipeline = |name: &str| format!("[pipelines.p]\nprocessors = [{name:?}]\n");
    for name in ["stt", "stt.a"] {
        Given::file(&format!("{SERVICE}{}", pipeline(name))).config();
    }
    let unknown = Given::file(&pipeline("stt")).only_error();
    assert!(unknown.contains("the processor \"stt\""), "{unknown}");
    let second = "[stt.b]\nurl = \"ws://127.0.0.1:2700\"\n";
    let two = format!("{SERVICE}{second}{}", pipeline("stt"));
    let ambiguous = Given::file(&two).only_error();
    assert!(ambiguous.contains("player, stt.a, stt.b"), "{ambiguous}");
    Given::file(&format!("{SERVICE}{second}{}", pipeline("stt.b"))).config();
}

#[test]
fn every_mistake_in_a_service_is_told() {
    let text = "[stt.a]\ndialect = \"voks\"\nrate_hz = 44100\nchunk_ms = 10\n\
                headers = [\"X-Key: v\", \"hunter2\"]\ntoken_env = \"NONE\"\n\
                reconnect_min_ms = 2000\nreconnect_max_ms = 1000\n[stt.\"b c\"]\nurl = \"http://x\"";
    let errors = Given::file(text).errors();
    for expected in [
        "stt.a.url: missing: where the service is",
        "did you mean `vosk`",
        "stt.a.rate_hz: 44100",
        "stt.a.chunk_ms: 10 is not allowed; allowed: 20 to 200",
        "stt.a.headers: number 2 of the headers is not allowed; allowed: \"Name: value\"",
        "stt.a.token_env: \"NONE\" is not allowed",
        "stt.a.reconnect_max_ms: 1000 is below reconnect_min_ms",
        "the name \"b c\"",
        "stt.b c.url: \"http://x\" is not allowed",
    ] {
        let told = errors.iter().filter(|error| error.contains(expected)).count();
        assert_eq!(told, 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 9, "{errors:#?}");
    assert!(!errors.join("\n").contains("hunter2"), "a header may be a secret");
}

#[test]
fn an_encoding_is_one_that_the_dialect_has_and_the_rate_one_of_the_encodings() {
    let service = |more: &str| Given::file(&format!("{SERVICE}{more}"));
    for (rate, hz) in [("", None), ("rate_hz = 48000", Some(SampleRate::HZ_48000))] {
        for dialect in ["deepgram", "raw"] {
            let given = format!("dialect = {dialect:?}\nencoding = \"opus\"\n{rate}");
            let config = service(&given).config();
            let told = (config.stt["a"].session.encoding, config.stt["a"].rate);
            assert_eq!(told, (Encoding::Opus, hz));
        }
    }
    for encoding in ["opus", "mulaw", "alaw"] {
        let error = service(&format!("encoding = {encoding:?}")).only_error();
        let expected = format!(
            "stt.a.encoding: {encoding:?} is not allowed with the dialect \"vosk\"; allowed: linear16"
        );
        assert!(error.ends_with(&expected), "{error}");
    }
    let given = "dialect = \"deepgram\"\nencoding = \"opus\"\nrate_hz = 32000";
    let error = service(given).only_error();
    let expected = "stt.a.rate_hz: 32000 is not allowed; allowed: 0 (the call's), 8000, 12000, 16000, \
                    24000, 48000";
    assert!(error.ends_with(expected), "{error}");
    let error = service("dialect = \"deepgram\"\nencoding = \"opuss\"").only_error();
    assert!(
        error.contains("did you mean `opus`?; allowed: linear16, mulaw, alaw, opus"),
        "{error}"
    );
}

#[test]
fn a_services_token_may_be_missing_or_come_from_the_environment() {
    assert_eq!(Given::file(SERVICE).config().stt["a"].token, None);
    let given = Given::file(&format!("{SERVICE}token_env = \"KEY\"")).variable("KEY", "hunter2");
    let config = given.config();
    let token = config.stt["a"].token.as_ref().expect("a token");
    assert_eq!(token.reveal(), "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    let warned = Given::file("[stt.a]\nurl = \"ws://stt.example\"\n").config().warnings();
    assert!(warned.iter().any(|warning| warning.contains("unencrypted to stt.example")));
}

const BOT: &str = "[bot.a]\nurl = \"wss://bot.example/{param.lang}?call={call_id}\"\n";

#[test]
fn a_pipeline_names_its_bot_which_one_alone_need_not_be() {
    let pipeline = |name: &str| format!("[pipelines.p]\nprocessors = [\"vad\", {name:?}]\n");
    for name in ["bot", "bot.a"] {
        Given::file(&format!("{BOT}{}", pipeline(name))).config();
    }
    let two = format!("{BOT}[bot.b]\n{}", pipeline("bot"));
    let ambiguous = Given::file(&two).only_error();
    assert!(ambiguous.contains("player, bot.a, bot.b"), "{ambiguous}");
}

#[test]
fn a_bot_is_what_its_section_says() {
    let text = format!(
        "{BOT}dialect = \"twilio\"\nbarge_in = \"pause\"\ncomfort = \"tone:425/100\"\n\
         fallback = \"continue\"\nfallback_to = \"support, 100 ,2\"\n\
         parameters = [\"number={{caller_number}}\"]\nstats_ms = 1000\n"
    );
    let config = Given::file(&text).config();
    let bot = &config.bots["a"];
    assert_eq!((bot.session.dialect, bot.rate), (Dialect::Twilio, None));
    assert_eq!(bot.behaviour.barge_in, BargeIn::Pause);
    assert_eq!(bot.behaviour.comfort.as_ref().map(ToString::to_string).unwrap(), "tone:425/100");
    let destination = Destination {
        context: Some("support".to_owned()),
        extension: Some("100".to_owned()),
        priority: Some(2),
    };
    assert_eq!(bot.behaviour.fallback.destination, Some(destination));
    assert_eq!(bot.parameters[0].0, "number");
    let behind = Given::file(&format!("{BOT}fallback = \"continue\"")).config();
    let destination = &behind.bots["a"].behaviour.fallback.destination;
    assert_eq!(destination, &Some(Destination::default()), "behind Stasis()");
    let hertz = Given::file(&format!("{BOT}rate_hz = 24000")).config().bots["a"].rate;
    assert_eq!(hertz, Some(SampleRate::HZ_24000));
}

#[test]
fn every_mistake_in_a_bot_is_told() {
    let text = "[bot.a]\nurl = \"ws://bot.example/{caler_number}\"\ndialect = \"twillio\"\n\
                headers = [\"X-Key: {secret-hunter2}\"]\nparameters = [\"a\", \"b={c}\"]\n\
                barge_in = \"stop\"\nchunk_ms = 500\nfallback_to = \"support,100\"\n\
                comfort = \"ring.wav\"\naccount_sid = \"AC12\"\nxoff_ms = 1000\nxon_ms = 1000\n\
                fallback_play = \"tone:1\"\n\
                [bot.b]\ndialect = \"twilio\"\nrate_hz = 16000\nxoff_ms = 70000\n\
                fallback = \"continue\"\nfallback_to = \"support,100,0\"\n[api]\nenabled = false\n";
    let errors = Given::file(text).errors();
    for expected in [
        "bot.a.url: unknown field {caler_number}",
        "did you mean `twilio`",
        "bot.a.headers: the value of X-Key has braces",
        "bot.a.parameters: \"a\" is not allowed; allowed: \"key=value\"",
        "bot.a.parameters: unknown field {c}",
        "bot.a.barge_in: \"stop\"",
        "bot.a.chunk_ms: 500 is not allowed; allowed: 20 to 200",
        "bot.a.fallback_to: it needs fallback = \"continue\"",
        "bot.a.comfort: \"ring.wav\" is a file, which needs player.root",
        "bot.a.account_sid: \"AC12\" is not allowed",
        "bot.a.xon_ms: 1000 is not below xoff_ms, 1000",
        "bot.a.fallback_play: \"tone:1\" is not allowed",
        "bot.b.rate_hz: the dialect \"twilio\" has 8000 Hz",
        "bot.b.xoff_ms: 70000 is above max_queued_ms, 60000",
        "bot.b.fallback_to: \"support,100,0\" is not allowed",
        "bot.b.url: without it the bot connects to us, which needs api.enabled",
    ] {
        let told = errors.iter().filter(|error| error.contains(expected)).count();
        assert_eq!(told, 1, "{expected}: {errors:#?}");
    }
    assert_eq!(errors.len(), 16, "{errors:#?}");
    assert!(!errors.join("\n").contains("hunter2"), "a header may be a secret");
}

#[test]
fn a_bot_elsewhere_that_is_not_encrypted_is_warned_of() {
    let warned = Given::file("[bot.a]\nurl = \"ws://bot.example/\"\n").config().warnings();
    assert!(warned.iter().any(|warning| warning.contains("bot.a: what callers say")), "{warned:?}");
    assert_eq!(Given::file(BOT).config().warnings(), Vec::<String>::new());
}
