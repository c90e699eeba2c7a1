//! How much of what is played to a caller comes back.

/// By how much an echo may be louder than it was measured: 9 dB. Rooms and telephones have colours.
const MARGIN: f32 = 8.0;

/// Spans of which the least counts: a caller who speaks through fewer of them is no echo.
const SPANS: usize = 4;

/// The part of the power of what is played that comes back, by measurement.
///
/// Time is cut into spans as long as an echo may take. The echo of what is played in one span is in
/// that or the next one; so what is heard in both at its loudest, against what was played in the
/// first at its loudest, is the echo's part at most. It is more where somebody speaks: so the least
/// of the latest spans counts, and each lets what was measured be forgotten in time.
#[derive(Clone, Debug)]
pub(super) struct EchoPath {
    /// Samples.
    span: u64,
    current: Span,
    former: Option<Span>,
    parts: [Option<f32>; SPANS],
    next: usize,
}

/// What a span had: samples played and heard, and their highest powers.
#[derive(Clone, Copy, Default, Debug)]
struct Span {
    played: u64,
    heard: u64,
    playing: f32,
    hearing: f32,
}

impl EchoPath {
    /// An echo takes `span` samples at most.
    pub(super) fn new(span: u64) -> Self {
        let current = Span::default();
        Self { span, current, former: None, parts: [None; SPANS], next: 0 }
    }

    /// So many samples are played, whose mean power is that.
    pub(super) fn play(&mut self, samples: u64, power: f32) {
        self.current.played += samples;
        self.current.playing = self.current.playing.max(power);
        if self.current.played < self.span {
            return;
        }
        let current = std::mem::take(&mut self.current);
        if let Some(former) = self.former.replace(current)
            && let Some(part) = former.part(&current)
        {
            self.parts[self.next] = Some(part);
            self.next = (self.next + 1) % SPANS;
        }
    }

    /// So many samples are heard meanwhile, of somebody who is not known to speak.
    pub(super) fn hear(&mut self, samples: u64, power: f32) {
        self.current.heard += samples;
        self.current.hearing = self.current.hearing.max(power);
    }

    /// Nothing is played for now: spans begin anew.
    pub(super) fn stop(&mut self) {
        self.current = Span::default();
        self.former = None;
    }

    /// The part that an echo has at most; none before it was measured.
    pub(super) fn part(&self) -> Option<f32> {
        self.parts.iter().flatten().copied().reduce(f32::min).map(|part| MARGIN * part)
    }
}

impl Span {
    /// The part of this span that comes back in it or in the one behind it, at most; none where too
    /// little was played or heard to say so.
    fn part(&self, next: &Self) -> Option<f32> {
        let is_heard = |span: &Self| 2 * span.heard > span.played;
        let is_measured = self.playing > 0.0 && is_heard(self) && is_heard(next);
        is_measured.then(|| self.hearing.max(next.hearing) / self.playing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsp::random::Random;

    const FRAME: u64 = 160;
    /// 500 ms.
    const SPAN: u64 = 4_000;
    const FRAMES: usize = 25;

    /// So many frames, of a power by chance between the one and a thousandth of it.
    fn bot(count: usize) -> Vec<f32> {
        let mut random = Random(9);
        (0..count).map(|_| 1e6 * 10_f32.powf(-3.0 * random.unit() as f32)).collect()
    }

    /// What was measured when all of it was played, and that heard meanwhile.
    fn part(played: &[f32], heard: impl Fn(usize) -> Option<f32>) -> Option<f32> {
        let mut path = EchoPath::new(SPAN);
        for (n, &power) in played.iter().enumerate() {
            path.play(FRAME, power);
            if let Some(power) = heard(n) {
                path.hear(FRAME, power);
            }
        }
        path.part()
    }

    #[test]
    fn nothing_is_known_before_two_spans_were_played() {
        assert_eq!(part(&bot(2 * FRAMES - 1), |_| Some(10.0)), None);
        assert!(part(&bot(2 * FRAMES), |_| Some(10.0)).is_some());
    }

    #[test]
    fn an_echo_is_never_more_than_was_measured_however_late_it_is() {
        let played = bot(20 * FRAMES);
        for delay in 0..=FRAMES {
            for gain in [0.1, 0.01, 0.000_1] {
                let echo = |n: usize| Some(n.checked_sub(delay).map_or(0.0, |n| gain * played[n]));
                let part = part(&played, echo).expect("there were spans enough");
                assert!(part >= gain, "{part}, not {gain}, {delay} frames later");
                assert!(part <= 4.0 * MARGIN * gain, "{part} for {gain}, {delay} frames later");
            }
        }
    }

    #[test]
    fn somebody_who_speaks_through_some_spans_is_no_echo() {
        let played = bot(8 * FRAMES);
        let quiet = part(&played, |_| Some(10.0)).expect("there were spans enough");
        let speaks = |n: usize| Some(if n > 6 * FRAMES { 1e6 } else { 10.0 });
        let measured = part(&played, speaks).expect("there were spans enough");
        assert!(measured < 2.0 * quiet, "{measured}, {quiet} where nobody speaks");
        // One who never stops may be one.
        assert!(part(&played, |_| Some(1e6)).expect("there were spans enough") > MARGIN / 2.0);
    }

    #[test]
    fn an_echo_that_gets_louder_is_known_when_the_spans_before_are_forgotten() {
        let played = bot((SPANS + 4) * FRAMES);
        let louder = |n: usize| Some(played[n] * if n < 2 * FRAMES { 0.001 } else { 0.1 });
        assert!(part(&played, louder).expect("there were spans enough") >= 0.1);
    }

    #[test]
    fn a_span_in_which_nothing_was_heard_says_nothing() {
        assert_eq!(part(&bot(8 * FRAMES), |_| None), None);
        let mut path = EchoPath::new(SPAN);
        for power in bot(3 * FRAMES / 2) {
            path.play(FRAME, power);
            path.hear(FRAME, 10.0);
        }
        path.stop();
        for power in bot(3 * FRAMES / 2) {
            path.play(FRAME, power);
            path.hear(FRAME, 10.0);
        }
        assert_eq!(path.part(), None, "spans do not reach over what was not played");
    }
}
