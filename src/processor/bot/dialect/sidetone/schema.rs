//! The JSON Schema of the messages, for those who write bots: made of the types themselves.

use std::{env, fs};

use boon::{Compiler, SchemaIndex, Schemas};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Deserializer, Map, Value, json};

use super::super::tests::{facts, text, told};
use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bot-protocol.schema.json");

/// With this in its environment the test writes the file.
const WRITE: &str = "SIDETONE_WRITE_SCHEMA";

/// Where the two kinds of messages are found in the schema.
const TO_BOT: &str = "#/$defs/ToBot";
const FROM_BOT: &str = "#/$defs/FromBot";

fn schema() -> Value {
    let mut definitions = Map::new();
    // What we write has all of its fields, what we read may lack those that have a default.
    define::<ToBot<'_>>(SchemaSettings::draft2020_12().for_serialize(), &mut definitions);
    define::<FromBot>(SchemaSettings::draft2020_12().for_deserialize(), &mut definitions);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Sidetone's bot protocol, version 1",
        "description": "The text messages of a bot's WebSocket: ToBot those that the bot is sent, \
            FromBot those that it may send. Binary messages are audio.",
        "anyOf": [{"$ref": TO_BOT}, {"$ref": FROM_BOT}],
        "$defs": definitions,
    })
}

fn define<T: JsonSchema>(settings: SchemaSettings, definitions: &mut Map<String, Value>) {
    let mut generator = settings.into_generator();
    generator.subschema_for::<T>();
    for (name, definition) in generator.take_definitions(true) {
        assert!(definitions.insert(name.clone(), definition).is_none(), "two are called {name}");
    }
}

/// What a message is validated with.
struct Validator {
    schemas: Schemas,
    to_bot: SchemaIndex,
    from_bot: SchemaIndex,
}

impl Validator {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("bot.json", schema()).expect("a resource");
        let mut compile = |at: &str| {
            let schema = compiler.compile(&format!("bot.json{at}"), &mut schemas);
            schema.unwrap_or_else(|error| panic!("{at}: {error:#}"))
        };
        let (to_bot, from_bot) = (compile(TO_BOT), compile(FROM_BOT));
        Self { schemas, to_bot, from_bot }
    }

    fn is_valid(&self, schema: SchemaIndex, message: &Value) -> bool {
        self.schemas.validate(message, schema).is_ok()
    }
}

#[test]
fn the_schema_in_docs_is_the_one_of_the_types() {
    let mut made = serde_json::to_string_pretty(&schema()).expect("JSON");
    // Comments are wrapped and have links: neither is of use here.
    for (from, to) in [("\\n", " "), ("[`", "`"), ("`]", "`")] {
        made = made.replace(from, to);
    }
    made.push('\n');
    if env::var_os(WRITE).is_some() {
        fs::write(FILE, &made).expect("the file can be written");
    }
    let written = fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == made,
        "{FILE} is not what the types say: write it by `{WRITE}=1 cargo test --lib schema`"
    );
}

#[test]
fn all_that_is_said_is_valid() {
    let validator = Validator::new();
    let mut talk = Sidetone::new(&facts());
    let mut out = Vec::new();
    talk.greet(0, &mut out);
    let mut unannounced = facts();
    (unannounced.call.format, unannounced.call.caller) = (None, None);
    Sidetone::new(&unannounced).greet(0, &mut out);
    for told in told() {
        talk.say(&told, &mut out);
    }
    assert!(out.len() > 15, "only {} messages", out.len());
    for message in &out {
        let message: Value = serde_json::from_str(text(message)).expect("JSON");
        let valid = validator.schemas.validate(&message, validator.to_bot);
        assert!(valid.is_ok(), "{message}: {:#}", valid.expect_err("invalid"));
        // The schema is no wider than that: each field is needed, but for those that may be absent.
        for (field, _) in message.as_object().expect("an object") {
            let mut less = message.clone();
            less.as_object_mut().expect("an object").remove(field);
            let may = ["duration_ms", "reason"].contains(&field.as_str())
                && ["dtmf", "playback"].contains(&message["type"].as_str().expect("a type"));
            assert_eq!(validator.is_valid(validator.to_bot, &less), may, "{less}");
        }
    }
}

#[test]
fn the_schema_and_we_agree_on_what_a_bot_may_say() {
    let validator = Validator::new();
    for message in [
        json!({"type": "clear"}),
        json!({"type": "mark", "name": "a"}),
        json!({"type": "pause"}),
        json!({"type": "resume"}),
        json!({"type": "play", "source": "a.wav"}),
        json!({"type": "play", "source": "a.wav", "loop": true}),
        json!({"type": "send_dtmf", "digits": "1"}),
        json!({"type": "hangup"}),
        json!({"type": "hangup", "when": "played"}),
        json!({"type": "transfer"}),
        json!({"type": "transfer", "context": "a", "extension": "1", "priority": 1}),
        json!({"type": "transfer", "context": null}),
        json!({"type": "processor", "name": "vad", "on": true}),
        // These are not understood.
        json!({}),
        json!([]),
        json!({"type": "clera"}),
        json!({"type": "clear", "now": true}),
        json!({"type": "mark"}),
        json!({"type": "mark", "name": 7}),
        json!({"type": "mark", "name": "a", "nmae": "b"}),
        json!({"type": "play", "source": "a.wav", "looped": true}),
        json!({"type": "hangup", "when": "later"}),
        json!({"type": "transfer", "priority": -1}),
        json!({"type": "processor", "name": "vad"}),
    ] {
        let understood = serde_json::from_value::<FromBot>(message.clone()).is_ok();
        assert_eq!(validator.is_valid(validator.from_bot, &message), understood, "{message}");
    }
}

#[test]
fn the_examples_in_docs_are_valid() {
    let docs = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/bot.md"));
    let (docs, _) = docs.split_once("\n## `twilio`").expect("a section for each dialect");
    let validator = Validator::new();
    let (mut to_bot, mut from_bot) = (0, 0);
    for block in docs.split("```json").skip(1) {
        let (block, _) = block.split_once("```").expect("the end of a block");
        for message in Deserializer::from_str(block).into_iter::<Value>() {
            let message = message.unwrap_or_else(|error| panic!("{error} in {block}"));
            assert!(validator.is_valid(validator.to_bot, &message), "{message}");
            to_bot += 1;
        }
    }
    for code in docs.split('`').filter(|code| code.starts_with(r#"{"type""#)) {
        let message =
            serde_json::from_str(code).unwrap_or_else(|error| panic!("{error} in {code}"));
        assert!(validator.is_valid(validator.from_bot, &message), "{message}");
        from_bot += 1;
    }
    assert!(to_bot > 10 && from_bot > 8, "only {to_bot} and {from_bot} examples were found");
}
