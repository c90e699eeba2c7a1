//! What no key can tell alone: whether the values fit together.

use std::net::SocketAddr;
use std::time::Duration;

use super::Config;
use super::error::Problem;
use super::reader::Findings;
use crate::audio::{MediaFormat, SampleRate};
use crate::call::Transport;
use crate::processor::player::PlaySpec;

/// The packet time that Asterisk uses if nothing else was agreed on, and we always.
const PACKET: Duration = Duration::from_millis(20);
const AUDIOSOCKET_HEADER_BYTES: usize = 3;

pub(super) fn consistency(config: &Config, findings: &Findings) {
    let conflict =
        |key: &str, reason: String| findings.report_key(key, Problem::Conflict { reason });
    ports(config, &conflict);
    if !config.asterisk.is_empty() {
        advertised(config, &conflict);
    }
    times(config, &conflict);
    player(config, &conflict);
    bots(config, &conflict);
    for (index, block) in config.asterisk.iter().enumerate() {
        let key = |key: &str| format!("asterisk.{index}.{key}");
        let earlier = &config.asterisk[..index];
        if earlier.iter().any(|other| other.name == block.name) {
            let reason = format!("another block has the name {:?} already", block.name);
            conflict(&key("name"), reason);
        }
        if earlier.iter().any(|other| (&other.url, &other.app) == (&block.url, &block.app)) {
            let reason = format!(
                "another block serves the app {:?} at {} already; Asterisk gives an app's events \
                 to one listener only",
                block.app, block.url
            );
            conflict(&key("app"), reason);
        }
        if block.media == Transport::AudioSocket {
            audiosocket(config, block.format, &key, &conflict);
        }
    }
}

fn ports(config: &Config, conflict: &impl Fn(&str, String)) {
    let shards = shard_count(config.runtime.shards);
    let rtp = &config.runtime.rtp;
    let last = usize::from(rtp.port) + shards.saturating_sub(1);
    if rtp.port != 0 && last > usize::from(u16::MAX) {
        let reason = format!(
            "{shards} shards take the ports from {} to {last}, above {}",
            rtp.port,
            u16::MAX
        );
        conflict("rtp.port", reason);
    }
    let audiosocket = &config.runtime.audiosocket;
    if audiosocket.enabled && config.api.enabled && collide(audiosocket.bind, config.api.bind) {
        let reason = format!("{} is taken by audiosocket.bind", config.api.bind);
        conflict("api.bind", reason);
    }
}

fn advertised(config: &Config, conflict: &impl Fn(&str, String)) {
    let reason = |address: &dyn std::fmt::Display, key: &str| {
        format!(
            "Asterisk cannot be told to send to {address}: set {key} to the host by which it \
             reaches this machine"
        )
    };
    let rtp = &config.runtime.rtp;
    if rtp.bind.is_unspecified() && rtp.advertise.is_none() {
        conflict("rtp.bind", reason(&rtp.bind, "rtp.advertise"));
    }
    let audiosocket = &config.runtime.audiosocket;
    let unspecified = audiosocket.enabled && audiosocket.bind.ip().is_unspecified();
    if unspecified && audiosocket.advertise.is_none() {
        conflict("audiosocket.bind", reason(&audiosocket.bind, "audiosocket.advertise"));
    }
}

fn times(config: &Config, conflict: &impl Fn(&str, String)) {
    let media = &config.media;
    let packets = u32::try_from(media.jitter_capacity_packets).unwrap_or(u32::MAX);
    let held = PACKET.saturating_mul(packets);
    if media.jitter_min > media.jitter_max {
        let reason = format!(
            "{} ms are more than jitter.max_ms, {}",
            media.jitter_min.as_millis(),
            media.jitter_max.as_millis()
        );
        conflict("jitter.min_ms", reason);
    }
    if held < media.jitter_max {
        let reason = format!(
            "{packets} packets of 20 ms are {} ms, less than jitter.max_ms, {}",
            held.as_millis(),
            media.jitter_max.as_millis()
        );
        conflict("jitter.capacity_packets", reason);
    }
    if config.echo.delay + PACKET > media.playout_max_queue {
        let reason = format!(
            "{} ms and a frame of 20 ms do not fit into playout.max_queue_ms, {}",
            config.echo.delay.as_millis(),
            media.playout_max_queue.as_millis()
        );
        conflict("echo.delay_ms", reason);
    }
}

fn player(config: &Config, conflict: &impl Fn(&str, String)) {
    let mut plays = vec![("player.play".to_owned(), &config.player.play)];
    for (name, bot) in &config.bots {
        plays.push((format!("bot.{name}.comfort"), &bot.behaviour.comfort));
        plays.push((format!("bot.{name}.fallback_play"), &bot.behaviour.fallback.play));
    }
    for (key, play) in plays {
        if let (Some(PlaySpec::File(name)), None) = (play, &config.player.root) {
            conflict(&key, format!("{name:?} is a file, which needs player.root"));
        }
    }
}

fn bots(config: &Config, conflict: &impl Fn(&str, String)) {
    for (name, bot) in &config.bots {
        let xoff = bot.behaviour.xoff;
        if xoff > bot.session.max_queued {
            let (xoff, most) = (xoff.as_millis(), bot.session.max_queued.as_millis());
            let reason =
                format!("{xoff} is above max_queued_ms, {most}, from where nothing is read");
            conflict(&format!("bot.{name}.xoff_ms"), reason);
        }
        if bot.url.is_none() && !config.api.enabled {
            let reason = "without it the bot connects to us, which needs api.enabled".to_owned();
            conflict(&format!("bot.{name}.url"), reason);
        }
    }
}

fn audiosocket(
    config: &Config,
    format: MediaFormat,
    key: &impl Fn(&str) -> String,
    conflict: &impl Fn(&str, String),
) {
    let settings = &config.runtime.audiosocket;
    if !settings.enabled {
        conflict(&key("media"), "\"audiosocket\" needs audiosocket.enabled = true".to_owned());
    }
    let need = AUDIOSOCKET_HEADER_BYTES + frame_bytes(format.sample_rate());
    if need > settings.max_frame_bytes {
        let reason = format!(
            "a frame of \"{format}\" has {need} bytes, more than audiosocket.max_frame_bytes, {}",
            settings.max_frame_bytes
        );
        conflict(&key("format"), reason);
    }
}

/// Bytes of 20 ms of `slin`.
fn frame_bytes(rate: SampleRate) -> usize {
    rate.length_of(PACKET).saturating_mul(2)
}

/// Threads that carry media, where 0 stands for one per core.
pub(super) fn shard_count(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// Whether two listeners want the same port of the same address.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (everywhere || a.ip() == b.ip())
}
