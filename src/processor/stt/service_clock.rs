use std::collections::VecDeque;

use crate::audio::{Position, SampleRate};

/// Stretches of audio that are remembered; a result about older audio is placed at the oldest.
const MAX_SPANS: usize = 1_024;

/// Maps the clock of a service, which counts the audio of one connection, to the call's positions.
#[derive(Debug)]
pub(super) struct ServiceClock {
    rate: SampleRate,
    /// By how many samples the service hears audio later than it was sent.
    delay: u64,
    spans: VecDeque<Span>,
    /// Samples sent on this connection, padding included.
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

impl Span {
    /// Whether it ends at this count of the service, and at this place in the call.
    fn ends_at(&self, count: u64, position: Position) -> bool {
        (self.from + self.len, self.position.0 + self.len) == (count, position.0)
    }
}

impl ServiceClock {
    /// A clock of a service that hears audio so many samples later than it was sent, behind as much
    /// silence: the delay of encoding and decoding.
    pub(super) fn new(rate: SampleRate, delay: usize) -> Self {
        Self { rate, delay: delay as u64, spans: VecDeque::new(), sent: 0 }
    }

    /// Audio goes to the service.
    pub(super) fn send(&mut self, position: Position, samples: usize) {
        let len = samples as u64;
        match self.spans.back_mut() {
            Some(last) if last.ends_at(self.sent, position) => last.len += len,
            _ => {
                if self.spans.len() == MAX_SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back(Span { from: self.sent, position, len });
            }
        }
        self.sent += len;
    }

    /// Silence goes to the service that is none of the call. What the service places there lies at
    /// the end of the audio before.
    pub(super) fn pad(&mut self, samples: usize) {
        self.sent += samples as u64;
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
        let heard = (seconds * f64::from(self.rate.hz())).round().clamp(0.0, u64::MAX as f64);
        (heard as u64).saturating_sub(self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SampleRate = SampleRate::HZ_8000;

    #[test]
    fn a_gap_in_the_call_is_none_for_the_service() {
        let mut clock = ServiceClock::new(RATE, 0);
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
    fn padding_is_of_no_place_in_the_call_and_a_delay_is_taken_off() {
        let mut clock = ServiceClock::new(RATE, 52);
        // 1,000 samples and 120 of padding, then what follows them at once, then a gap.
        clock.send(Position(8_000), 1_000);
        clock.pad(120);
        clock.send(Position(9_000), 160);
        clock.send(Position(9_160), 160);
        clock.pad(160);
        clock.send(Position(80_000), 160);
        let seconds = |count: u32| f64::from(count + 52) / 8_000.0;
        for (count, start, end) in [
            (0, 8_000, 8_000),
            (1, 8_001, 8_001),
            (1_000, 9_000, 9_000),
            (1_001, 9_000, 9_000),
            (1_120, 9_000, 9_000),
            (1_121, 9_001, 9_001),
            (1_440, 9_320, 9_320),
            (1_599, 9_320, 9_320),
            (1_600, 80_000, 9_320),
            (1_601, 80_001, 80_001),
            (1_760, 80_160, 80_160),
        ] {
            let told = (clock.start(seconds(count)), clock.end(seconds(count)));
            assert_eq!(told, (Some(Position(start)), Some(Position(end))), "{count}");
        }
        assert_eq!(clock.start(0.0), Some(Position(8_000)), "before anything can be heard");
    }

    #[test]
    fn old_stretches_are_forgotten() {
        let mut clock = ServiceClock::new(RATE, 0);
        let many = MAX_SPANS as u64 + 10;
        for span in 0..many {
            clock.send(Position(span * 10_000), 80);
        }
        assert_eq!(clock.spans.len(), MAX_SPANS);
        assert_eq!(clock.start(0.0), Some(Position(100_000)));
        assert_eq!(clock.end(1e9), Some(Position((many - 1) * 10_000 + 80)));
    }
}
