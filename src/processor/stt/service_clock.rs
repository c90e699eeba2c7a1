use std::collections::VecDeque;

use crate::audio::{Position, SampleRate};

/// Stretches of audio that are remembered; a result about older audio is placed at the oldest.
const MAX_SPANS: usize = 1_024;

/// Maps the clock of a service, which counts the audio of one connection, to the call's positions.
#[derive(Debug)]
pub(super) struct ServiceClock {
    rate: SampleRate,
    spans: VecDeque<Span>,
    /// Samples sent on this connection.
    sent: u64,
}

/// Audio that lay together in the call.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// The service's count at its first sample.
    from: u64,
    position: Position,
    len: u64,
}

impl ServiceClock {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self { rate, spans: VecDeque::new(), sent: 0 }
    }

    /// Audio goes to the service.
    pub(super) fn send(&mut self, position: Position, samples: usize) {
        let len = samples as u64;
        match self.spans.back_mut() {
            Some(last) if last.position.0 + last.len == position.0 => last.len += len,
            _ => {
                if self.spans.len() == MAX_SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back(Span { from: self.sent, position, len });
            }
        }
        self.sent += len;
    }

    /// Where something begins that the service places at `seconds`; `None` before any audio.
    pub(super) fn start(&self, seconds: f64) -> Option<Position> {
        let count = self.count(seconds);
        self.place(count, self.spans.iter().rev().find(|span| span.from <= count))
    }

    /// Where something ends that the service places at `seconds`. At a gap, that is before it.
    pub(super) fn end(&self, seconds: f64) -> Option<Position> {
        let count = self.count(seconds);
        self.place(count, self.spans.iter().rev().find(|span| span.from < count))
    }

    fn place(&self, count: u64, span: Option<&Span>) -> Option<Position> {
        let span = span.or_else(|| self.spans.front())?;
        let inside = count.saturating_sub(span.from).min(span.len);
        Some(Position(span.position.0 + inside))
    }

    fn count(&self, seconds: f64) -> u64 {
        // Nonsense of a service becomes one of the ends.
        (seconds * f64::from(self.rate.hz())).round().clamp(0.0, u64::MAX as f64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;

    #[test]
    fn a_gap_in_the_call_is_none_for_the_service() {
        let mut clock = ServiceClock::new(RATE);
        assert_eq!(clock.start(1.0), None);
        // Two seconds from 10 s on, in pieces, and one from 60 s on.
        for piece in 0..20 {
            clock.send(Position(80_000 + piece * 800), 800);
        }
        clock.send(Position(480_000), 8_000);
        assert_eq!(clock.start(0.0), Some(Position(80_000)));
        assert_eq!(clock.start(1.5), Some(Position(92_000)));
        assert_eq!(clock.end(2.0), Some(Position(96_000)), "before the gap");
        assert_eq!(clock.start(2.0), Some(Position(480_000)), "behind it");
        assert_eq!(clock.end(2.5), Some(Position(484_000)));
        assert_eq!(clock.end(99.0), Some(Position(488_000)), "no further than was sent");
        for nonsense in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(clock.start(nonsense), Some(Position(80_000)));
        }
        assert_eq!(clock.end(f64::INFINITY), Some(Position(488_000)));
    }

    #[test]
    fn old_stretches_are_forgotten() {
        let mut clock = ServiceClock::new(RATE);
        let many = MAX_SPANS as u64 + 10;
        for span in 0..many {
            clock.send(Position(span * 10_000), 80);
        }
        assert_eq!(clock.spans.len(), MAX_SPANS);
        assert_eq!(clock.start(0.0), Some(Position(100_000)));
        assert_eq!(clock.end(1e9), Some(Position((many - 1) * 10_000 + 80)));
    }
}
