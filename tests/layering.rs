//! The house's rules, checked on the text of the source: imports only go down, the clock is read in
//! one place, crates stay on the floors that may have them, and files stay small.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms by floor, the lowest first.
const FLOORS: [&[&str]; 5] = [
    &["audio", "wire", "dsp"],
    &["media", "processor", "engine", "event", "call"],
    &["runtime"],
    &["ari", "api"],
    &["cli", "server", "config", "main"],
];

/// Modules of no floor: `lib.rs` itself, and what unit tests share.
const ROOFLESS: [&str; 2] = ["lib", "testing"];

/// Third-party crates, each with the rooms that may use it. A room that is not named, or a crate
/// that is not, is a fault.
const CRATES: &[(&str, &[&str])] = &[
    ("audiopus", &["dsp"]),
    ("axum", &["api"]),
    ("base64", &["processor", "runtime", "ari", "api"]),
    // For tests.
    ("boon", &["processor"]),
    ("bytes", &["wire", "media", "engine", "runtime", "ari"]),
    ("clap", &["cli"]),
    ("crossbeam_queue", &["runtime"]),
    ("dasp", &["dsp"]),
    ("earshot", &["dsp"]),
    ("etherparse", &["cli"]),
    ("futures_util", &["runtime", "ari", "api", "server"]),
    ("hdrhistogram", &["cli"]),
    ("hound", &["runtime", "cli"]),
    ("humantime", &["cli"]),
    ("hyper", &["api"]),
    ("hyper_util", &["api"]),
    ("libc", &["runtime"]),
    ("mio", &["runtime", "cli"]),
    ("pcap_parser", &["cli"]),
    ("percent_encoding", &["processor"]),
    ("plotters", &["cli"]),
    ("prometheus_client", &["runtime", "ari", "api"]),
    ("proptest", ANYWHERE),
    ("rand", &["media", "engine", "runtime", "ari"]),
    ("rcgen", &["runtime"]),
    ("reqwest", &["ari"]),
    ("ring", &["runtime"]),
    ("rlimit", &["cli"]),
    ("rtp_rs", &["wire"]),
    ("rustix", &["runtime", "cli"]),
    ("rustls", &["runtime", "ari"]),
    ("rustls_native_certs", &["runtime"]),
    // For a test.
    ("schemars", &["call", "processor"]),
    ("serde", ANYWHERE),
    // In `media` for a unit test of a JSON form; what services say is JSON.
    ("serde_json", &["event", "media", "processor", "runtime", "ari", "api", "cli"]),
    ("slab", &["runtime"]),
    ("socket2", &["runtime", "cli"]),
    ("tempfile", &["runtime", "api", "config", "cli"]),
    ("thiserror", ANYWHERE),
    ("tokio", &["runtime", "ari", "api", "cli", "server"]),
    ("tokio_tungstenite", &["runtime"]),
    ("toml", &["config"]),
    ("tracing", &["runtime", "ari", "api", "cli", "server"]),
    ("tracing_subscriber", &["cli"]),
    // For a bench.
    ("webrtc_vad", &[]),
];

/// Crates that are in the table above under this: values without I/O, or for tests only.
const ANYWHERE: &[&str] = &["*"];

/// `uuid` has values, and makes new ones from a clock and chance: only the values are for all.
const UUID: (&str, &[&str]) = ("uuid", ANYWHERE);

/// Reads of a clock, wherever they come from.
const CLOCKS: [&str; 5] =
    ["Instant::now", "SystemTime::now", "Uuid::now_v7", "Utc::now", "clock_gettime"];
const CLOCK_FILE: &str = "runtime/clock.rs";

const MAX_LINES: usize = 450;

#[test]
fn the_source_keeps_to_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&root);
    assert!(files.len() > 60, "only {} files were found", files.len());
    let mut faults = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let name = path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8");
        faults.extend(faults_of(name, &text));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dependency_is_in_the_table() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies: Vec<String> = manifest
        .split_once("[dependencies]")
        .and_then(|(_, rest)| rest.split_once("\n["))
        .expect("a section")
        .0
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name.replace('-', "_"))
        .collect();
    assert!(dependencies.len() > 20, "only {dependencies:?} were found");
    let missing: Vec<_> = dependencies.iter().filter(|name| rooms_of(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the source");
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What a file does that it may not, one sentence each.
fn faults_of(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        faults.push(format!("{name}: {lines} lines, at most {MAX_LINES}"));
    }
    let code = without_comments_and_strings(text);
    if name != CLOCK_FILE {
        for clock in CLOCKS.iter().filter(|clock| code.contains(*clock)) {
            faults.push(format!("{name}: {clock}: only {CLOCK_FILE} reads a clock"));
        }
    }
    let room = room_of(name);
    if ROOFLESS.contains(&room) {
        return faults;
    }
    let Some(floor) = floor_of(room) else {
        faults.push(format!("{name}: the room {room} is on no floor"));
        return faults;
    };
    let others = used(&code, "crate").into_iter().chain(used_through_super(&code, depth_of(name)));
    for other in others {
        match floor_of(&other) {
            Some(above) if above > floor => {
                faults.push(format!("{name}: {room} (floor {floor}) uses {other} (floor {above})"));
            }
            Some(_) => {}
            None if ROOFLESS.contains(&other.as_str()) => {}
            None => faults.push(format!("{name}: crate::{other} is on no floor")),
        }
    }
    for name_of_crate in crates_used(&code) {
        let rooms = rooms_of(&name_of_crate).unwrap_or_default();
        if !rooms.contains(&"*") && !rooms.contains(&room) {
            faults.push(format!("{name}: {room} may not use the crate {name_of_crate}"));
        }
    }
    faults
}

fn room_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name).trim_end_matches(".rs")
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn rooms_of(name: &str) -> Option<&'static [&'static str]> {
    CRATES.iter().chain([&UUID]).find(|(it, _)| *it == name).map(|(_, rooms)| *rooms)
}

/// The crates of the table that are named at the head of a path.
fn crates_used(code: &str) -> BTreeSet<String> {
    let known = CRATES.iter().chain([&UUID]).map(|(name, _)| *name);
    let heads = |name: &str| {
        occurrences(code, name).any(|at| {
            let before = code[..at].trim_end();
            let rest = &code[at + name.len()..];
            // `x::tokio::…` and `crate::tokio` are modules of ours; `use tokio;` names the crate.
            let inner = before.ends_with("::") && !is_root(before);
            let path = rest.starts_with("::");
            let import = before.ends_with("use") && rest.starts_with([';', ' ']);
            !inner && (path || import)
        })
    };
    known.filter(|name| heads(name)).map(str::to_owned).collect()
}

/// Whether `before` ends in the `::` of an absolute path.
fn is_root(before: &str) -> bool {
    let head = before.trim_end_matches("::");
    !head.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>')
}

/// How many modules lie between the crate's root and what is in a file.
fn depth_of(name: &str) -> usize {
    name.split('/').filter(|part| *part != "mod.rs").count()
}

/// The rooms that are reached by a chain of `super::` that leaves the file's own room.
fn used_through_super(code: &str, depth: usize) -> BTreeSet<String> {
    let chain = "super::".repeat(depth);
    let rooms = code.match_indices(&chain).flat_map(|(at, _)| {
        let rest = &code[at + chain.len()..];
        rest.strip_prefix('{').map_or_else(|| word(rest).into_iter().collect(), group_heads)
    });
    rooms.filter(|name| floor_of(name).is_some()).collect()
}

/// The names that directly follow `root::`, groups in braces included.
fn used(code: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for at in occurrences(code, root) {
        let Some(rest) = code[at + root.len()..].strip_prefix("::") else { continue };
        if let Some(group) = rest.strip_prefix('{') {
            names.extend(group_heads(group));
        } else {
            names.extend(word(rest));
        }
    }
    names
}

/// The first words of a group's items; `group` begins behind its opening brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut at_head = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !character.is_whitespace() => {
                heads.extend(word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Where `name` stands as a whole word.
fn occurrences<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).map(|(at, _)| at).filter(move |at| {
        !code[..*at].ends_with(part) && !code[at + name.len()..].starts_with(part)
    })
}

/// The code alone: comments, and what stands in strings, are taken out.
fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let hash = if rest.starts_with("r#") { "\"#" } else { "\"" };
            let open = 1 + hash.len();
            rest[open..].find(hash).map_or(rest.len(), |end| open + end + hash.len())
        } else if character == '"' {
            end_of_string(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if let Some(escaped) = rest.strip_prefix("'\\") {
            // An escaped character, the quotation mark for one.
            escaped.char_indices().nth(1).map_or(rest.len(), |(end, _)| end + 2)
        } else {
            code.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skip..];
    }
    code
}

/// The length of the string literal that `text` begins with.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn an_import_from_a_floor_above_is_found_in_every_form() {
    for code in [
        "use crate::runtime::Clock;",
        "use crate::{audio::Ptime, runtime::Clock};",
        "use crate::{\n    audio::{Ptime, SampleRate},\n    runtime,\n};",
        "fn f() -> crate::runtime::Clock { g() }",
        "pub(crate) use crate::runtime as r;",
    ] {
        assert_eq!(
            faults_of("media/leg.rs", code),
            ["media/leg.rs: media (floor 1) uses runtime (floor 2)"],
            "{code}"
        );
        assert_eq!(faults_of("runtime/shard/mod.rs", code), [""; 0], "{code}");
    }
    for (file, code) in [
        ("media/leg.rs", "use super::super::runtime::Clock;"),
        ("media/mod.rs", "use super::{call, runtime::Clock};"),
        ("media/jitter/store.rs", "use super::super::super::cli;"),
    ] {
        assert_eq!(faults_of(file, code).len(), 1, "{file}: {code}");
    }
    assert_eq!(faults_of("media/leg.rs", "use super::runtime::X;"), [""; 0], "a module of its own");
    assert_eq!(faults_of("engine.rs", "use crate::media::Leg;"), [""; 0]);
    assert_eq!(faults_of("attic/mod.rs", "").len(), 1, "a room of no floor");
    assert_eq!(faults_of("engine.rs", "use crate::attic::X;").len(), 1);
}

#[test]
fn what_comments_and_strings_say_is_no_use() {
    for code in [
        "// crate::runtime::Clock\n/// [`X`](crate::runtime::X)\n",
        "/* Instant::now() */",
        "let a = \"Instant::now\\\" crate::cli\"; let b = '\"'; // tokio::spawn",
        "let a = r#\"crate::cli \" tokio::spawn\"#; let c = '\\''; let d = r\"crate::cli\";",
    ] {
        assert_eq!(faults_of("dsp/fft.rs", code), [""; 0], "{code}");
    }
    // What follows them is code again.
    let code = "let a = '\"'; let b = \"x\\\\\"; /* */ let t = Instant::now(); let c = '\"';";
    assert_eq!(faults_of("dsp/fft.rs", code).len(), 1);
}

#[test]
fn a_clock_is_read_in_one_file_only() {
    for code in [
        "std::time::Instant::now()",
        "tokio::time::Instant::now",
        "SystemTime::now()",
        "Uuid::now_v7()",
    ] {
        assert!(!faults_of("ari/session.rs", code).is_empty(), "{code}");
        assert_eq!(faults_of("runtime/clock.rs", code), [""; 0], "{code}");
    }
}

#[test]
fn a_crate_stays_on_its_floor() {
    for code in ["use tokio::net::UdpSocket;", "tokio::spawn(x);", "use ::tokio::io;", "use tokio;"]
    {
        let expected = ["media/leg.rs: media may not use the crate tokio"];
        assert_eq!(faults_of("media/leg.rs", code), expected, "{code}");
        assert_eq!(faults_of("runtime/mod.rs", code), [""; 0], "{code}");
    }
    assert_eq!(faults_of("runtime/mod.rs", "use reqwest::Client;").len(), 1);
    assert_eq!(
        faults_of("media/leg.rs", "use self::tokio::X; mytokio::x(); tokio_x::y()"),
        [""; 0]
    );
    assert_eq!(faults_of("dsp/fft.rs", "use serde::Serialize;"), [""; 0]);
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(faults_of("dsp/fft.rs", &"\n".repeat(MAX_LINES)), [""; 0]);
    assert_eq!(
        faults_of("dsp/fft.rs", &"\n".repeat(MAX_LINES + 1)),
        ["dsp/fft.rs: 451 lines, at most 450"]
    );
}
