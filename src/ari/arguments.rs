use std::collections::BTreeMap;

use thiserror::Error;

use super::settings::{AsteriskSettings, OnEnd};
use crate::audio::{FormatError, MediaFormat, SampleRate};
use crate::call::Transport;

/// What a caller gets: `Stasis(<app>,<pipeline>,key=value,…)` over the settings' defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arguments {
    /// Name of the pipeline.
    pub pipeline: String,
    /// How audio travels.
    pub media: Transport,
    /// Format of the audio.
    pub format: MediaFormat,
    /// What becomes of the caller at the end.
    pub on_end: OnEnd,
    /// Keys that are not ours: for processors.
    pub parameters: BTreeMap<String, String>,
}

/// Arguments that make no sense.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ArgumentError {
    /// An argument behind the pipeline's name is no `key=value`.
    #[error("argument {actual:?} is no key=value")]
    NotKeyValue {
        /// The argument.
        actual: String,
    },
    /// A key was given twice.
    #[error("key {key:?} is given twice")]
    Twice {
        /// The key.
        key: String,
    },
    /// A key of ours has a value that it cannot have.
    #[error("{key}={actual:?}; allowed: {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value.
        actual: String,
        /// The values it can have.
        allowed: &'static str,
    },
    /// The format is none of ours.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The transport does not carry the format.
    #[error("media={media} does not carry format={format}; it carries: {}", names(*media))]
    Carries {
        /// The transport.
        media: Transport,
        /// The format.
        format: MediaFormat,
    },
}

fn names(media: Transport) -> String {
    media.formats().iter().map(|format| format.asterisk_name()).collect::<Vec<_>>().join(", ")
}

impl Arguments {
    /// Reads the arguments behind the application's name. The first one is the pipeline's name,
    /// where it has no `=`; an empty one stands for the default.
    ///
    /// # Errors
    /// [`ArgumentError`] for the first argument that makes no sense.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        settings: &AsteriskSettings,
    ) -> Result<Self, ArgumentError> {
        let mut args = args.iter().map(|arg| arg.as_ref().trim()).peekable();
        let pipeline = args.next_if(|arg| !arg.contains('=')).filter(|name| !name.is_empty());
        let mut parameters = BTreeMap::new();
        for arg in args.filter(|arg| !arg.is_empty()) {
            let (key, value) = arg
                .split_once('=')
                .ok_or_else(|| ArgumentError::NotKeyValue { actual: arg.to_owned() })?;
            let key = key.trim().to_owned();
            if parameters.contains_key(&key) {
                return Err(ArgumentError::Twice { key });
            }
            parameters.insert(key, value.trim().to_owned());
        }
        let media = match parameters.remove("media") {
            None => settings.media,
            Some(word) => match word.as_str() {
                "rtp" => Transport::Rtp,
                "audiosocket" => Transport::AudioSocket,
                _ => return Err(wrong("media", word, "rtp, audiosocket")),
            },
        };
        let format = match parameters.remove("format") {
            Some(name) => name.parse()?,
            None if media.carries(settings.format) => settings.format,
            // A default for the other transport; every transport carries this one.
            None => MediaFormat::Slin(SampleRate::HZ_8000),
        };
        if !media.carries(format) {
            return Err(ArgumentError::Carries { media, format });
        }
        let on_end = match parameters.remove("on_end") {
            None => settings.on_end,
            Some(word) => match word.as_str() {
                "hangup" => OnEnd::Hangup,
                "continue" => OnEnd::Continue,
                _ => return Err(wrong("on_end", word, "hangup, continue")),
            },
        };
        let pipeline = pipeline.unwrap_or(&settings.pipeline).to_owned();
        Ok(Self { pipeline, media, format, on_end, parameters })
    }
}

fn wrong(key: &'static str, actual: String, allowed: &'static str) -> ArgumentError {
    ArgumentError::Value { key, actual, allowed }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(args: &[&str]) -> Result<Arguments, ArgumentError> {
        Arguments::parse(args, &AsteriskSettings::default())
    }

    #[test]
    fn no_arguments_are_the_defaults() {
        for args in [&[][..], &[""]] {
            let arguments = parse(args).unwrap();
            assert_eq!(arguments.pipeline, "echo");
            assert_eq!((arguments.media, arguments.format), (Transport::Rtp, MediaFormat::Ulaw));
            assert_eq!(arguments.on_end, OnEnd::Hangup);
        }
    }

    #[test]
    fn our_keys_are_taken_and_the_rest_is_for_processors() {
        let arguments = parse(&[
            "record",
            "media=audiosocket",
            "format=slin16",
            "on_end=continue",
            "url=ws://bot/?a=b",
        ])
        .unwrap();
        assert_eq!(arguments.pipeline, "record");
        assert_eq!(arguments.media, Transport::AudioSocket);
        assert_eq!(arguments.format, MediaFormat::Slin(SampleRate::HZ_16000));
        assert_eq!(arguments.on_end, OnEnd::Continue);
        assert_eq!(
            arguments.parameters,
            BTreeMap::from([("url".to_owned(), "ws://bot/?a=b".to_owned())]),
        );
    }

    #[test]
    fn a_default_format_that_the_transport_does_not_carry_gives_way_to_slin() {
        let arguments = parse(&["echo", "media=audiosocket"]).unwrap();
        assert_eq!(arguments.format, MediaFormat::Slin(SampleRate::HZ_8000));
    }

    proptest! {
        #[test]
        fn whatever_a_dialplan_says_is_read_or_refused(
            args in prop::collection::vec("[a-z]{0,8}(=.{0,12})?|.{0,16}", 0..6),
        ) {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            if let Ok(arguments) = parse(&args) {
                prop_assert!(arguments.media.carries(arguments.format));
                prop_assert!(!arguments.parameters.contains_key("media"));
            }
        }

        #[test]
        fn parameters_come_through_as_they_are(key in "x[a-z_]{0,8}", value in "[!-~]{0,16}") {
            let arguments = parse(&["echo", &format!("{key}={value}")]).unwrap();
            prop_assert_eq!(arguments.parameters.get(&key), Some(&value));
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (args, message) in [
            (
                &["echo", "media=carrier-pigeon"][..],
                "media=\"carrier-pigeon\"; allowed: rtp, audiosocket",
            ),
            (&["echo", "on_end=park"], "on_end=\"park\"; allowed: hangup, continue"),
            (&["echo", "fast"], "argument \"fast\" is no key=value"),
            (&["echo", "a=1", "a=2"], "key \"a\" is given twice"),
            (
                &["echo", "format=slin8"],
                "format \"slin8\" is not served; allowed: ulaw, alaw, g722, opus, slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96, slin192",
            ),
            (
                &["media=audiosocket", "format=ulaw"],
                "media=audiosocket does not carry format=ulaw; it carries: slin, slin12, slin16, slin24, slin32, slin44, slin48, slin96, slin192",
            ),
        ] {
            assert_eq!(parse(args).unwrap_err().to_string(), message);
        }
    }
}
