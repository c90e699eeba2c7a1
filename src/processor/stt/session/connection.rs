use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::audio::{Position, SampleRate};
use crate::processor::stt::encoder::{Encoded, Encoder};
use crate::processor::stt::service_clock::ServiceClock;

/// What is known of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) clock: ServiceClock,
    encoder: Encoder,
    /// To be said before anything else.
    pub(super) greeting: Option<String>,
    pub(super) closing: Closing,
    /// Where the audio ends that was sent last.
    pub(super) sent_until: Position,
    /// Messages that will have an answer each, where the dialect has that.
    unanswered: VecDeque<Unanswered>,
    unanswered_samples: u64,
    last_sent: Instant,
}

/// A message without its answer: where its audio ends, and how long it is.
#[derive(Clone, Copy, Debug)]
struct Unanswered {
    end: Position,
    samples: u64,
}

/// Whether the peer was asked to close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    Open,
    /// It was, and owes answers first, or not.
    Asked,
}

impl Connection {
    pub(super) fn new(
        rate: SampleRate,
        encoder: Encoder,
        greeting: Option<String>,
        now: Instant,
    ) -> Self {
        Self {
            clock: ServiceClock::new(rate, encoder.delay_samples()),
            encoder,
            greeting,
            closing: Closing::Open,
            sent_until: Position::default(),
            unanswered: VecDeque::new(),
            unanswered_samples: 0,
            last_sent: now,
        }
    }

    /// Audio is sent, as this message.
    pub(super) fn send(
        &mut self,
        now: Instant,
        position: Position,
        samples: &[i16],
        has_answer: bool,
    ) -> Vec<u8> {
        let Encoded { bytes, padding_samples } = self.encoder.encode(samples);
        self.clock.send(position, samples.len());
        self.clock.pad(padding_samples);
        self.sent_until = position.plus(samples.len());
        self.last_sent = now;
        if has_answer {
            let samples = samples.len() as u64;
            self.unanswered_samples += samples;
            self.unanswered.push_back(Unanswered { end: self.sent_until, samples });
        }
        bytes
    }

    /// Sends what the encoder holds back of the audio before, if anything, as this message.
    pub(super) fn flush(&mut self, now: Instant) -> Option<Vec<u8>> {
        let Encoded { bytes, padding_samples } = self.encoder.flush()?;
        self.clock.pad(padding_samples);
        self.last_sent = now;
        Some(bytes)
    }

    /// The peer is asked to close.
    pub(super) fn close(&mut self, has_answer: bool) {
        self.closing = Closing::Asked;
        if has_answer {
            self.unanswered.push_back(Unanswered { end: self.sent_until, samples: 0 });
        }
    }

    /// An answer came: where the audio ends that it is about, where that is known.
    pub(super) fn answered(&mut self) -> Option<Position> {
        let Unanswered { end, samples } = self.unanswered.pop_front()?;
        self.unanswered_samples -= samples;
        Some(end)
    }

    /// Samples without an answer.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered_samples
    }

    /// Whether its end would be what was asked for.
    pub(super) fn may_end(&self) -> bool {
        self.closing == Closing::Asked && self.unanswered.is_empty()
    }

    /// Whether so long nothing was sent that a keep-alive is due; then it counts as sent.
    pub(super) fn is_idle(&mut self, now: Instant, every: Duration) -> bool {
        let due = now >= self.last_sent + every;
        if due {
            self.last_sent = now;
        }
        due
    }

    /// When a keep-alive is due.
    pub(super) fn idle_at(&self, every: Duration) -> Option<Instant> {
        (self.closing == Closing::Open).then(|| self.last_sent + every)
    }
}
