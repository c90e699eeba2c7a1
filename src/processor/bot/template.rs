//! Text with fields of the call in it.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

use crate::call::{CallInfo, Caller};

/// Text with fields of the call in braces, as in `wss://bots.example/{pipeline}?from={caller_number}`.
///
/// `{param.KEY}` is the parameter KEY that the dialplan gave the call along; `{{` and `}}` are
/// braces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Template {
    parts: Vec<Part>,
}

/// Why a text is no [`Template`].
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum TemplateError {
    /// There is no such field.
    #[error(
        "unknown field {{{actual}}}: allowed are {}, {{param.KEY}}, and {{{{ and }}}} for braces",
        Field::all()
    )]
    UnknownField {
        /// What stands in the braces.
        actual: String,
    },
    /// A brace is never closed.
    #[error("the {{ at byte {at} is never closed: write {{{{ for a brace")]
    Unclosed {
        /// Where it stands.
        at: usize,
    },
    /// A brace closes nothing.
    #[error("the }} at byte {at} closes nothing: write }}}} for a brace")]
    Unopened {
        /// Where it stands.
        at: usize,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Text(String),
    Field(Field),
    Parameter(String),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    CallId,
    ChannelId,
    ChannelName,
    CallerNumber,
    CallerName,
    Pipeline,
    Transport,
    Format,
}

/// What goes before the key of a parameter.
const PARAMETER: &str = "param.";

/// What is encoded in a URL: all but the unreserved characters of RFC 3986, section 2.3. So what is
/// put in can neither end its part of the URL nor begin another.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Template {
    /// The text for this call. What is absent is empty; nothing is escaped.
    #[must_use]
    pub fn expand(&self, call: &CallInfo) -> String {
        self.expand_by(call, |value, out| out.push_str(value))
    }

    /// The URL for this call: what is put in is percent-encoded, what is absent is empty.
    #[must_use]
    pub fn expand_url(&self, call: &CallInfo) -> String {
        self.expand_by(call, |value, out| out.extend(utf8_percent_encode(value, RESERVED)))
    }

    /// The text with `x` for every field: what can be checked before there is a call.
    #[must_use]
    pub fn sample(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(_) | Part::Parameter(_) => "x".to_owned(),
        };
        self.parts.iter().map(part).collect()
    }

    fn expand_by(&self, call: &CallInfo, put: impl Fn(&str, &mut String)) -> String {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(field) => put(&field.of(call), &mut out),
                Part::Parameter(key) => {
                    put(call.parameters.get(key).map_or("", String::as_str), &mut out);
                }
            }
        }
        out
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Part::Field(field) => write!(f, "{{{}}}", field.name())?,
                Part::Parameter(key) => write!(f, "{{{PARAMETER}{key}}}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let at = text.len() - rest.len() + brace;
            plain.push_str(&rest[..brace]);
            rest = &rest[brace..];
            if let Some(behind) = rest.strip_prefix("{{") {
                plain.push('{');
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix("}}") {
                plain.push('}');
                rest = behind;
            } else if let Some(inner) = rest.strip_prefix('{') {
                let (name, behind) = inner.split_once('}').ok_or(TemplateError::Unclosed { at })?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::named(name)?);
                rest = behind;
            } else {
                return Err(TemplateError::Unopened { at });
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }
}

impl Part {
    fn named(name: &str) -> Result<Self, TemplateError> {
        let key = name.strip_prefix(PARAMETER).filter(|key| !key.is_empty());
        if let Some(key) = key {
            return Ok(Self::Parameter(key.to_owned()));
        }
        Field::ALL
            .into_iter()
            .find(|field| field.name() == name)
            .map(Self::Field)
            .ok_or_else(|| TemplateError::UnknownField { actual: name.to_owned() })
    }
}

impl Field {
    const ALL: [Self; 8] = [
        Self::CallId,
        Self::ChannelId,
        Self::ChannelName,
        Self::CallerNumber,
        Self::CallerName,
        Self::Pipeline,
        Self::Transport,
        Self::Format,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::CallId => "call_id",
            Self::ChannelId => "channel_id",
            Self::ChannelName => "channel_name",
            Self::CallerNumber => "caller_number",
            Self::CallerName => "caller_name",
            Self::Pipeline => "pipeline",
            Self::Transport => "transport",
            Self::Format => "format",
        }
    }

    /// Every field in its braces, for an error.
    fn all() -> String {
        Self::ALL.map(|field| format!("{{{}}}", field.name())).join(", ")
    }

    fn of(self, call: &CallInfo) -> String {
        let of_caller = |field: fn(&Caller) -> &String| {
            call.caller.as_ref().map(field).cloned().unwrap_or_default()
        };
        match self {
            Self::CallId => call.id.to_string(),
            Self::ChannelId => of_caller(|caller| &caller.channel_id),
            Self::ChannelName => of_caller(|caller| &caller.channel_name),
            Self::CallerNumber => of_caller(|caller| &caller.number),
            Self::CallerName => of_caller(|caller| &caller.name),
            Self::Pipeline => call.pipeline.to_string(),
            Self::Transport => call.transport.to_string(),
            Self::Format => call.format.map(|format| format.to_string()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::audio::MediaFormat;
    use crate::call::{CallId, Transport};

    fn call(parameter: &str) -> CallInfo {
        let id = CallId::new(Uuid::from_u128(7));
        let format = Some(MediaFormat::Ulaw);
        let mut call = CallInfo::unannounced(id, Transport::AudioSocket, format, "bot".into());
        call.parameters = BTreeMap::from([("a b".to_owned(), parameter.to_owned())]);
        call.caller = Some(Caller {
            channel_id: "1.5".to_owned(),
            channel_name: "PJSIP/alice-1".to_owned(),
            number: "+15550100".to_owned(),
            name: "Ä & B".to_owned(),
        });
        call
    }

    fn expanded(template: &str) -> Result<(String, String), TemplateError> {
        let template: Template = template.parse()?;
        Ok((template.expand(&call("v")), template.expand_url(&call("v"))))
    }

    #[test]
    fn every_field_is_put_in_as_it_is_or_encoded_for_a_url() {
        for (template, plain, url) in [
            ("", "", ""),
            ("wss://a/b?c=d#e", "wss://a/b?c=d#e", "wss://a/b?c=d#e"),
            ("{{{{{call_id}}}", "{{00000000-0000-0000-0000-000000000007}", ""),
            ("{channel_id}", "1.5", "1.5"),
            ("/{channel_name}/", "/PJSIP/alice-1/", "/PJSIP%2Falice-1/"),
            ("{caller_number}", "+15550100", "%2B15550100"),
            ("{caller_name}!", "Ä & B!", "%C3%84%20%26%20B!"),
            ("{pipeline}{transport}", "botaudiosocket", "botaudiosocket"),
            ("{format}", "ulaw", "ulaw"),
            ("{param.a b}", "v", "v"),
            ("[{param.other}]", "[]", "[]"),
        ] {
            let url = if url.is_empty() { plain } else { url };
            let expected = (plain.to_owned(), url.to_owned());
            assert_eq!(expanded(template), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_known_of_a_call_is_empty() {
        let id = CallId::new(Uuid::from_u128(7));
        let call = CallInfo::unannounced(id, Transport::Rtp, None, "bot".into());
        let template: Template =
            "<{caller_name}{caller_number}{channel_id}{channel_name}{format}{param.x}>"
                .parse()
                .expect("a template");
        assert_eq!(template.expand(&call), "<>");
    }

    #[test]
    fn what_is_no_template_is_refused_with_what_is_allowed() {
        for (text, error) in [
            ("a{", TemplateError::Unclosed { at: 1 }),
            ("{{{call_id", TemplateError::Unclosed { at: 2 }),
            ("ä}", TemplateError::Unopened { at: 2 }),
            ("{call_id}}", TemplateError::Unopened { at: 9 }),
        ] {
            assert_eq!(text.parse::<Template>(), Err(error), "{text}");
        }
        for name in ["", "callid", "param.", "param", "CALL_ID", "{call_id"] {
            let error = format!("{{{name}}}").parse::<Template>();
            // Two braces are one, as text.
            let expected = match name {
                "{call_id" => TemplateError::Unopened { at: 9 },
                _ => TemplateError::UnknownField { actual: name.to_owned() },
            };
            assert_eq!(error, Err(expected), "{name}");
        }
        assert_eq!(
            TemplateError::UnknownField { actual: "x".to_owned() }.to_string(),
            "unknown field {x}: allowed are {call_id}, {channel_id}, {channel_name}, \
             {caller_number}, {caller_name}, {pipeline}, {transport}, {format}, {param.KEY}, \
             and {{ and }} for braces"
        );
        let unclosed = TemplateError::Unclosed { at: 1 }.to_string();
        assert_eq!(unclosed, "the { at byte 1 is never closed: write {{ for a brace");
    }

    proptest! {
        #[test]
        fn any_text_can_be_written_with_doubled_braces(text in any::<String>()) {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            let template: Template = doubled.parse().expect("a template");
            prop_assert_eq!(template.expand(&call("")), text);
        }

        #[test]
        fn a_template_is_written_as_it_was_read(text in "[{}a.]{0,12}|(a|\\{\\{|\\{call_id\\}|\\{param.b c\\}){0,6}") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string(), text);
            }
        }

        #[test]
        fn whatever_comes_is_a_template_or_an_error(text in "[{}a.]{0,12}|.*") {
            let _ = text.parse::<Template>();
        }

        #[test]
        fn what_is_put_into_a_url_is_one_word_of_it(value in any::<String>()) {
            let template: Template = "{param.a b}".parse().expect("a template");
            let url = template.expand_url(&call(&value));
            let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
            prop_assert!(url.chars().all(harmless), "{}", url);
            prop_assert_eq!(percent_decode_str(&url).decode_utf8_lossy(), value);
        }
    }
}
