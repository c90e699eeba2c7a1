use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::reader::Findings;
use super::{Config, tree};
use crate::ari::AsteriskSettings;
use crate::runtime::Secret;
use crate::runtime::bot::BotSettings;
use crate::runtime::stt::SttSettings;

const PROCESSORS: [&str; 5] = ["echo", "recorder", "vad", "dtmf", "player"];
const COMMENTED: &str = include_str!("../../docker/sidetone.toml");

fn read(text: &str) -> (Config, Findings) {
    let table = tree::parse(Path::new("sidetone.toml"), text).expect("TOML");
    let findings = Findings::default();
    let config = Config::from_table(&table, &BTreeMap::new(), &PROCESSORS, &findings);
    (config, findings)
}

/// Keys with their sections, those in lines such as `#key = value` included.
fn keys_in(text: &str) -> BTreeSet<String> {
    let mut section = String::new();
    let mut keys = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let name = header.trim_matches(['[', ']']);
            section = if name == "asterisk" { "asterisk.0".to_owned() } else { name.to_owned() };
        } else if !line.starts_with("# ")
            && let Some((key, _)) = line.trim_start_matches('#').split_once(" = ")
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

#[test]
fn the_commented_file_has_every_key_and_no_other() {
    let (_, findings) = read(COMMENTED);
    let known: BTreeSet<String> = findings.keys().into_iter().collect();
    let written = keys_in(COMMENTED);
    assert!(known.len() > 45, "the reader knows {} keys", known.len());
    let missing: Vec<_> = known.difference(&written).collect();
    let unknown: Vec<_> = written.difference(&known).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}

#[test]
fn the_commented_file_says_the_defaults_and_one_asterisk() {
    let (config, findings) = read(COMMENTED);
    let errors = findings.into_errors();
    assert!(errors.is_empty(), "{errors:?}");
    let asterisk = AsteriskSettings { password: Secret::new("sidetone"), ..Default::default() };
    let stt = BTreeMap::from([("vosk".to_owned(), SttSettings::default())]);
    let url = "ws://127.0.0.1:8765/?call={call_id}".parse().expect("a template");
    let bot = BotSettings { url: Some(url), ..BotSettings::default() };
    let bots = BTreeMap::from([("assistant".to_owned(), bot)]);
    assert_eq!(config, Config { asterisk: vec![asterisk], stt, bots, ..Config::default() });
}

#[test]
fn the_alternatives_in_the_commented_file_are_valid_toml() {
    let text = COMMENTED.replace("\n#", "\n").replace("\n ", "\n# ");
    let errors = tree::parse(Path::new("sidetone.toml"), &text).err();
    assert_eq!(errors, None);
}

#[test]
fn the_documentation_has_every_key() {
    let (_, findings) = read(COMMENTED);
    let documentation = include_str!("../../docs/configuration.md");
    let missing: Vec<String> = findings
        .keys()
        .into_iter()
        .filter(|key| !key.starts_with("pipelines."))
        .filter(|key| {
            let name = key.rsplit('.').next().unwrap_or(key);
            !documentation.contains(&format!("| `{name}` |"))
        })
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
