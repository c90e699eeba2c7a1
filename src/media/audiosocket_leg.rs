use std::time::{Duration, Instant};

use super::reception::Observer;
use super::retimer::Retimer;
use super::{CallStats, Digit, DigitSource, Reception, Rejected, Uplink};
use crate::audio::{AudioFrame, MediaFormat, Origin, Position, SampleRate};
use crate::call::EndReason;
use crate::dsp::l16;
use crate::dsp::prefetch::prefetch;
use crate::wire::audiosocket::{encode_audio, encode_hangup};
use crate::wire::{AudioSocketError, AudioSocketFrame, FrameDecoder, Kind};

/// A silence of the peer from which on it is a pause.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the first frame behind such a silence is held, to see whether others come with it: then
/// they had been held up. Shorter than the time between frames that are not.
const LOOK: Duration = Duration::from_millis(10);

/// How far the peer's audio may be ahead of real time before the peer is cut off.
const MAX_AHEAD: Duration = Duration::from_secs(60);

/// One call's AudioSocket stream behind its UUID frame, both directions.
///
/// TCP orders and repeats, so there is no jitter buffer: a frame goes through when it arrives, and
/// lies right behind the one before it. A peer that had nothing to say for a while leaves a gap of
/// that length; one whose frames were held up, and come in a burst now, does not.
#[derive(Debug)]
pub struct AudioSocketLeg {
    decoder: FrameDecoder,
    /// The rate asked for, or that of the first frame where nobody asked.
    rate: Option<SampleRate>,
    epoch: Instant,
    end: Option<Position>,
    /// Samples that came since the peer last began to speak: its clock.
    spoken: u64,
    frame_samples: usize,
    retimer: Option<Retimer>,
    observer: Observer,
    last_frame: Instant,
    samples: Vec<i16>,
    /// `samples` hold a frame that nobody had yet.
    pending: bool,
    /// Since when that frame is held.
    held_since: Option<Instant>,
    /// No frame is held any more.
    ending: bool,
    format_told: bool,
    mismatch_told: bool,
    closed: bool,
}

/// What one step of the decoder came to.
enum Step {
    /// There is no whole frame.
    Starved,
    /// A frame was used up, or lies in `samples` now.
    Taken,
    /// There is something to tell.
    Tell(Uplink<'static>),
}

impl AudioSocketLeg {
    /// A leg of a call that began at `epoch`. Without a `rate`, the first frame decides.
    #[must_use]
    pub fn new(rate: Option<SampleRate>, epoch: Instant, max_frame_bytes: usize) -> Self {
        Self {
            decoder: FrameDecoder::new(max_frame_bytes),
            rate,
            epoch,
            end: None,
            spoken: 0,
            frame_samples: 0,
            retimer: None,
            observer: Observer::default(),
            last_frame: epoch,
            samples: Vec::new(),
            pending: false,
            held_since: None,
            ending: false,
            format_told: false,
            mismatch_told: false,
            closed: false,
        }
    }

    /// Asks for the memory that the next frame needs, behind the leg itself.
    pub(super) fn prefetch(&self) {
        prefetch(&self.samples[..]);
    }

    /// Rate of what we send: the call's own, and 8 kHz until that is known.
    pub(super) fn send_rate(&self) -> SampleRate {
        self.rate.unwrap_or(SampleRate::HZ_8000)
    }

    pub(super) fn handle_stream(&mut self, bytes: &[u8]) -> usize {
        if self.closed { bytes.len() } else { self.decoder.feed(bytes) }
    }

    pub(super) fn poll(&mut self, now: Instant, stats: &mut CallStats) -> Option<Uplink<'_>> {
        while !self.closed || self.pending {
            if let (Some(rate), false) = (self.rate, self.format_told) {
                self.format_told = true;
                return Some(Uplink::Format { format: MediaFormat::Slin(rate), rate });
            }
            if self.pending {
                if self.holds(now) {
                    return None;
                }
                return Some(Uplink::Frame(self.frame(now, stats)));
            }
            match self.step(now, stats) {
                Step::Starved => return None,
                Step::Taken => {}
                Step::Tell(uplink) => return Some(uplink),
            }
        }
        None
    }

    pub(super) fn send(&mut self, samples: &[i16], out: &mut Vec<u8>) {
        encode_audio(self.send_rate(), samples, out);
    }

    pub(super) fn reception(&self) -> Reception {
        let rate = self.send_rate();
        let frame = rate.duration_of(self.frame_samples as u64);
        let ppm = self.retimer.as_ref().and_then(Retimer::ppm);
        self.observer.report(MediaFormat::Slin(rate), frame, Duration::ZERO, ppm)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn hangup(&mut self, out: &mut Vec<u8>) -> bool {
        let open = !self.closed;
        self.closed = true;
        if open {
            encode_hangup(out);
        }
        open
    }

    /// When [`Self::poll`] has a frame although nothing arrives.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.held_since.map(|since| since + LOOK)
    }

    /// Holds no frame any longer.
    pub(super) fn release(&mut self) {
        self.ending = true;
    }

    /// Whether the frame in hand waits for others.
    fn holds(&mut self, now: Instant) -> bool {
        if self.held_since.is_none() && self.end.is_some_and(|end| self.paused(now, end)) {
            self.held_since = Some(now);
        }
        let looks = self.held_since.is_some_and(|since| now < since + LOOK);
        looks && !self.ending && !self.closed && !self.decoder.is_frame_whole()
    }

    fn frame(&mut self, now: Instant, stats: &mut CallStats) -> AudioFrame<'_> {
        self.pending = false;
        let now = self.held_since.take().unwrap_or(now);
        stats.packets_received += 1;
        let rate = self.send_rate();
        let arrival = self.arrival(now);
        let position = match self.end {
            None => arrival,
            Some(end) if self.paused(now, end) => {
                stats.timestamp_jumps += 1;
                self.spoken = 0;
                self.observer.restart();
                if let Some(retimer) = &mut self.retimer {
                    retimer.restart();
                }
                arrival
            }
            Some(end) => end,
        };
        self.last_frame = now;
        let retimer = self.retimer.get_or_insert_with(|| Retimer::new(rate));
        let since_start = now.saturating_duration_since(self.epoch);
        let media = rate.duration_of(self.spoken);
        self.observer.used(Duration::ZERO);
        self.observer.arrived(since_start, media);
        retimer.arrived(since_start, media);
        self.frame_samples = self.samples.len();
        self.spoken += self.frame_samples as u64;
        let change = retimer.retime(media, &mut self.samples);
        stats.frames_retimed += u64::from(change != 0);
        self.end = Some(position.plus(self.samples.len()));
        AudioFrame { samples: &mut self.samples, rate, position, origin: Origin::Real }
    }

    fn arrival(&self, now: Instant) -> Position {
        Position(self.send_rate().samples_in(now.saturating_duration_since(self.epoch)))
    }

    /// Whether the peer was silent before the frame in hand, and did not just come late: then more
    /// would have come with it.
    fn paused(&self, now: Instant, end: Position) -> bool {
        let pause = self.send_rate().samples_in(PAUSE);
        now.saturating_duration_since(self.last_frame) >= PAUSE
            && self.arrival(now).0 >= end.0 + pause
            && !self.decoder.is_frame_whole()
    }

    /// Whether the peer sends faster than anybody can speak.
    fn flooded(&self, now: Instant) -> bool {
        let ahead = self.send_rate().samples_in(MAX_AHEAD);
        self.end.is_some_and(|end| end.0 > self.arrival(now).0 + ahead)
    }

    fn step(&mut self, now: Instant, stats: &mut CallStats) -> Step {
        if self.decoder.is_frame_whole() && self.flooded(now) {
            self.closed = true;
            stats.rejected.count(Rejected::Overflow);
            return Step::Tell(Uplink::Ended(EndReason::ProtocolError));
        }
        match self.decoder.next() {
            Ok(None) => Step::Starved,
            Ok(Some(AudioSocketFrame::Audio { rate, payload })) => {
                let expected = *self.rate.get_or_insert(rate);
                if rate != expected {
                    stats.rejected.count(Rejected::PayloadType);
                    return self.mismatch(expected, rate);
                }
                self.samples.resize(payload.len() / 2, 0);
                l16::decode_le(payload, &mut self.samples);
                self.pending = true;
                Step::Taken
            }
            Ok(Some(AudioSocketFrame::Dtmf(byte))) => {
                let digit = Digit::new(char::from(byte), DigitSource::AudioSocket, None);
                if let Some(digit) = digit {
                    return Step::Tell(Uplink::Digit(digit));
                }
                stats.rejected.count(Rejected::Malformed);
                Step::Taken
            }
            Ok(Some(AudioSocketFrame::Hangup)) => {
                self.closed = true;
                Step::Tell(Uplink::Ended(EndReason::PeerHangup))
            }
            Ok(Some(AudioSocketFrame::Error { .. })) => {
                stats.rejected.count(Rejected::PeerError);
                Step::Taken
            }
            Ok(Some(AudioSocketFrame::Uuid(_) | AudioSocketFrame::Unknown { .. })) => {
                stats.rejected.count(Rejected::Unexpected);
                Step::Taken
            }
            Err(error) => {
                stats.rejected.count(match error {
                    AudioSocketError::AudioEmpty | AudioSocketError::AudioOdd { .. } => {
                        Rejected::PayloadSize
                    }
                    _ => Rejected::Malformed,
                });
                if error.is_fatal() {
                    self.closed = true;
                    return Step::Tell(Uplink::Ended(EndReason::ProtocolError));
                }
                Step::Taken
            }
        }
    }

    fn mismatch(&mut self, expected: SampleRate, actual: SampleRate) -> Step {
        if std::mem::replace(&mut self.mismatch_told, true) {
            return Step::Taken;
        }
        Step::Tell(Uplink::FormatMismatch {
            expected: MediaFormat::Slin(expected),
            actual: Kind::Audio(actual).byte(),
        })
    }
}
