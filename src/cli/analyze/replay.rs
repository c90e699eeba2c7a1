use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::formats::{Formats, Payload};
use super::streams::Stream;
use super::transit::{Arrival, Transits};
use crate::audio::{MediaFormat, Ptime};
use crate::call::{CallId, CallInfo, EndReason, Transport};
use crate::engine::{Command, Engine, Epoch, Input, Output, Workbench};
use crate::media::{MediaSettings, PacketizerSeed, SilencePolicy};
use crate::processor::Pipeline;
use crate::wire::{RtpPacket, RtpTs, Seq, Ssrc};

/// How long after a packet the engine is woken whenever it asks. All that waits in it has come out
/// by then: holes of the capture itself cost nothing.
const LINGER: Duration = Duration::from_secs(10);

/// Least time between two readings of the target delay.
const TARGET_EVERY: Duration = Duration::from_millis(100);

/// Most losses whose time is kept.
pub(super) const MAX_LOSSES: usize = 20_000;

/// How many of the latest losses a late packet can be one of: more than the 100 packets of the late
/// window at 20 ms.
const RECENT_LOSSES: usize = 256;

/// Counters of what a call sends: here nothing is sent.
const OF_SENDING: [&str; 2] = ["packets_sent", "frames_skipped"];

/// How the captured streams are received: as `serve` does without a configuration, but never given
/// up for a silence, and never answered.
pub(super) fn settings() -> MediaSettings {
    MediaSettings {
        no_media_after: Duration::ZERO,
        end_after: Duration::ZERO,
        silence: SilencePolicy::Suppress,
        ..MediaSettings::default()
    }
}

/// One stream under way through an engine, in the capture's own time.
pub(super) struct Replay<'a> {
    engine: Engine,
    workbench: Workbench,
    formats: &'a Formats,
    format: MediaFormat,
    from: SocketAddr,
    epoch: Instant,
    /// Moments here are since the stream's first packet.
    now: Duration,
    wake: Option<Duration>,
    datagram: Vec<u8>,
    transits: Transits,
    /// Sequence number and timestamp of the packet before, and what a packet lasts.
    previous: Option<(Seq, RtpTs)>,
    packet_time: Duration,
    losses: Vec<Duration>,
    targets: Vec<(Duration, f64)>,
}

/// A stream that is over.
#[derive(Debug)]
pub(super) struct Replayed {
    /// The engine's statistics in their JSON form, without those of sending.
    pub(super) stats: Value,
    /// Packets of the stream's format, in the order of arrival.
    pub(super) arrivals: Vec<Arrival>,
    /// About when each packet that never came should have come.
    pub(super) losses: Vec<Duration>,
    /// What the jitter buffer aimed at, in milliseconds; empty where it does not tell.
    pub(super) targets: Vec<(Duration, f64)>,
}

impl<'a> Replay<'a> {
    /// An engine for `stream`, which is in `format`, whose audio goes through `pipeline`. `epoch` is
    /// any moment: the stream's first packet lies there.
    pub(super) fn new(
        stream: &Stream,
        format: MediaFormat,
        formats: &'a Formats,
        pipeline: Pipeline,
        epoch: Epoch,
    ) -> Self {
        let info = CallInfo::unannounced(
            CallId::new(Uuid::from_u128(u128::from(stream.key.ssrc.0))),
            Transport::Rtp,
            Some(format),
            pipeline.name().clone(),
        );
        let seed = PacketizerSeed { ssrc: Ssrc(0), seq: Seq(0), timestamp: RtpTs(0) };
        let mut replay = Self {
            engine: Engine::rtp(epoch, info, pipeline, settings(), seed),
            workbench: Workbench::default(),
            formats,
            format,
            from: stream.key.from,
            epoch: epoch.instant,
            now: Duration::ZERO,
            wake: None,
            datagram: Vec::new(),
            transits: Transits::new(format.clock_rate()),
            previous: None,
            packet_time: Ptime::MS_20.duration(),
            losses: Vec::new(),
            targets: Vec::new(),
        };
        replay.give(Duration::ZERO, Input::Command(Command::SetPeer(stream.key.from)));
        replay
    }

    /// The next packet of the stream, which fills `datagram` and came at `at`.
    pub(super) fn feed(&mut self, at: Duration, packet: &RtpPacket<'_>, datagram: &[u8]) {
        let at = self.now.max(at);
        self.run_until(at);
        let is_audio = self.formats.of(packet.payload_type()) == Some(Payload::Audio(self.format));
        let longer = if is_audio { self.note(at, packet) } else { 0.0 };
        let mut bytes = std::mem::take(&mut self.datagram);
        bytes.clear();
        bytes.extend_from_slice(datagram);
        // The engine knows payload types as Asterisk numbers them. The second byte is there, and
        // its highest bit is the marker.
        bytes[1] = bytes[1] & 0x80 | self.formats.translate(packet.payload_type(), self.format);
        let lost = self.engine.counters().packets_lost;
        self.give(at, Input::Datagram { from: self.from, bytes: &bytes });
        self.datagram = bytes;
        for _ in self.engine.counters().packets_lost..lost {
            self.forget_loss(at, longer);
        }
    }

    /// The end of the capture.
    pub(super) fn finish(mut self) -> Replayed {
        self.give(self.now, Input::Command(Command::End(EndReason::Requested)));
        self.losses.sort_unstable();
        let mut stats = serde_json::to_value(self.engine.stats()).unwrap_or_default();
        if let Value::Object(fields) = &mut stats {
            fields.retain(|name, _| !OF_SENDING.contains(&name.as_str()));
        }
        let arrivals = self.transits.finish();
        Replayed { stats, arrivals, losses: self.losses, targets: self.targets }
    }

    fn note(&mut self, at: Duration, packet: &RtpPacket<'_>) -> f64 {
        if let Some((seq, timestamp)) = self.previous
            && packet.seq().since(seq) == 1
            && let Ok(ticks) = u32::try_from(packet.timestamp().since(timestamp))
        {
            let lasts = f64::from(ticks) / f64::from(self.format.clock_rate().hz());
            // Not the pause before a talkspurt.
            if (0.001..=0.12).contains(&lasts) {
                self.packet_time = Duration::from_secs_f64(lasts);
            }
        }
        self.previous = Some((packet.seq(), packet.timestamp()));
        self.transits.note(at, packet.timestamp())
    }

    /// Wakes the engine whenever it asks, up to `at`.
    fn run_until(&mut self, at: Duration) {
        let until = at.min(self.now + LINGER);
        while let Some(wake) = self.wake.filter(|wake| *wake <= until) {
            let before = self.now;
            self.give(wake.max(before), Input::Timeout);
            // An engine that asks for the same moment again would never end.
            if self.now == before && self.wake.is_some_and(|again| again <= wake) {
                break;
            }
        }
    }

    fn give(&mut self, at: Duration, input: Input<'_>) {
        self.now = self.now.max(at);
        let lost = self.engine.counters().packets_lost;
        self.engine.handle_input(self.epoch + self.now, input);
        loop {
            match self.engine.poll_output(&mut self.workbench) {
                Output::Transmit(_) | Output::Event(_) => {}
                Output::Wait(wake) => {
                    self.wake = wake.map(|at| at.saturating_duration_since(self.epoch));
                    break;
                }
                Output::Ended => {
                    self.wake = None;
                    break;
                }
            }
        }
        let given_up = self.engine.counters().packets_lost.saturating_sub(lost);
        self.note_losses(given_up);
        let due = self.targets.last().is_none_or(|(last, _)| *last + TARGET_EVERY <= self.now);
        if due {
            let target_ms = self.engine.stats().reception.target_delay_ms;
            self.targets.push((self.now, target_ms));
        }
    }

    /// A hole of so many packets is given up now: the last of them should have come one packet
    /// time before.
    fn note_losses(&mut self, packets: u64) {
        for before in (1..=packets).rev() {
            if self.losses.len() == MAX_LOSSES {
                return;
            }
            let before = u32::try_from(before).unwrap_or(u32::MAX);
            self.losses.push(self.now.saturating_sub(self.packet_time.saturating_mul(before)));
        }
    }

    /// A packet that was given up came after all, at `at` and so many milliseconds later than the
    /// one before it.
    fn forget_loss(&mut self, at: Duration, later_ms: f64) {
        let due = at.as_secs_f64() - later_ms / 1e3;
        let off = |loss: &Duration| (loss.as_secs_f64() - due).abs();
        let nearest = (self.losses.len().saturating_sub(RECENT_LOSSES)..self.losses.len())
            .min_by(|a, b| off(&self.losses[*a]).total_cmp(&off(&self.losses[*b])));
        if let Some(nearest) = nearest {
            self.losses.swap_remove(nearest);
        }
    }
}
