use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::capture::{self, CaptureError, Container};
use super::formats::{Formats, Payload};
use super::headers::{Datagram, Skipped, datagram};
use crate::audio::MediaFormat;
use crate::wire::{PayloadType, RtpPacket, RtpTs, Seq, Ssrc};

/// Steps ahead of the sequence number that make a run of datagrams RTP: 100 ms at 20 ms, which is
/// little of a call and more than chance brings about.
const MIN_ADVANCES: u64 = 5;

/// At least one packet in so many must be such a step. A capture that has every packet twice has one
/// in two; random bytes have one in 655.
const MAX_PACKETS_PER_ADVANCE: u64 = 4;

/// Largest step ahead of a sequence number that counts.
const MAX_ADVANCE: i16 = 100;

/// Most runs of datagrams that are followed while they are not known to be RTP.
const MAX_CANDIDATES: usize = 65_536;

/// A capture longer than this has wrong times; what comes later counts as of then.
const MAX_SPAN: Duration = Duration::from_secs(366 * 24 * 3_600);

/// Clock rates of the formats that we know.
const CLOCKS_HZ: [f64; 8] =
    [8_000.0, 12_000.0, 16_000.0, 24_000.0, 32_000.0, 44_100.0, 48_000.0, 96_000.0];

/// Who sends what to whom: packets of the same belong together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) ssrc: Ssrc,
}

/// What a capture holds beside its streams.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Contents {
    /// Frames of the link layer.
    pub(super) frames: u64,
    /// UDP datagrams that were captured whole.
    pub(super) datagrams: u64,
    /// Packets of RTP that belong to a stream.
    pub(super) rtp: u64,
    /// Datagrams that are RTCP by their second byte (RFC 5761 section 4).
    pub(super) rtcp: u64,
    /// Fragments of UDP datagrams, which are skipped.
    pub(super) fragments: u64,
    /// Frames that were captured in part, or whose lengths contradict each other.
    pub(super) cut: u64,
    /// Frames of link types that are not known here.
    pub(super) unknown_links: BTreeMap<i32, u64>,
    /// Packets without a time.
    pub(super) untimed: u64,
    /// Datagrams that may be RTP and were not followed, because too many others were.
    pub(super) unfollowed: u64,
    /// Frames with an earlier time than one before them.
    pub(super) back_in_time: u64,
    /// From the first frame to the last.
    #[serde(rename = "duration_ms", serialize_with = "super::report::millis")]
    pub(super) duration: Duration,
    /// Time of the first frame since the Unix epoch.
    #[serde(rename = "start_unix_ms", serialize_with = "super::report::millis")]
    pub(super) start: Duration,
}

/// A run of packets that is RTP.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) key: Key,
    pub(super) packets: u64,
    /// Since the capture's first frame.
    pub(super) first: Duration,
    pub(super) last: Duration,
    /// Packets of each payload type.
    pub(super) payload_types: BTreeMap<u8, u64>,
    /// The format of most packets; `None` where none of them is known.
    pub(super) format: Option<MediaFormat>,
    /// What the timestamp's clock runs at, where it is near one that we know.
    pub(super) clock_hz: Option<u32>,
}

/// What a capture holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) container: Container,
    pub(super) contents: Contents,
    /// In the order of their first packets.
    pub(super) streams: Vec<Stream>,
}

/// Looks for RTP in a capture. A flow of UDP is RTP where its packets parse as version 2, are not
/// RTCP, and the sequence numbers of one SSRC advance [`MIN_ADVANCES`] times.
///
/// # Errors
/// [`CaptureError`].
pub(super) fn find(path: &Path, formats: &Formats) -> Result<Found, CaptureError> {
    let mut candidates: HashMap<Key, Candidate> = HashMap::new();
    let mut unfollowed = 0;
    let (container, mut contents) = each_packet(path, |at, key, packet, _| {
        let room = candidates.len() < MAX_CANDIDATES;
        if let Some(candidate) = candidates.get_mut(&key) {
            candidate.take(at, packet);
        } else if room {
            candidates.insert(key, Candidate::new(at, packet));
        } else {
            unfollowed += 1;
        }
    })?;
    let proven = candidates.into_iter().filter(|(_, candidate)| candidate.is_rtp());
    let mut streams: Vec<_> =
        proven.map(|(key, candidate)| candidate.into_stream(key, formats)).collect();
    streams.sort_by_key(|stream| (stream.first, stream.key.from, stream.key.to, stream.key.ssrc.0));
    contents.unfollowed = unfollowed;
    contents.rtp = streams.iter().map(|stream| stream.packets).sum();
    Ok(Found { container, contents, streams })
}

/// Hands everything that parses as RTP to `each`, with its time since the capture's first frame and
/// the bytes of its datagram.
///
/// # Errors
/// [`CaptureError`].
pub(super) fn each_packet(
    path: &Path,
    mut each: impl FnMut(Duration, Key, &RtpPacket<'_>, &[u8]),
) -> Result<(Container, Contents), CaptureError> {
    let mut contents = Contents::default();
    let mut latest = Duration::ZERO;
    let container = capture::read(path, |frame| {
        if contents.frames == 0 {
            contents.start = frame.at;
        }
        contents.frames += 1;
        let at = frame.at.saturating_sub(contents.start).min(MAX_SPAN);
        contents.back_in_time += u64::from(frame.at < contents.start || at < latest);
        latest = latest.max(at);
        let Datagram { from, to, bytes } = match datagram(frame.link, frame.bytes) {
            Ok(datagram) => datagram,
            Err(Skipped::NotUdp) => return,
            Err(Skipped::Fragment) => return contents.fragments += 1,
            Err(Skipped::Cut) => return contents.cut += 1,
            Err(Skipped::Link) => {
                *contents.unknown_links.entry(frame.link).or_default() += 1;
                return;
            }
        };
        contents.datagrams += 1;
        let Ok(packet) = RtpPacket::parse(bytes) else { return };
        if is_rtcp(bytes) {
            contents.rtcp += 1;
            return;
        }
        each(at, Key { from, to, ssrc: packet.ssrc() }, &packet, bytes);
    })?;
    contents.untimed = container.untimed;
    contents.duration = latest;
    Ok((container, contents))
}

/// Whether the second byte is one of RTCP's packet types, 192 to 223 (RFC 5761 section 4).
fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Datagrams that may be RTP.
struct Candidate {
    packets: u64,
    first: Duration,
    last: Duration,
    payload_types: BTreeMap<u8, u64>,
    advances: u64,
    /// Of the packet before.
    previous: (Duration, Seq, RtpTs),
    /// Ticks and time between packets that follow each other.
    ticks: u64,
    time: Duration,
}

impl Candidate {
    fn new(at: Duration, packet: &RtpPacket<'_>) -> Self {
        Self {
            packets: 1,
            first: at,
            last: at,
            payload_types: BTreeMap::from([(packet.payload_type().value(), 1)]),
            advances: 0,
            previous: (at, packet.seq(), packet.timestamp()),
            ticks: 0,
            time: Duration::ZERO,
        }
    }

    fn take(&mut self, at: Duration, packet: &RtpPacket<'_>) {
        let (before, seq, timestamp) = self.previous;
        let step = packet.seq().since(seq);
        self.advances += u64::from((1..=MAX_ADVANCE).contains(&step));
        let ticks = packet.timestamp().since(timestamp);
        if let (1, Ok(ticks), Some(time)) = (step, u64::try_from(ticks), at.checked_sub(before)) {
            self.ticks += ticks;
            self.time += time;
        }
        self.packets += 1;
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        *self.payload_types.entry(packet.payload_type().value()).or_default() += 1;
        self.previous = (at, packet.seq(), packet.timestamp());
    }

    fn is_rtp(&self) -> bool {
        self.advances >= MIN_ADVANCES && self.packets / MAX_PACKETS_PER_ADVANCE <= self.advances
    }

    fn into_stream(self, key: Key, formats: &Formats) -> Stream {
        let mut packets_of: Vec<(MediaFormat, u64)> = Vec::new();
        for (payload_type, packets) in self.carried() {
            if let Some(Payload::Audio(format)) = formats.of(payload_type) {
                match packets_of.iter_mut().find(|(known, _)| *known == format) {
                    Some((_, sum)) => *sum += packets,
                    None => packets_of.push((format, packets)),
                }
            }
        }
        let format = packets_of.iter().max_by_key(|(_, packets)| *packets);
        Stream {
            key,
            packets: self.packets,
            first: self.first,
            last: self.last,
            format: format.map(|(format, _)| *format),
            clock_hz: self.clock_hz(),
            payload_types: self.payload_types,
        }
    }

    fn carried(&self) -> impl Iterator<Item = (PayloadType, u64)> {
        self.payload_types
            .iter()
            .filter_map(|(number, packets)| Some((PayloadType::new(*number)?, *packets)))
    }

    /// The nearest clock rate that we know, where that is within 5 %: rates lie further apart.
    fn clock_hz(&self) -> Option<u32> {
        let measured = self.ticks as f64 / self.time.as_secs_f64();
        let near = CLOCKS_HZ.iter().find(|rate| (measured / *rate - 1.0).abs() < 0.05);
        near.map(|rate| *rate as u32)
    }
}
