//! The configuration through its public face: files, environment, flags, and what is told of errors.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use sidetone::audio::{MediaFormat, SampleRate};
use sidetone::call::Transport;
use sidetone::config::{Config, ConfigErrors, LogLevel, Override, Place, Problem, Sources};
use sidetone::media::ReturnFormat;
use sidetone::runtime::Accept;
use tempfile::TempDir;

#[path = "config/peers.rs"]
mod peers;
#[path = "config/shards.rs"]
mod shards;

const PROCESSORS: [&str; 5] = ["echo", "recorder", "vad", "dtmf", "player"];
/// A block that is complete.
const ASTERISK: &str = "[[asterisk]]\npassword = \"hunter2\"\n";

/// A configuration in the making: a file's text, an environment, flags.
struct Given {
    folder: TempDir,
    text: String,
    environment: Vec<(OsString, OsString)>,
    flags: Vec<Override>,
}

impl Given {
    fn file(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, text: text.to_owned(), environment: Vec::new(), flags: Vec::new() }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: &str) -> Self {
        self.flags.push(Override { flag, key, value: value.to_owned() });
        self
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("f.toml")
    }

    fn load(&self) -> Result<Config, ConfigErrors> {
        fs::write(self.path(), &self.text).expect("the file");
        let path = self.path();
        let sources = Sources {
            file: Some(&path),
            environment: self.environment.clone(),
            flags: self.flags.clone(),
        };
        Config::load(sources, &PROCESSORS)
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// Every error, the folder's name taken out.
    fn errors(&self) -> Vec<String> {
        let errors = self.load().expect_err("errors");
        let folder = format!("{}/", self.folder.path().display());
        errors.to_string().lines().map(|line| line.replace(&folder, "")).collect()
    }

    fn only_error(&self) -> String {
        let errors = self.errors();
        assert_eq!(errors.len(), 1, "{errors:#?}");
        errors.into_iter().next().expect("one")
    }
}

#[test]
fn without_anything_the_defaults_are_a_server_on_loopback() {
    let config = Config::load(Sources::default(), &PROCESSORS).expect("the defaults are valid");
    assert_eq!(config, Config::default());
    assert!(config.runtime.rtp.bind.is_loopback());
    assert!(config.runtime.audiosocket.bind.ip().is_loopback());
    assert!(config.api.bind.ip().is_loopback());
    assert_eq!(config.warnings(), Vec::<String>::new());
    assert_eq!(Given::file("").config(), config);
}

#[test]
fn the_environment_is_stronger_than_the_file_and_a_flag_stronger_still() {
    let given = Given::file("[rtp]\nport = 1000\nmax_calls = 7\n[log]\nlevel = \"warn\"")
        .variable("SIDETONE__RTP__PORT", "2000")
        .variable("SIDETONE__LOG__LEVEL", "debug")
        .flag("--rtp-port", "rtp.port", "3000");
    let config = given.config();
    assert_eq!(config.runtime.rtp.port, 3000);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.runtime.rtp.max_calls, 7);
}

#[test]
fn every_kind_of_value_can_come_from_the_environment() {
    let given = Given::file(ASTERISK)
        .variable("SIDETONE__AUDIOSOCKET__ENABLED", "false")
        .variable("SIDETONE__RTP__ACCEPT", "any")
        .variable("SIDETONE__RTP__ADVERTISE", "\"media.example\"")
        .variable("SIDETONE__JITTER__MAX_MS", " 80 ")
        .variable("SIDETONE__PIPELINES__BOTH__PROCESSORS", "recorder, echo")
        .variable("SIDETONE__PIPELINES__ONE__PROCESSORS", "[\"echo\"]")
        .variable("SIDETONE__ASTERISK__0__PIPELINE", "both")
        .variable("SIDETONE__ASTERISK__1__NAME", "second")
        .variable("SIDETONE__ASTERISK__1__APP", "second")
        .variable("SIDETONE__ASTERISK__1__PASSWORD", "1234");
    let config = given.config();
    assert!(!config.runtime.audiosocket.enabled);
    assert_eq!(config.runtime.rtp.accept, Accept::Any);
    assert_eq!(config.runtime.rtp.advertise.as_deref(), Some("media.example"));
    assert_eq!(config.media.jitter_max, Duration::from_millis(80));
    assert_eq!(config.pipelines.named["both"], ["recorder", "echo"]);
    assert_eq!(config.pipelines.named["one"], ["echo"]);
    assert_eq!(config.asterisk.len(), 2);
    assert_eq!(config.asterisk[0].pipeline, "both");
    assert_eq!(config.asterisk[1].password, sidetone::runtime::Secret::new("1234"));
}

#[test]
fn all_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let text = "\
[rtp]
prot = 4000
port = 70000
accept = \"registred\"
bind = \"localhost\"
dscp = \"EF\"

[recorder]
flush_ms = 701

[pipelines]
default = \"ehco\"

[pipelines.mine]
processors = [\"recoder\"]

[recoder]
";
    let given = Given::file(text).variable("SIDETONE__SERVER__SHARDS", "many").flag(
        "--log-level",
        "log.level",
        "loud",
    );
    assert_eq!(
        given.errors(),
        [
            "f.toml:2: rtp.prot: unknown key, did you mean `port`?; allowed: bind, advertise, \
             port, accept, max_calls, socket_buffer_bytes, dscp",
            "f.toml:3: rtp.port: 70000 is not allowed; allowed: 0 to 65535",
            "f.toml:4: rtp.accept: \"registred\" is not allowed, did you mean `registered`?; \
             allowed: registered, any",
            "f.toml:5: rtp.bind: \"localhost\" is not allowed; allowed: an IP address, without a \
             port",
            "f.toml:6: rtp.dscp: expected an integer, found a string (\"EF\")",
            "f.toml:9: recorder.flush_ms: 701 is not allowed; allowed: 50 to 700 (milliseconds)",
            "f.toml:12: pipelines.default: the pipeline \"ehco\" is not allowed, did you mean \
             `echo`?; allowed: echo, echo-record, mine, record",
            "f.toml:15: pipelines.mine.processors: the processor \"recoder\" is not allowed, did \
             you mean `recorder`?; allowed: echo, recorder, vad, dtmf, player",
            "f.toml:17: recoder: unknown key, did you mean `recorder`?; allowed: server, log, \
             rtp, audiosocket, jitter, playout, media, opus, echo, player, recorder, vad, \
             stt, bot, pipelines, api, asterisk",
            "environment SIDETONE__SERVER__SHARDS: server.shards: expected an integer, found text \
             (\"many\")",
            "flag --log-level: log.level: \"loud\" is not allowed; allowed: error, warn, info, \
             debug, trace",
        ]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_once() {
    for (text, key) in [
        ("rtp = 5", "rtp: expected a table"),
        ("[rtp]\nport = 1.5", "rtp.port: expected an integer, found a float (1.5)"),
        ("[rtp]\nbind = 5", "rtp.bind: expected a string, found an integer (5)"),
        ("[api]\nenabled = 1", "api.enabled: expected true or false"),
        ("[pipelines]\nmine = 5", "pipelines.mine: expected a table"),
        ("[pipelines.mine]\nprocessors = \"echo\"", "processors: expected an array of strings"),
        ("[pipelines.mine]", "pipelines.mine.processors: missing"),
        ("[pipelines.mine]\nprocessors = []", "an empty list is not allowed"),
        ("[pipelines.mine]\nprocessors = [\"echo\", \"echo\"]", "is listed twice"),
        ("[pipelines.\"a b\"]\nprocessors = [\"echo\"]", "the name \"a b\" is not allowed"),
        ("[asterisk]\nname = \"x\"", "asterisk: expected an array of tables"),
        ("asterisk = [5]", "asterisk.0: expected a table"),
    ] {
        let error = Given::file(text).only_error();
        assert!(error.contains(key), "{text:?}: {error}");
    }
}

#[test]
fn a_file_that_is_not_there_or_not_toml_is_told_with_its_name() {
    let sources = Sources { file: Some(Path::new("/nowhere/f.toml")), ..Sources::default() };
    let errors = Config::load(sources, &PROCESSORS).expect_err("no file");
    assert!(matches!(errors.errors()[0].problem, Problem::Unreadable { .. }), "{errors}");
    assert!(errors.to_string().contains("/nowhere/f.toml"), "{errors}");

    let given = Given::file("[rtp]\nport = \n");
    let error = given.only_error();
    assert!(error.starts_with("f.toml:2: not valid TOML"), "{error}");
}

#[test]
fn no_message_and_no_debug_form_shows_a_password() {
    let secret = "hunter2";
    for text in [
        format!("[[asterisk]]\npassword = \"{secret}\"\nurl = \"http://u:{secret}@pbx\""),
        format!("[[asterisk]]\npassword = \"{secret}\"\npassword_env = \"X\""),
        format!("[[asterisk]]\npassword = [\"{secret}\"]"),
        format!("[[asterisk]]\npassword = \"{secret}\"\nname = 5"),
        format!("[[asterisk]]\npassword = \"{secret}\nname = 5"),
        format!("[[asterisk]]\npassword = {secret}"),
    ] {
        let errors = Given::file(&text).load().expect_err("errors");
        assert!(!errors.to_string().contains(secret), "{errors}");
        assert!(!format!("{errors:?}").contains(secret), "{errors:?}");
    }
    let given = Given::file("[[asterisk]]").variable("SIDETONE__ASTERISK__0__PASSWORD", secret);
    assert!(!format!("{:?}", given.config()).contains(secret));
}

#[test]
fn a_password_comes_from_exactly_one_of_its_keys() {
    let missing = Given::file("\n[[asterisk]]\nname = \"a\"").only_error();
    assert!(missing.starts_with("f.toml:2: asterisk.0.password: missing"), "{missing}");

    let two = Given::file(&format!("{ASTERISK}password_env = \"PBX\"")).only_error();
    assert!(two.contains("only one may be given of password, password_env"), "{two}");

    let given = Given::file("[[asterisk]]\npassword_env = \"PBX\"").variable("PBX", "secret");
    assert_eq!(given.config().asterisk[0].password, sidetone::runtime::Secret::new("secret"));
    let unset = Given::file("[[asterisk]]\npassword_env = \"PBX\"").only_error();
    assert!(unset.contains("asterisk.0.password_env: \"PBX\" is not allowed"), "{unset}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("password");
    let text = format!("[[asterisk]]\npassword_file = {:?}", path.display().to_string());
    let given = Given::file(&text);
    assert!(given.only_error().contains("asterisk.0.password_file: "));
    fs::write(&path, "secret\n").expect("the file");
    assert_eq!(given.config().asterisk[0].password, sidetone::runtime::Secret::new("secret"));
    fs::write(&path, "\n").expect("the file");
    assert!(given.only_error().contains("a file that is not empty"));
}

#[test]
fn the_environment_can_put_a_password_file_in_the_place_of_the_files_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("password");
    fs::write(&path, "stronger").expect("the file");
    let path = path.display().to_string();
    let given = Given::file(ASTERISK).variable("SIDETONE__ASTERISK__0__PASSWORD_FILE", &path);
    assert_eq!(given.config().asterisk[0].password, sidetone::runtime::Secret::new("stronger"));
}

#[test]
fn two_blocks_differ_in_name_and_in_url_or_app() {
    let second = |lines: &str| format!("{ASTERISK}{ASTERISK}{lines}");
    let errors = Given::file(&second("")).errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors[0].contains("asterisk.1.name: another block has the name \"asterisk\""));
    assert!(errors[1].contains("asterisk.1.app: another block serves the app \"sidetone\""));
    // A last slash makes no other URL.
    let error = Given::file(&second("name = \"b\"\nurl = \"http://127.0.0.1:8088/\"")).only_error();
    assert!(error.contains("asterisk.1.app"), "{error}");
    let two = Given::file(&second("name = \"b\"\nurl = \"http://127.0.0.1:8188\"")).config();
    assert_eq!(two.asterisk.len(), 2);
}

#[test]
fn a_format_travels_over_its_transport_only() {
    let block = |lines: &str| Given::file(&format!("{ASTERISK}{lines}"));
    for name in ["ulaw", "g722", "opus", "slin48"] {
        let config = block(&format!("format = \"{name}\"")).config();
        assert_eq!(config.asterisk[0].format.asterisk_name(), name);
    }
    let error = block("media = \"audiosocket\"\nformat = \"ulaw\"").only_error();
    assert!(error.contains("does not travel over audiosocket, which carries slin, "), "{error}");
    let error = block("format = \"slin8\"").only_error();
    assert!(error.contains("\"slin8\" is not allowed, did you mean `slin`?"), "{error}");

    let config = block("media = \"audiosocket\"").config();
    assert_eq!(config.asterisk[0].media, Transport::AudioSocket);
    assert_eq!(config.asterisk[0].format, MediaFormat::Slin(SampleRate::HZ_8000));
}

#[test]
fn the_way_back_and_opus_are_set_by_name_and_number() {
    let text = "[playout]\nreturn_format = \"slin\"\n[opus]\nrate_hz = 48000\ncomplexity = 10\n";
    let media = Given::file(text).config().media;
    let slin = MediaFormat::Slin(SampleRate::HZ_8000);
    assert_eq!(media.return_format, ReturnFormat::Fixed(slin));
    assert_eq!(media.rate_of(MediaFormat::Opus), SampleRate::HZ_48000);
    assert_eq!(media.opus.encoder.complexity, 10);

    let error = Given::file("[opus]\nrate_hz = 44100").only_error();
    assert!(
        error.ends_with(
            "opus.rate_hz: 44100 is not allowed; allowed: 8000, 12000, 16000, 24000, 48000"
        ),
        "{error}"
    );
    let error = Given::file("[playout]\nreturn_format = \"opus\"").only_error();
    assert!(error.ends_with("allowed: auto, same, ulaw, alaw, g722, slin"), "{error}");
    let error = Given::file("[opus]\nbitrate_bps = 5999").only_error();
    assert!(error.ends_with("5999 is not allowed; allowed: 6000 to 300000"), "{error}");
}

#[test]
fn an_audiosocket_block_needs_the_listener_and_room_for_its_frames() {
    let block = format!("{ASTERISK}media = \"audiosocket\"\nformat = \"slin48\"\n[audiosocket]\n");
    let error = Given::file(&format!("{block}enabled = false")).only_error();
    assert!(error.contains("asterisk.0.media: \"audiosocket\" needs audiosocket.enabled"));
    // 20 ms of 48 kHz are 960 samples of two bytes, behind a header of three.
    let error = Given::file(&format!("{block}max_frame_bytes = 1922")).only_error();
    assert!(error.contains("asterisk.0.format: a frame of \"slin48\" has 1923 bytes"), "{error}");
    Given::file(&format!("{block}max_frame_bytes = 1923")).config();
}

#[test]
fn asterisk_is_never_told_to_send_to_an_unspecified_address() {
    let everywhere = "[rtp]\nbind = \"0.0.0.0\"\n[audiosocket]\nbind = \"[::]:9092\"\n";
    let errors = Given::file(&format!("{everywhere}{ASTERISK}")).errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(
        errors[0].starts_with("f.toml:2: rtp.bind: Asterisk cannot be told to send to 0.0.0.0")
    );
    assert!(errors[1].starts_with("f.toml:4: audiosocket.bind: "), "{errors:#?}");

    // Without ARI nobody is told.
    Given::file(everywhere).config();
    let given = Given::file(&format!("{everywhere}{ASTERISK}"))
        .flag("--rtp-advertise", "rtp.advertise", "[2001:db8::1]")
        .variable("SIDETONE__AUDIOSOCKET__ADVERTISE", "media.example:9000");
    let config = given.config();
    assert_eq!(config.runtime.rtp.advertise.as_deref(), Some("2001:db8::1"));
    assert_eq!(config.runtime.audiosocket.advertise.as_deref(), Some("media.example:9000"));
}

#[test]
fn two_listeners_do_not_share_a_port() {
    let error = Given::file("[api]\nbind = \"0.0.0.0:9092\"").only_error();
    assert!(error.contains("api.bind: 0.0.0.0:9092 is taken by audiosocket.bind"), "{error}");
    Given::file("[api]\nbind = \"127.0.0.1:9092\"\n[audiosocket]\nenabled = false").config();
    Given::file("[api]\nbind = \"127.0.0.1:0\"\n[audiosocket]\nbind = \"127.0.0.1:0\"").config();
}

#[test]
fn waiting_fits_into_the_queues() {
    let error = Given::file("[jitter]\nmax_ms = 500\ncapacity_packets = 24").only_error();
    assert!(error.contains("jitter.capacity_packets: 24 packets of 20 ms are 480 ms"), "{error}");
    Given::file("[jitter]\nmax_ms = 500\ncapacity_packets = 25").config();
    let error = Given::file("[echo]\ndelay_ms = 981\n[playout]\nmax_queue_ms = 1000").only_error();
    assert!(error.starts_with("f.toml:2: echo.delay_ms: "), "{error}");
    Given::file("[echo]\ndelay_ms = 980\n[playout]\nmax_queue_ms = 1000").config();
}

#[test]
fn a_certificate_file_must_be_there_and_hold_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ca.pem");
    let text =
        format!("{ASTERISK}url = \"https://pbx\"\nca_file = {:?}", path.display().to_string());
    let given = Given::file(&text);
    assert!(given.only_error().contains("cannot be read"), "{:?}", given.errors());
    fs::write(&path, "not PEM").expect("the file");
    assert!(given.only_error().contains("a PEM file with one certificate or more"));
    let key = rcgen::generate_simple_self_signed(["pbx".to_owned()]).expect("a certificate");
    fs::write(&path, key.cert.pem()).expect("the file");
    assert_eq!(given.config().asterisk[0].ca_file.as_deref(), Some(path.as_path()));
}

#[test]
fn zero_means_never_where_it_says_so_and_only_there() {
    let config = Given::file("[media]\nend_after_ms = 0\nno_media_after_ms = 0").config();
    assert_eq!(config.media.end_after, Duration::ZERO);
    let error = Given::file("[media]\nend_after_ms = 1").only_error();
    assert!(error.contains("0 (never), or 1000 to 86400000 (milliseconds)"), "{error}");
    let error = Given::file("[audiosocket]\nuuid_timeout_ms = 0").only_error();
    assert!(error.contains("allowed: 100 to 60000 (milliseconds)"), "{error}");
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let warnings = |text: &str| Given::file(text).config().warnings();
    let remote = format!("{ASTERISK}url = \"http://pbx.example:8088\"");
    let found = warnings(&remote);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("unencrypted"), "{found:#?}");
    assert!(found[1].contains("rtp.bind") && found[2].contains("audiosocket.bind"), "{found:#?}");

    let open = "[rtp]\nbind = \"0.0.0.0\"\naccept = \"any\"\n[audiosocket]\nbind = \"[::]:9092\"\n\
                [api]\nbind = \"0.0.0.0:9093\"";
    assert_eq!(warnings(open).len(), 3, "{:#?}", warnings(open));
    assert_eq!(warnings(ASTERISK), Vec::<String>::new());

    let same = |format: &str| {
        format!("{ASTERISK}format = \"{format}\"\n[playout]\nreturn_format = \"same\"")
    };
    assert_eq!(warnings(&same("g722")), Vec::<String>::new());
    let found = warnings(&same("opus"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("drops what calls in opus are answered"), "{found:#?}");
}

#[test]
fn a_deeper_or_missing_key_in_the_environment_is_told() {
    let given = Given::file("")
        .variable("SIDETONE__RTP__PORT__X", "1")
        .variable("SIDETONE__RPT__PORT", "1")
        .variable("SIDETONE__", "1");
    let errors = given.errors();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    let errors = given.load().expect_err("errors");
    let of_environment =
        |error: &&sidetone::config::ConfigError| matches!(error.place, Place::Environment { .. });
    assert_eq!(errors.errors().iter().filter(of_environment).count(), 3);
}

/// One key of every type.
const KEYS: [(&str, &str); 10] = [
    ("server", "shards"),
    ("log", "level"),
    ("rtp", "bind"),
    ("rtp", "advertise"),
    ("rtp", "port"),
    ("audiosocket", "enabled"),
    ("audiosocket", "bind"),
    ("playout", "silence"),
    ("recorder", "directory"),
    ("pipelines", "default"),
];

proptest! {
    #[test]
    fn any_value_of_any_key_is_taken_or_refused_by_the_name_of_the_key(
        index in 0..KEYS.len(),
        value in r#"0|-?[1-9][0-9]{0,11}|true|false|\[\]|[0-9]\.[0-9]|"[a-z0-9.: -]{0,12}""#,
    ) {
        let (section, key) = KEYS[index];
        if let Err(errors) = Given::file(&format!("[{section}]\n{key} = {value}\n")).load() {
            let told = errors.to_string();
            prop_assert!(told.contains(&format!("{section}.{key}: ")), "{told}");
        }
    }
}
