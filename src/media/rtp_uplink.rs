use std::time::{Duration, Instant};

use super::beside_audio::{COMFORT_NOISE, TELEPHONE_EVENT, is_beside_audio};
use super::digit_reader::DigitReader;
use super::interarrival::nanos;
use super::jitter::{Arrival, JitterBuffer, Packet, Popped};
use super::reception::Observer;
use super::repair::Repair;
use super::retimer::Retimer;
use super::sender_clock::SenderClock;
use super::timeline::{Before, Jump};
use super::{CallStats, MediaSettings, Reception, Rejected, Timeline, Uplink};
use crate::audio::{AudioFrame, MediaFormat, Origin, Position, Ptime, SampleRate};
use crate::dsp::opus::Recovery;
use crate::dsp::prefetch::prefetch;
use crate::wire::{
    ComfortNoisePayload, ExtSeq, ExtTs, PayloadType, RtpPacket, SeqExtender, TsExtender,
};

/// How much later than a packet would have come comfort noise takes its place.
const NOISE_LAG: Duration = Duration::from_millis(40);

/// Comfort noise that is so late is not made any more: nobody heard the pause as it passed.
const NOISE_TOO_LATE: Duration = Duration::from_secs(1);

/// Most that is made up for one hole, in whole frames. The rest of a longer hole stays a gap.
const MAX_CONCEALED: Duration = Duration::from_millis(200);

/// Most noise that is made up at once, between the noise of a pause and the speech behind it.
const MAX_PADDING: Duration = Duration::from_millis(200);

/// A timestamp that is off by more against its arrival than the one before is no jitter.
const LEAP_NS: u64 = 10_000_000_000;

/// One stream's packets → frames in their place.
#[derive(Debug)]
pub(super) struct RtpUplink {
    format: MediaFormat,
    rate: SampleRate,
    epoch: Instant,
    seq: SeqExtender,
    /// Where the stream began: what is older was never counted as lost.
    first_seq: Option<ExtSeq>,
    ts: TsExtender,
    jitter: JitterBuffer,
    timeline: Timeline,
    late_window: u64,
    wake: Option<Instant>,
    repair: Repair,
    retimer: Retimer,
    observer: Observer,
    clock: SenderClock,
    /// Arrival less the sender's time, of the latest packet that was observed, in nanoseconds.
    observed_ns: Option<i64>,
    /// What lies between the latest packet of audio and the next one.
    before: Before,
    /// Samples from a packet's position to its arrival, of the latest one of noise, which keeps that
    /// distance.
    transit: u64,
    /// The sender told what its silence is like, and has not spoken since.
    noise: bool,
    /// Samples of the frame in hand.
    samples: Vec<i16>,
    ready: Option<Ready>,
    /// Noise that goes out before that frame: where it lies, and how many samples.
    padding: Option<(Position, usize)>,
    padding_samples: Vec<i16>,
    concealed_frames_due: u64,
    /// Length of each of them.
    hole_frame: usize,
    /// The packet that is next lies right behind the frames that are due: its redundancy is for the
    /// last of them.
    hole_is_filled: bool,
    /// Length of the latest frame: what a missing one is taken to have had.
    frame_samples: usize,
    digits: DigitReader,
}

/// A frame that lies in `samples`.
#[derive(Clone, Copy, Debug)]
struct Ready {
    position: Position,
    origin: Origin,
    late: bool,
}

impl RtpUplink {
    /// For a stream of `format` whose samples have `rate`, in a call that began at `epoch`. `seed`
    /// is that of its comfort noise.
    ///
    /// # Panics
    /// Where the rate of Opus is out of range.
    pub(super) fn new(
        format: MediaFormat,
        rate: SampleRate,
        epoch: Instant,
        settings: &MediaSettings,
        seed: u64,
    ) -> Self {
        Self {
            format,
            rate,
            epoch,
            seq: SeqExtender::new(),
            first_seq: None,
            ts: TsExtender::new(),
            jitter: settings.jitter_buffer(),
            timeline: Timeline::new(rate, format.clock_rate(), epoch),
            late_window: rate.samples_in(settings.late_window),
            wake: None,
            repair: Repair::new(format, rate, seed),
            retimer: Retimer::new(rate),
            observer: Observer::default(),
            clock: SenderClock::new(format.clock_rate()),
            observed_ns: None,
            before: Before::Something,
            transit: 0,
            noise: false,
            samples: Vec::new(),
            ready: None,
            padding: None,
            padding_samples: Vec::new(),
            concealed_frames_due: 0,
            hole_frame: 0,
            hole_is_filled: false,
            frame_samples: 0,
            digits: DigitReader::new(format.clock_rate()),
        }
    }

    /// Asks for the memory that the next packet needs, behind what lies in here.
    pub(super) fn prefetch(&self) {
        prefetch(&self.samples[..]);
        self.repair.prefetch();
    }

    /// Takes a packet of the stream.
    pub(super) fn accept(&mut self, now: Instant, packet: &RtpPacket<'_>, stats: &mut CallStats) {
        let seq = self.seq.extend(packet.seq());
        let first = *self.first_seq.get_or_insert(seq);
        let ts = self.ts.extend(packet.timestamp());
        let (payload_type, payload) = (packet.payload_type(), packet.payload());
        let packet = Packet { seq, ts, payload_type, payload };
        match self.jitter.push(now, packet) {
            Arrival::Next { reordered } => {
                stats.packets_reordered += u64::from(reordered);
                stats.packets_received += 1;
                self.observer.used(Duration::ZERO);
                self.use_packet(now, ts, payload_type, payload, stats);
            }
            Arrival::Stored { reordered } => {
                stats.packets_reordered += u64::from(reordered);
                stats.packets_received += 1;
            }
            Arrival::Late => {
                if self.use_late(now, &packet, stats) && seq >= first {
                    stats.packets_lost = stats.packets_lost.saturating_sub(1);
                }
                return;
            }
            Arrival::Duplicate => return stats.rejected.count(Rejected::Duplicate),
            Arrival::TooOld => return stats.rejected.count(Rejected::TooLate),
            Arrival::Overflow => return stats.rejected.count(Rejected::Overflow),
        }
        // All packets of an event carry its first timestamp.
        if payload_type.value() != TELEPHONE_EVENT && self.clock.is_set() {
            self.observe(now, ts);
        }
    }

    fn observe(&mut self, now: Instant, ts: ExtTs) {
        let arrival = now.saturating_duration_since(self.epoch);
        let media = self.clock.time(ts);
        let transit = nanos(arrival).saturating_sub(nanos(media));
        let leapt = |last: i64| transit.abs_diff(last) > LEAP_NS;
        if self.observed_ns.replace(transit).is_some_and(leapt) {
            self.observer.restart();
            self.retimer.restart();
        } else {
            self.observer.arrived(arrival, media);
            self.retimer.arrived(arrival, media);
        }
    }

    /// Makes sure that there is a frame or a digit to [take](Self::take); false where there is none now.
    pub(super) fn advance(&mut self, now: Instant, stats: &mut CallStats) -> bool {
        while !self.has_frame() {
            if !self.pop(now, stats) {
                return false;
            }
        }
        true
    }

    /// Whether there is a frame or a digit to take.
    pub(super) fn has_frame(&self) -> bool {
        self.ready.is_some() || self.concealed_frames_due > 0 || !self.digits.is_empty()
    }

    /// Whether comfort noise has to be put out by now, where nothing else is.
    pub(super) fn noise_is_due(&mut self, now: Instant) -> bool {
        let Some(due) = self.noise_due().filter(|due| *due <= now) else { return false };
        if now.saturating_duration_since(due) >= NOISE_TOO_LATE {
            let behind = self.transit + self.rate.samples_in(NOISE_LAG);
            self.timeline.skip_to(Position(self.timeline.arrival(now).saturating_sub(behind)));
        }
        true
    }

    /// The digit or frame that is there; the next one of comfort noise where there is none.
    pub(super) fn take(&mut self, stats: &mut CallStats) -> Uplink<'_> {
        if let Some(digit) = self.digits.pop() {
            return Uplink::Digit(digit);
        }
        if let Some((position, count)) = self.padding.take() {
            let samples = &mut self.padding_samples;
            samples.resize(count, 0);
            self.repair.fill_with_noise(samples);
            let origin = Origin::ComfortNoise;
            return Uplink::Frame(AudioFrame { samples, rate: self.rate, position, origin });
        }
        let (position, origin, late) = match self.ready.take() {
            Some(Ready { position, origin, late }) => (position, origin, late),
            None if self.concealed_frames_due > 0 => {
                (self.fill_hole(stats), Origin::Concealed, false)
            }
            None => (self.fill_pause(), Origin::ComfortNoise, false),
        };
        let frame = AudioFrame { samples: &mut self.samples, rate: self.rate, position, origin };
        if late { Uplink::Late(frame) } else { Uplink::Frame(frame) }
    }

    /// Gives up every hole without a wait, until another stream begins.
    pub(super) fn give_up_holes(&mut self) {
        self.jitter.give_up_holes();
    }

    /// When there is a frame although no packet arrives.
    pub(super) fn wake(&self) -> Option<Instant> {
        [self.wake, self.noise_due()].into_iter().flatten().min()
    }

    pub(super) fn reception(&self) -> Reception {
        let packet = self.rate.duration_of(self.frame_samples as u64);
        let (target, ppm) = (self.jitter.target_delay(), self.retimer.ppm());
        self.observer.report(self.format, packet, target, ppm)
    }

    /// Forgets the stream: the next packet begins another one.
    pub(super) fn restart(&mut self) {
        self.seq = SeqExtender::new();
        self.first_seq = None;
        self.ts = TsExtender::new();
        self.jitter.restart();
        self.timeline.restart();
        self.repair.reset();
        self.retimer.restart();
        self.observer.restart();
        self.clock.restart();
        self.observed_ns = None;
        self.before = Before::Something;
        self.noise = false;
        self.digits.restart();
    }

    /// Uses the packet that is next in order.
    fn use_packet(
        &mut self,
        now: Instant,
        ts: ExtTs,
        payload_type: PayloadType,
        payload: &[u8],
        stats: &mut CallStats,
    ) {
        match payload_type.value() {
            COMFORT_NOISE => match ComfortNoisePayload::parse(payload) {
                Ok(noise) => {
                    self.repair.set_noise(noise);
                    self.before = Before::Noise;
                    self.timeline.pause(ts);
                    // Before the first packet of audio nothing has a place.
                    if let Some(position) = self.timeline.position_of(ts) {
                        self.transit = self.timeline.arrival(now).saturating_sub(position.0);
                        self.noise = true;
                    }
                }
                Err(_) => stats.rejected.count(Rejected::PayloadSize),
            },
            TELEPHONE_EVENT => {
                self.before.put_something();
                self.digits.read(ts, payload, stats);
            }
            _ => self.use_audio(now, ts, payload, stats),
        }
    }

    /// Decodes the packet of audio that is next in order.
    fn use_audio(&mut self, now: Instant, ts: ExtTs, payload: &[u8], stats: &mut CallStats) {
        if self.timeline.is_flooded(now) {
            return stats.rejected.count(Rejected::Overflow);
        }
        let mut origin = Origin::Real;
        if self.repair.decode(payload, &mut self.samples).is_err() {
            stats.rejected.count(Rejected::Undecodable);
            if self.frame_samples == 0 {
                return;
            }
            // Its place is known; its length is taken to be that of the one before.
            self.samples.resize(self.frame_samples, 0);
            self.repair.conceal(None, &mut self.samples);
            stats.frames_concealed += 1;
            origin = Origin::Concealed;
        }
        self.frame_samples = self.samples.len();
        let before = std::mem::replace(&mut self.before, Before::Nothing);
        let end = self.timeline.end();
        let place = self.timeline.place(now, ts, self.frame_samples, before);
        let gap = place.position.0 - end.0;
        let is_short = (1..=self.rate.samples_in(MAX_PADDING)).contains(&gap);
        if std::mem::replace(&mut self.noise, false) && is_short {
            self.padding = Some((end, gap as usize));
        }
        stats.timestamp_jumps += u64::from(place.jump != Jump::None);
        if place.jump != Jump::None || !self.clock.is_set() {
            self.clock.set(ts);
            self.observed_ns = None;
        }
        if place.jump == Jump::Anew {
            self.retimer.restart();
            self.observer.restart();
        }
        let media = self.clock.pass(ts, self.rate.duration_of(self.frame_samples as u64));
        let change = self.retimer.retime(media, &mut self.samples);
        if change == 0 {
            self.repair.placed(place.position);
        } else {
            stats.frames_retimed += 1;
            self.timeline.retime(ts, self.frame_samples, change);
        }
        self.ready = Some(Ready { position: place.position, origin, late: false });
    }

    /// Decodes a packet whose place was given up, where the archive still wants it.
    fn use_late(&mut self, now: Instant, packet: &Packet<'_>, stats: &mut CallStats) -> bool {
        if packet.payload_type.value() == TELEPHONE_EVENT {
            self.digits.read(packet.ts, packet.payload, stats);
        }
        let end = self.timeline.end();
        let in_window = |position: &Position| end.0.saturating_sub(position.0) <= self.late_window;
        let Some(position) = self.timeline.place_late(now, packet.ts).filter(in_window) else {
            stats.rejected.count(Rejected::TooLate);
            return false;
        };
        stats.packets_received += 1;
        stats.packets_late += 1;
        if is_beside_audio(packet.payload_type) {
            return true;
        }
        if self.repair.decode_late(packet.payload, position, &mut self.samples).is_err() {
            stats.rejected.count(Rejected::Undecodable);
        } else {
            self.ready = Some(Ready { position, origin: Origin::Real, late: true });
        }
        true
    }

    /// Moves on to the next packet or hole; false where there is none yet.
    fn pop(&mut self, now: Instant, stats: &mut CallStats) -> bool {
        self.wake = None;
        match self.jitter.pop(now) {
            Popped::Packet(stored) => {
                self.observer.used(now.saturating_duration_since(stored.arrived));
                self.use_packet(now, stored.ts, stored.payload_type, &stored.payload, stats);
                self.jitter.recycle(stored);
                true
            }
            Popped::Hole { packets, until } => {
                stats.packets_lost += packets;
                self.observer.gave_up(packets);
                self.noise = false;
                self.look_at_hole(now, packets, until);
                true
            }
            Popped::Wait(until) => {
                self.wake = Some(until);
                false
            }
            Popped::Empty => false,
        }
    }

    /// Finds out how much of a hole is to be made up for, and whether the packet `until` lies right
    /// behind it.
    fn look_at_hole(&mut self, now: Instant, packets: u64, until: ExtTs) {
        let gap = self.timeline.gap_before(until);
        let usual = self.frame_samples.max(1);
        // Packets that became shorter, or longer, with the first that is missing.
        let following = self.jitter.peek().filter(|packet| !is_beside_audio(packet.payload_type));
        let following = following.and_then(|packet| self.repair.samples_in(packet));
        let fits = |frame: &usize| gap == packets.saturating_mul(*frame as u64);
        self.hole_frame = following.filter(|next| !fits(&usual) && fits(next)).unwrap_or(usual);
        let frame = self.hole_frame as u64;
        let most = (self.rate.samples_in(MAX_CONCEALED) / frame).max(1);
        let may = if self.timeline.is_flooded(now) { 0 } else { most };
        // A timestamp that is off by part of a packet says nothing of how much is missing.
        let off = gap.abs_diff(packets.saturating_mul(frame));
        let is_odd = off < 2 * frame && !off.is_multiple_of(frame) && packets <= may;
        if is_odd && self.before == Before::Nothing {
            self.concealed_frames_due = packets;
            self.hole_is_filled = true;
            return;
        }
        self.before.put_something();
        self.concealed_frames_due = packets.min(gap / frame).min(may);
        self.hole_is_filled = gap - self.concealed_frames_due * frame < frame;
    }

    /// Makes up the next frame of a hole, and answers where it lies.
    fn fill_hole(&mut self, stats: &mut CallStats) -> Position {
        self.concealed_frames_due -= 1;
        stats.frames_concealed += 1;
        self.samples.resize(self.hole_frame, 0);
        let last = self.concealed_frames_due == 0 && self.hole_is_filled;
        let following =
            self.jitter.peek().filter(|packet| last && !is_beside_audio(packet.payload_type));
        let following = following.map(|packet| &packet.payload[..]);
        let recovery = self.repair.conceal(following, &mut self.samples);
        stats.frames_recovered += u64::from(recovery == Recovery::Redundancy);
        self.retimer.pass(&self.samples);
        self.timeline.take(self.samples.len())
    }

    /// Makes up the next frame of a pause, and answers where it lies.
    fn fill_pause(&mut self) -> Position {
        self.samples.resize(Ptime::MS_20.samples(self.rate), 0);
        self.repair.fill_with_noise(&mut self.samples);
        self.retimer.pass(&self.samples);
        self.timeline.take(self.samples.len())
    }

    /// When comfort noise has to take the place of the next frame, in a pause.
    fn noise_due(&self) -> Option<Instant> {
        // What waits behind a hole was sent after the pause.
        let is_pause = self.noise && self.jitter.waiting() == 0;
        let due = is_pause.then(|| self.timeline.end().0 + self.transit)?;
        Some(self.epoch + self.rate.duration_of(due) + NOISE_LAG)
    }
}
