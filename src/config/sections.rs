//! The sections of the file, key by key: the one place where names and ranges stand.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use super::address::{host, host_and_optional_port};
use super::error::Problem;
use super::reader::Section;
use super::settings::{LogFormat, LogLevel, LogSettings, Pipelines, ServerSettings};
use super::suggest::closest;
use super::tree::shown;
use crate::api::ApiSettings;
use crate::audio::{MediaFormat, SampleRate};
use crate::dsp::opus;
use crate::dsp::vad::DetectorKind;
use crate::media::{MediaSettings, OpusSettings, ReturnFormat, SilencePolicy};
use crate::processor::EchoSettings;
use crate::processor::player::PlayerSettings;
use crate::processor::recorder::RecorderSettings;
use crate::processor::vad::VadSettings;
use crate::runtime::{Accept, AudioSocketSettings, RtpSettings, RuntimeSettings};

const ACCEPT: [(&str, Accept); 2] = [("registered", Accept::Registered), ("any", Accept::Any)];
const ADDRESS_AND_PORT: &str = "an IP address and a port, such as 127.0.0.1:9092 or [::1]:9092";

/// `[server]`: the grace period, and of the runtime's settings those of its shards.
pub(super) fn server(mut section: Section<'_>) -> (ServerSettings, RuntimeSettings) {
    let (server, runtime) = (ServerSettings::default(), RuntimeSettings::default());
    let shards = section.integer("shards", runtime.shards, 0..=256);
    let shard_nice = section.integer("shard_nice", runtime.shard_nice, -20..=0);
    let max_lateness = section.millis("max_lateness_ms", runtime.max_lateness, 0..=1_000);
    let grace = section.millis("grace_ms", server.grace, 0..=3_600_000);
    section.finish();
    (ServerSettings { grace }, RuntimeSettings { shards, shard_nice, max_lateness, ..runtime })
}

/// `[log]`.
pub(super) fn log(mut section: Section<'_>) -> LogSettings {
    let default = LogSettings::default();
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let settings = LogSettings {
        level: section.word("level", default.level, &LogLevel::WORDS),
        format: section.word("format", default.format, &formats),
    };
    section.finish();
    settings
}

/// `[rtp]`.
pub(super) fn rtp(mut section: Section<'_>) -> RtpSettings {
    let default = RtpSettings::default();
    let settings = RtpSettings {
        bind: section.text::<IpAddr>("bind", default.bind, "an IP address, without a port"),
        advertise: section
            .parsed("advertise", "a host name or an IP address that is not 0.0.0.0 or ::", host)
            .or(default.advertise),
        port: section.integer("port", default.port, 0..=u16::MAX),
        accept: section.word("accept", default.accept, &ACCEPT),
        max_calls: section.integer("max_calls", default.max_calls, 1..=100_000),
        socket_buffer_bytes: section.integer(
            "socket_buffer_bytes",
            default.socket_buffer_bytes,
            65_536..=1 << 30,
        ),
        dscp: section.integer("dscp", default.dscp, 0..=63),
    };
    section.finish();
    settings
}

/// `[audiosocket]`.
pub(super) fn audiosocket(mut section: Section<'_>) -> AudioSocketSettings {
    let default = AudioSocketSettings::default();
    let settings = AudioSocketSettings {
        enabled: section.boolean("enabled", default.enabled),
        bind: section.text("bind", default.bind, ADDRESS_AND_PORT),
        advertise: section
            .parsed(
                "advertise",
                "a host name or an IP address that is not 0.0.0.0 or ::, with or without a port",
                host_and_optional_port,
            )
            .or(default.advertise),
        accept: section.word("accept", default.accept, &ACCEPT),
        max_connections: section.integer("max_connections", default.max_connections, 1..=100_000),
        // Header and 20 ms at 8 kHz; header and what the length field can say.
        max_frame_bytes: section.integer("max_frame_bytes", default.max_frame_bytes, 323..=65_538),
        uuid_timeout: section.millis("uuid_timeout_ms", default.uuid_timeout, 100..=60_000),
    };
    section.finish();
    settings
}

/// `[jitter]`, `[playout]`, `[media]` and `[opus]`.
pub(super) fn media(
    mut jitter: Section<'_>,
    mut playout: Section<'_>,
    mut media: Section<'_>,
    opus: Section<'_>,
) -> MediaSettings {
    let default = MediaSettings::default();
    let silence = [("send", SilencePolicy::Send), ("suppress", SilencePolicy::Suppress)];
    let return_formats = [
        ("auto", ReturnFormat::Auto),
        ("same", ReturnFormat::Same),
        ("ulaw", ReturnFormat::Fixed(MediaFormat::Ulaw)),
        ("alaw", ReturnFormat::Fixed(MediaFormat::Alaw)),
        ("g722", ReturnFormat::Fixed(MediaFormat::G722)),
        ("slin", ReturnFormat::Fixed(MediaFormat::Slin(SampleRate::HZ_8000))),
    ];
    let settings = MediaSettings {
        jitter_min: jitter.millis("min_ms", default.jitter_min, 0..=500),
        jitter_max: jitter.millis("max_ms", default.jitter_max, 0..=500),
        jitter_capacity_packets: jitter.integer(
            "capacity_packets",
            default.jitter_capacity_packets,
            8..=4096,
        ),
        late_window: jitter.millis("late_window_ms", default.late_window, 0..=5_000),
        playout_max_queue: playout.millis("max_queue_ms", default.playout_max_queue, 100..=600_000),
        silence: playout.word("silence", default.silence, &silence),
        return_format: playout.word("return_format", default.return_format, &return_formats),
        no_media_after: media.millis_or_never(
            "no_media_after_ms",
            default.no_media_after,
            100..=3_600_000,
        ),
        end_after: media.millis_or_never("end_after_ms", default.end_after, 1_000..=86_400_000),
        opus: self::opus(opus),
    };
    jitter.finish();
    playout.finish();
    media.finish();
    settings
}

/// `[opus]`.
fn opus(mut section: Section<'_>) -> OpusSettings {
    let default = OpusSettings::default();
    let rate = section.rate("rate_hz", default.rate, &opus::RATES);
    let default = default.encoder;
    let encoder = opus::Settings {
        bitrate_bps: section.integer("bitrate_bps", default.bitrate_bps, opus::BITRATES_BPS),
        complexity: section.integer("complexity", default.complexity, opus::COMPLEXITIES),
        fec: section.boolean("fec", default.fec),
        dtx: section.boolean("dtx", default.dtx),
        expected_loss_percent: section.integer(
            "expected_loss_percent",
            default.expected_loss_percent,
            0..=100,
        ),
    };
    section.finish();
    OpusSettings { rate, encoder }
}

/// `[echo]`.
pub(super) fn echo(mut section: Section<'_>) -> EchoSettings {
    let default = EchoSettings::default();
    let settings = EchoSettings { delay: section.millis("delay_ms", default.delay, 0..=10_000) };
    section.finish();
    settings
}

/// `[player]`.
pub(super) fn player(mut section: Section<'_>) -> PlayerSettings {
    let default = PlayerSettings::default();
    let settings = PlayerSettings {
        root: section.parsed("root", "the path of a folder", folder),
        play: section.parsed(
            "play",
            "a file's name below player.root, or tones such as tone:425/1000,0/4000",
            |text| text.parse().ok(),
        ),
        looped: section.boolean("loop", default.looped),
        cache_bytes: section.integer("cache_bytes", default.cache_bytes, 1 << 16..=1 << 40),
    };
    section.finish();
    settings
}

fn folder(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// `[recorder]`.
pub(super) fn recorder(mut section: Section<'_>) -> RecorderSettings {
    let default = RecorderSettings::default();
    let settings = RecorderSettings {
        directory: section
            .parsed("directory", "the path of a folder", folder)
            .unwrap_or(default.directory),
        flush_every: section.millis("flush_ms", default.flush_every, 50..=700),
        queue: section.millis("queue_ms", default.queue, 1_000..=120_000),
    };
    section.finish();
    settings
}

/// `[vad]`.
pub(super) fn vad(mut section: Section<'_>) -> VadSettings {
    let default = VadSettings::default();
    let settings = VadSettings {
        detector: section.word("detector", default.detector, &DetectorKind::WORDS),
        threshold_percent: section.integer("threshold_percent", default.threshold_percent, 16..=99),
        min_speech: section.millis("min_speech_ms", default.min_speech, 10..=2_000),
        min_silence: section.millis("min_silence_ms", default.min_silence, 50..=10_000),
        playing_threshold_percent: section.integer(
            "playing_threshold_percent",
            default.playing_threshold_percent,
            16..=99,
        ),
        playing_min_speech: section.millis(
            "playing_min_speech_ms",
            default.playing_min_speech,
            10..=5_000,
        ),
        playing_echo_db: section.integer("playing_echo_db", default.playing_echo_db, 0..=90),
        playing_tail: section.millis("playing_tail_ms", default.playing_tail, 0..=5_000),
    };
    section.finish();
    settings
}

/// `[api]`.
pub(super) fn api(mut section: Section<'_>) -> ApiSettings {
    let default = ApiSettings::default();
    let settings = ApiSettings {
        enabled: section.boolean("enabled", default.enabled),
        bind: section.text("bind", default.bind, ADDRESS_AND_PORT),
    };
    section.finish();
    settings
}

/// `[pipelines]`: the default's name, and a section for each pipeline.
pub(super) fn pipelines(mut section: Section<'_>, processors: &[String]) -> Pipelines {
    let built_in = Pipelines::default();
    let default = section.string("default").unwrap_or(built_in.default);
    let mut named = built_in.named;
    for (name, mut pipeline) in section.named_sections() {
        check_name(&pipeline, "pipelines", name);
        match pipeline.strings("processors") {
            Some(list) => {
                check_processors(&pipeline, &list, processors);
                named.insert(name.to_owned(), list);
            }
            // Where the key is there, it has been reported; the name still counts as taken.
            None => {
                if pipeline.is_table() && !pipeline.has("processors") {
                    let wanted = "`processors`, a list of processors".to_owned();
                    let place = pipeline.place().clone();
                    let key = pipeline.key("processors");
                    pipeline.findings().report(place, key, Problem::Missing { wanted });
                }
                named.insert(name.to_owned(), Vec::new());
            }
        }
        pipeline.finish();
    }
    check_pipeline("pipelines.default", &section, &default, &named);
    Pipelines { default, named }
}

/// What a pipeline may list: what is there in any case, `KIND.NAME` for each peer of a kind, and
/// `KIND` where there is one only.
pub(super) fn processors(known: &[&str], named: &[(&str, Vec<&String>)]) -> Vec<String> {
    let mut all: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
    for (kind, names) in named {
        if names.len() == 1 {
            all.push((*kind).to_owned());
        }
        all.extend(names.iter().map(|name| format!("{kind}.{name}")));
    }
    all
}

fn check_processors(pipeline: &Section<'_>, list: &[String], processors: &[String]) {
    if list.is_empty() {
        let problem = Problem::not_allowed("an empty list", "one processor or more");
        pipeline.report("processors", problem);
    }
    for (index, name) in list.iter().enumerate() {
        if !processors.contains(name) {
            let problem = Problem::NotAllowed {
                actual: format!("the processor {}", shown(name)),
                suggestion: closest(name, processors.iter().map(String::as_str)).map(str::to_owned),
                allowed: processors.join(", "),
            };
            pipeline.report("processors", problem);
        } else if list[..index].contains(name) {
            let reason = format!("the processor {name:?} is listed twice");
            pipeline.report("processors", Problem::Conflict { reason });
        }
    }
}

/// Reports at `key` a pipeline that there is not.
pub(super) fn check_pipeline(
    key: &str,
    section: &Section<'_>,
    name: &str,
    named: &BTreeMap<String, Vec<String>>,
) {
    if !named.contains_key(name) {
        let names = || named.keys().map(String::as_str);
        let problem = Problem::NotAllowed {
            actual: format!("the pipeline {}", shown(name)),
            suggestion: closest(name, names()).map(str::to_owned),
            allowed: names().collect::<Vec<_>>().join(", "),
        };
        section.findings().report_key(key, problem);
    }
}

/// Reads each section of the user's naming below `above`.
pub(super) fn named<'a, T>(
    mut section: Section<'a>,
    above: &str,
    mut read: impl FnMut(Section<'a>) -> T,
) -> BTreeMap<String, T> {
    let found = section.named_sections().into_iter();
    let named = found.map(|(name, below)| {
        check_name(&below, above, name);
        (name.to_owned(), read(below))
    });
    let named = named.collect();
    section.finish();
    named
}

/// Reports a section of the user's naming whose name will not do.
pub(super) fn check_name(section: &Section<'_>, above: &str, name: &str) {
    if !is_name(name) {
        let place = section.place().clone();
        let actual = format!("the name {}", shown(name));
        let problem = Problem::not_allowed(actual, "1 to 64 letters, digits, `-` and `_`");
        section.findings().report(place, format!("{above}.{name}"), problem);
    }
}

/// Whether `name` may name something: it turns up in dialplans, metrics and file names.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
