//! What works and is probably not meant.

use std::net::IpAddr;

use super::Config;
use super::address::{host_of_url, is_loopback};
use super::check::shard_count;
use crate::ari::AsteriskSettings;
use crate::call::Transport;
use crate::media::ReturnFormat;
use crate::runtime::Accept;
use crate::runtime::recording::MAX_OPEN;

/// Files besides those of calls: the log, listeners, event loops, requests to Asterisk and to us.
const SPARE_FILES: u64 = 128;

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let rtp = &config.runtime.rtp;
    let audiosocket = &config.runtime.audiosocket;
    if rtp.accept == Accept::Any && !rtp.bind.is_loopback() {
        warnings.push(open_to_all("rtp"));
    }
    if audiosocket.enabled
        && audiosocket.accept == Accept::Any
        && !audiosocket.bind.ip().is_loopback()
    {
        warnings.push(open_to_all("audiosocket"));
    }
    if config.api.enabled && !config.api.bind.ip().is_loopback() {
        warnings.push(format!(
            "api.bind is {}: whoever reaches it can list and end calls; the API has no password",
            config.api.bind
        ));
    }
    for (name, service) in &config.stt {
        of_peer(&format!("stt.{name}"), &service.url, service.ca_file.is_some(), &mut warnings);
    }
    for (name, bot) in &config.bots {
        let Some(url) = &bot.url else { continue };
        of_peer(&format!("bot.{name}"), &url.to_string(), bot.ca_file.is_some(), &mut warnings);
    }
    for block in &config.asterisk {
        of_block(config, block, &mut warnings);
    }
    warnings
}

/// What is wrong with the way to a WebSocket peer.
fn of_peer(key: &str, url: &str, has_ca_file: bool, warnings: &mut Vec<String>) {
    let host = host_of_url(url);
    let encrypted = url.starts_with("wss://");
    if !encrypted && has_ca_file {
        warnings.push(format!("{key}: ca_file is of no use with ws://"));
    }
    if !encrypted && !is_loopback(host) {
        warnings.push(format!("{key}: what callers say goes unencrypted to {host}; use wss://"));
    }
}

fn of_block(config: &Config, block: &AsteriskSettings, warnings: &mut Vec<String>) {
    let host = host_of_url(&block.url);
    let encrypted = block.url.starts_with("https://");
    if !encrypted && block.ca_file.is_some() {
        warnings.push(format!("asterisk {:?}: ca_file is of no use with http://", block.name));
    }
    let is_dropped = config.media.return_format == ReturnFormat::Same
        && block.media == Transport::Rtp
        && !block.format.has_static_payload_type();
    if is_dropped {
        warnings.push(format!(
            "asterisk {:?}: with playout.return_format = \"same\" it drops what calls in {} are answered; use \"auto\"",
            block.name, block.format
        ));
    }
    if is_loopback(host) {
        return;
    }
    if !encrypted {
        warnings.push(format!(
            "asterisk {:?}: the password goes unencrypted to {host}; use https://",
            block.name
        ));
    }
    let rtp = &config.runtime.rtp;
    let audiosocket = &config.runtime.audiosocket;
    let listeners = [
        ("rtp", Some(rtp.bind), &rtp.advertise),
        (
            "audiosocket",
            audiosocket.enabled.then_some(audiosocket.bind.ip()),
            &audiosocket.advertise,
        ),
    ];
    for (section, bind, advertise) in listeners {
        if bind.is_some_and(|bind| on_loopback(bind, advertise.as_deref())) {
            warnings.push(format!(
                "asterisk {:?}: it is not on this machine, as {host} says, and will be told to \
                 send to loopback; set {section}.bind and {section}.advertise",
                block.name
            ));
        }
    }
}

/// Whether what Asterisk is told is loopback.
fn on_loopback(bind: IpAddr, advertise: Option<&str>) -> bool {
    match advertise {
        None => bind.is_loopback(),
        Some(told) => {
            is_loopback(told) || told.rsplit_once(':').is_some_and(|(host, _)| is_loopback(host))
        }
    }
}

fn open_to_all(section: &str) -> String {
    format!(
        "{section}.accept is \"any\" and {section}.bind is no loopback address: \
         whoever reaches it can open calls"
    )
}

pub(super) fn most_open_files(config: &Config) -> u64 {
    let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let rtp_calls = wide(config.runtime.rtp.max_calls);
    let audiosocket = &config.runtime.audiosocket;
    let connections = if audiosocket.enabled { wide(audiosocket.max_connections) } else { 0 };
    let recorded = config.pipelines.named.values().flatten().any(|name| name == "recorder");
    let recordings = if recorded { rtp_calls.saturating_add(connections) } else { 0 };
    let recordings = recordings.min(MAX_OPEN);
    // Every call has a connection for each of its services and bots.
    let has_socket = |name: &&String| {
        ["stt", "bot"].contains(&name.as_str())
            || ["stt.", "bot."].iter().any(|kind| name.starts_with(kind))
    };
    let peers = config.pipelines.named.values();
    let peers = peers.map(|processors| processors.iter().filter(has_socket).count());
    let calls = rtp_calls.saturating_add(connections);
    let talking = calls.saturating_mul(wide(peers.max().unwrap_or(0)));
    // Each shard has a socket, and the three descriptors of its event loop.
    let shards = wide(shard_count(config.runtime.shards)).saturating_mul(4);
    connections
        .saturating_add(recordings)
        .saturating_add(talking)
        .saturating_add(shards)
        .saturating_add(SPARE_FILES)
}
