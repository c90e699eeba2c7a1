//! Passwords and tokens: as they are, in a file, or in the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use super::error::{Place, Problem};
use super::reader::Section;
use super::tree::shown;
use crate::runtime::Secret;

/// A file with a secret holds a secret, not a film.
const MAX_BYTES: u64 = 4096;

/// Environment variables by name.
pub(super) type Variables = BTreeMap<OsString, OsString>;

/// The three keys by which a secret is given.
pub(super) struct SecretKeys {
    /// The secret itself.
    pub(super) plain: &'static str,
    /// The path of a file that holds it.
    pub(super) file: &'static str,
    /// The name of an environment variable that holds it.
    pub(super) variable: &'static str,
    /// What is said where none is given; `None`: that is no mistake.
    pub(super) wanted: Option<&'static str>,
}

/// The secret, from the one of its three keys that is given; a mistake is reported.
///
/// Where several are given, those at the strongest place count, so that the environment can put a
/// file in the place of a plain secret in the configuration.
pub(super) fn secret(
    section: &mut Section<'_>,
    keys: &SecretKeys,
    variables: &Variables,
) -> Option<Secret> {
    let findings = section.findings();
    let plain = section.secret(keys.plain);
    let file = section.string(keys.file);
    let variable = section.string(keys.variable);
    let all = [keys.plain, keys.file, keys.variable];
    let strength = |key: &str| match findings.place(&section.key(key)) {
        Place::Nowhere => 0,
        Place::File { .. } => 1,
        Place::Environment { .. } => 2,
        Place::Flag { .. } => 3,
    };
    let strongest = all.map(strength).into_iter().max().unwrap_or(0);
    let given: Vec<&str> = all.into_iter().filter(|key| strength(key) == strongest).collect();
    match given.as_slice() {
        // What is no table at all has been reported.
        _ if !section.is_table() => None,
        _ if strongest == 0 => {
            if let Some(wanted) = keys.wanted {
                let problem = Problem::Missing { wanted: wanted.to_owned() };
                findings.report(section.place().clone(), section.key(keys.plain), problem);
            }
            None
        }
        [key] if *key == keys.plain => plain.map(Secret::new),
        [key] if *key == keys.file => from_file(section, keys.file, file?),
        [_] => from_variable(section, keys.variable, &variable?, variables),
        several => {
            let reason = format!("only one may be given of {}", several.join(", "));
            section.report(several[0], Problem::Conflict { reason });
            None
        }
    }
}

fn from_file(section: &Section<'_>, key: &str, path: String) -> Option<Secret> {
    let refuse = |problem| {
        section.report(key, problem);
        None
    };
    let too_long = fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_BYTES);
    if too_long {
        let allowed = format!("a file of at most {MAX_BYTES} bytes");
        return refuse(Problem::not_allowed(shown(&path), allowed));
    }
    match fs::read_to_string(&path) {
        Err(error) => refuse(Problem::Unreadable { path, reason: error.to_string() }),
        Ok(text) => match text.trim_end_matches(['\r', '\n']) {
            "" => refuse(Problem::not_allowed(shown(&path), "a file that is not empty")),
            secret => Some(Secret::new(secret)),
        },
    }
}

fn from_variable(
    section: &Section<'_>,
    key: &str,
    name: &str,
    variables: &Variables,
) -> Option<Secret> {
    let value = variables.get(&OsString::from(name)).and_then(|value| value.to_str());
    match value {
        Some(secret) if !secret.is_empty() => Some(Secret::new(secret)),
        _ => {
            let allowed = "the name of an environment variable that is set and not empty";
            section.report(key, Problem::not_allowed(shown(name), allowed));
            None
        }
    }
}
