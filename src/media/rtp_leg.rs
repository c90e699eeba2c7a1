use std::net::SocketAddr;
use std::time::Instant;

use super::jitter::{Arrival, FixedWait, JitterBuffer, Popped};
use super::rtp_downlink::RtpDownlink;
use super::{
    CallStats, MediaSettings, PacketizerSeed, Rejected, SourceCheck, Timeline, Uplink, Verdict,
};
use crate::audio::{AudioFrame, MediaFormat, Origin, Position, SampleRate};
use crate::dsp::codec::Decoder;
use crate::dsp::opus::Recovery;
use crate::wire::{ExtSeq, ExtTs, RtpPacket, SeqExtender, TsExtender};

/// Payload types that travel in a stream beside its audio: comfort noise (RFC 3389), and
/// telephone-event by convention (RFC 4733). They hold a sequence number and carry no samples.
const SIDE_PAYLOAD_TYPES: [u8; 2] = [13, 101];

/// Most frames made up for one hole: 200 ms at 20 ms. The rest of a longer hole stays a gap.
const MAX_CONCEALED: u64 = 10;

/// One call's RTP, both directions.
#[derive(Debug)]
pub struct RtpLeg {
    format: MediaFormat,
    rate: SampleRate,
    peer: Option<SocketAddr>,
    source: SourceCheck,
    seq: SeqExtender,
    /// Where the stream began: what is older was never counted as lost.
    first_seq: Option<ExtSeq>,
    ts: TsExtender,
    jitter: JitterBuffer,
    timeline: Timeline,
    late_window: u64,
    wake: Option<Instant>,
    decoder: Decoder,
    /// Decodes what came late, beside the stream that the other one follows.
    late_decoder: Option<Decoder>,
    /// Decoded samples of the frame in hand.
    samples: Vec<i16>,
    ready: Option<Ready>,
    concealed_frames_due: u64,
    /// The packet that is next lies right behind the frames that are due: its redundancy is for the
    /// last of them.
    hole_is_filled: bool,
    /// Length of the latest frame: what a missing one is taken to have had.
    frame_samples: usize,
    /// A packet that may be the first of a new stream.
    held: Vec<u8>,
    held_since: Instant,
    /// The packet that confirmed it.
    second: Vec<u8>,
    change: Change,
    format_told: bool,
    mismatch: Option<u8>,
    mismatch_told: bool,
    downlink: RtpDownlink,
}

/// How far the change to a new stream has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// None is under way.
    None,
    /// What waits of the old stream comes first.
    Flush,
    /// The first packet of the new one is used, the second is next.
    Second,
}

/// A frame that lies decoded in `samples`.
#[derive(Clone, Copy, Debug)]
struct Ready {
    position: Position,
    origin: Origin,
    late: bool,
}

impl RtpLeg {
    /// A leg in `format` of a call that began at `epoch`. Nothing is received or sent until
    /// [`Self::set_peer`].
    ///
    /// What is sent goes out in the format that the settings choose for it
    /// ([`ReturnFormat`](super::ReturnFormat)).
    ///
    /// # Panics
    /// Where the settings of Opus are out of range.
    #[must_use]
    pub fn new(
        format: MediaFormat,
        epoch: Instant,
        settings: &MediaSettings,
        seed: PacketizerSeed,
    ) -> Self {
        let rate = settings.rate_of(format);
        Self {
            format,
            rate,
            peer: None,
            source: SourceCheck::default(),
            seq: SeqExtender::new(),
            first_seq: None,
            ts: TsExtender::new(),
            jitter: JitterBuffer::new(
                settings.jitter_capacity_packets,
                FixedWait(settings.jitter_max_wait),
            ),
            timeline: Timeline::new(rate, format.clock_rate(), epoch),
            late_window: rate.samples_in(settings.late_window),
            wake: None,
            decoder: decoder(format, rate),
            late_decoder: None,
            samples: Vec::new(),
            ready: None,
            concealed_frames_due: 0,
            hole_is_filled: false,
            frame_samples: 0,
            held: Vec::new(),
            held_since: epoch,
            second: Vec::new(),
            change: Change::None,
            format_told: false,
            mismatch: None,
            mismatch_told: false,
            downlink: RtpDownlink::new(format, rate, settings, seed),
        }
    }

    /// Rate of the samples of both directions.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// The address that the call is locked to.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Locks the call to an address.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        stats: &mut CallStats,
    ) {
        if self.peer != Some(from) {
            stats.rejected.count(Rejected::ForeignSource);
            return;
        }
        let packet = match RtpPacket::parse(datagram) {
            Ok(packet) => packet,
            Err(_) => return stats.rejected.count(Rejected::Malformed),
        };
        if let Err(reason) = self.check_payload(&packet) {
            return stats.rejected.count(reason);
        }
        match self.source.check(packet.ssrc(), packet.seq()) {
            Verdict::Accept => {
                self.drop_held(stats);
                self.accept(now, &packet, stats);
            }
            Verdict::Hold => {
                self.drop_held(stats);
                self.held.extend_from_slice(datagram);
                self.held_since = now;
            }
            Verdict::Restart => {
                stats.stream_restarts += 1;
                self.second.clear();
                self.second.extend_from_slice(datagram);
                self.change = Change::Flush;
                self.jitter.give_up_holes();
            }
        }
    }

    pub(super) fn poll(&mut self, now: Instant, stats: &mut CallStats) -> Option<Uplink<'_>> {
        if !self.format_told {
            self.format_told = true;
            return Some(Uplink::Format { format: self.format, rate: self.rate });
        }
        if let Some(actual) = self.mismatch.take() {
            return Some(Uplink::FormatMismatch { expected: self.format, actual });
        }
        while self.ready.is_none() && self.concealed_frames_due == 0 {
            if self.change == Change::Second {
                self.continue_stream(now, stats);
            } else if !self.pop(now, stats) {
                if self.change == Change::None {
                    return None;
                }
                self.begin_stream(stats);
            }
        }
        let (position, origin, late) = match self.ready.take() {
            Some(Ready { position, origin, late }) => (position, origin, late),
            None => (self.fill_hole(stats), Origin::Concealed, false),
        };
        let frame = AudioFrame { samples: &mut self.samples, rate: self.rate, position, origin };
        Some(if late { Uplink::Late(frame) } else { Uplink::Frame(frame) })
    }

    pub(super) fn give_up_holes(&mut self) {
        self.jitter.give_up_holes();
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        self.wake
    }

    pub(super) fn send(&mut self, samples: &[i16], audible: bool, out: &mut Vec<u8>) -> bool {
        self.downlink.send(samples, audible, out)
    }

    pub(super) fn skip(&mut self, samples: usize) {
        self.downlink.skip(samples);
    }

    fn check_payload(&mut self, packet: &RtpPacket<'_>) -> Result<(), Rejected> {
        let payload_type = packet.payload_type().value();
        if SIDE_PAYLOAD_TYPES.contains(&payload_type) {
            return Ok(());
        }
        if !self.format.accepts_payload_type(payload_type) {
            if !self.mismatch_told {
                self.mismatch_told = true;
                self.mismatch = Some(payload_type);
            }
            return Err(Rejected::PayloadType);
        }
        if self.format.allows_payload_of(packet.payload().len()) {
            Ok(())
        } else {
            Err(Rejected::PayloadSize)
        }
    }

    fn accept(&mut self, now: Instant, packet: &RtpPacket<'_>, stats: &mut CallStats) {
        let seq = self.seq.extend(packet.seq());
        let first = *self.first_seq.get_or_insert(seq);
        let ts = self.ts.extend(packet.timestamp());
        let payload = if SIDE_PAYLOAD_TYPES.contains(&packet.payload_type().value()) {
            &[]
        } else {
            packet.payload()
        };
        match self.jitter.push(now, seq, ts, payload) {
            Arrival::Next { reordered } => {
                stats.packets_reordered += u64::from(reordered);
                stats.packets_received += 1;
                self.use_packet(now, ts, payload, stats);
            }
            Arrival::Stored { reordered } => {
                stats.packets_reordered += u64::from(reordered);
                stats.packets_received += 1;
            }
            Arrival::Late => {
                if self.use_late(now, ts, payload, stats) && seq >= first {
                    stats.packets_lost = stats.packets_lost.saturating_sub(1);
                }
            }
            Arrival::Duplicate => stats.rejected.count(Rejected::Duplicate),
            Arrival::TooOld => stats.rejected.count(Rejected::TooLate),
            Arrival::Overflow => stats.rejected.count(Rejected::Overflow),
        }
    }

    /// Decodes the packet that is next in order.
    fn use_packet(&mut self, now: Instant, ts: ExtTs, payload: &[u8], stats: &mut CallStats) {
        if payload.is_empty() {
            return;
        }
        if self.timeline.is_flooded(now) {
            return stats.rejected.count(Rejected::Overflow);
        }
        let mut origin = Origin::Real;
        if self.decoder.decode(payload, &mut self.samples).is_err() {
            stats.rejected.count(Rejected::Undecodable);
            if self.frame_samples == 0 {
                return;
            }
            // Its place is known, and mostly its length; what it holds is lost.
            let samples = self.decoder.samples_in(payload).unwrap_or(self.frame_samples);
            self.samples.resize(samples, 0);
            self.decoder.conceal(None, &mut self.samples);
            stats.frames_concealed += 1;
            origin = Origin::Concealed;
        }
        self.frame_samples = self.samples.len();
        let place = self.timeline.place(now, ts, self.samples.len());
        stats.timestamp_jumps += u64::from(place.jumped);
        self.ready = Some(Ready { position: place.position, origin, late: false });
    }

    /// Decodes a packet whose place was given up, where the archive still wants it.
    fn use_late(&mut self, now: Instant, ts: ExtTs, payload: &[u8], stats: &mut CallStats) -> bool {
        let end = self.timeline.end();
        let in_window = |position: &Position| end.0.saturating_sub(position.0) <= self.late_window;
        let Some(position) = self.timeline.place_late(now, ts).filter(in_window) else {
            stats.rejected.count(Rejected::TooLate);
            return false;
        };
        stats.packets_received += 1;
        stats.packets_late += 1;
        if !payload.is_empty() {
            let (format, rate) = (self.format, self.rate);
            let decoder = self.late_decoder.get_or_insert_with(|| decoder(format, rate));
            if decoder.decode(payload, &mut self.samples).is_err() {
                stats.rejected.count(Rejected::Undecodable);
            } else {
                self.ready = Some(Ready { position, origin: Origin::Real, late: true });
            }
        }
        true
    }

    /// Moves on to the next packet or hole; false where there is none yet.
    fn pop(&mut self, now: Instant, stats: &mut CallStats) -> bool {
        self.wake = None;
        match self.jitter.pop(now) {
            Popped::Packet(stored) => {
                self.use_packet(now, stored.ts, &stored.payload, stats);
                self.jitter.recycle(stored);
                true
            }
            Popped::Hole { packets, until } => {
                stats.packets_lost += packets;
                let frame = self.frame_samples.max(1) as u64;
                let gap = self.timeline.gap_before(until);
                let missing = packets.min(gap / frame);
                self.concealed_frames_due = missing.min(MAX_CONCEALED);
                self.hole_is_filled = gap - self.concealed_frames_due * frame < frame;
                true
            }
            Popped::Wait(until) => {
                self.wake = Some(until);
                false
            }
            Popped::Empty => false,
        }
    }

    /// Follows the peer to a new stream, which the held packet began.
    fn begin_stream(&mut self, stats: &mut CallStats) {
        self.seq = SeqExtender::new();
        self.first_seq = None;
        self.ts = TsExtender::new();
        self.jitter.restart();
        self.timeline.restart();
        self.decoder.reset();
        let first = std::mem::take(&mut self.held);
        self.take_datagram(self.held_since, &first, stats);
        self.held = first;
        self.held.clear();
        self.change = Change::Second;
    }

    /// Takes the packet that confirmed the new stream.
    fn continue_stream(&mut self, now: Instant, stats: &mut CallStats) {
        self.change = Change::None;
        let second = std::mem::take(&mut self.second);
        self.take_datagram(now, &second, stats);
        self.second = second;
    }

    fn take_datagram(&mut self, now: Instant, datagram: &[u8], stats: &mut CallStats) {
        let packet = RtpPacket::parse(datagram).expect("a held packet was parsed before");
        self.accept(now, &packet, stats);
    }

    /// A held packet that was not confirmed belonged to no stream of ours.
    fn drop_held(&mut self, stats: &mut CallStats) {
        if !self.held.is_empty() {
            self.held.clear();
            stats.rejected.count(Rejected::ForeignSsrc);
        }
    }

    /// Makes up the next frame of a hole, and answers where it lies.
    fn fill_hole(&mut self, stats: &mut CallStats) -> Position {
        self.concealed_frames_due -= 1;
        stats.frames_concealed += 1;
        self.samples.resize(self.frame_samples, 0);
        let last = self.concealed_frames_due == 0 && self.hole_is_filled;
        let following = if last { self.jitter.next_payload() } else { None };
        let following = following.filter(|payload| !payload.is_empty());
        let recovery = self.decoder.conceal(following, &mut self.samples);
        stats.frames_recovered += u64::from(recovery == Recovery::Redundancy);
        self.timeline.take(self.frame_samples)
    }
}

fn decoder(format: MediaFormat, rate: SampleRate) -> Decoder {
    Decoder::new(format, rate).expect("the rate of Opus is in range")
}
