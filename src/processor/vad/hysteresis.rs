//! Scores in, beginnings and ends of speech out.

/// How long speech that is not told yet may be interrupted before that takes something of it away:
/// two frames of the slowest detector.
const INTERRUPTION_MS: u64 = 64;

/// How long it may be loud only: the consonants between two vowels.
const CONSONANTS_MS: u64 = 160;

/// How much lower than its threshold a score may be for speech to go on.
const RELEASE: f32 = 0.15;

/// What counts as speech at the moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Bounds {
    pub(super) threshold: f32,
    /// Samples.
    pub(super) min_speech: u64,
}

/// A piece of the call, and how likely it is speech.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Piece {
    /// Places in the call, in samples.
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) score: f32,
    /// Made up for audio that is missing: no speech begins with it.
    pub(super) is_made_up: bool,
    /// Whether it may be speech by its level.
    pub(super) is_loud: bool,
    /// Samples right before it that may be so, too: counted where speech begins with it.
    pub(super) lead: u64,
}

/// What a piece of the call changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// The first piece that may be speech; told or taken back later.
    Rises,
    /// It was speech.
    Speaks,
    /// The first piece that may be none any more, with its place; told or taken back later.
    Falls(u64),
    /// It was none any more.
    Ends,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Silent,
    Rising(Rising),
    Speaking,
    /// Since when not.
    Falling {
        since: u64,
    },
}

/// Speech that is not told yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rising {
    /// Samples that are speech.
    speech: u64,
    /// Samples that may be by their level, but are not by their score.
    loud: u64,
    /// Where the last that was speech ends.
    spoken: u64,
    /// Where the last of both ends.
    end: u64,
}

/// Who speaks and who does not, with a memory against a single score.
#[derive(Clone, Debug)]
pub(super) struct Hysteresis {
    state: State,
    min_silence: u64,
    interruption: u64,
    consonants: u64,
}

impl Hysteresis {
    /// `per_ms` samples are a millisecond.
    pub(super) fn new(min_silence: u64, per_ms: u64) -> Self {
        Self {
            state: State::Silent,
            min_silence,
            interruption: INTERRUPTION_MS * per_ms,
            consonants: CONSONANTS_MS * per_ms,
        }
    }

    /// Whether speech has been told whose end has not.
    pub(super) fn is_speaking(&self) -> bool {
        matches!(self.state, State::Speaking | State::Falling { .. })
    }

    /// How long nobody must have spoken before the end is told, in samples.
    pub(super) fn min_silence(&self) -> u64 {
        self.min_silence
    }

    /// Takes the next piece of the call; tells each change, in their order.
    ///
    /// A piece may lie before the one before it, where audio comes very late.
    pub(super) fn push(&mut self, piece: Piece, bounds: Bounds, mut tell: impl FnMut(Change)) {
        let Piece { begin, end, score, is_made_up, is_loud, lead } = piece;
        let is_speech = score >= bounds.threshold && !is_made_up;
        let goes_on = score >= bounds.threshold - RELEASE;
        if self.state == State::Silent && is_speech {
            tell(Change::Rises);
            self.state = State::Rising(Rising { speech: 0, loud: lead, spoken: begin, end: begin });
        }
        match self.state {
            State::Silent => {}
            State::Rising(mut rising) => {
                let is_consonant = end.saturating_sub(rising.spoken) <= self.consonants;
                let counts = is_speech || is_loud && is_consonant && !is_made_up;
                let interruption = if counts { begin } else { end }.saturating_sub(rising.end);
                if interruption > self.interruption && !rising.forget(interruption) {
                    self.state = State::Silent;
                } else if counts {
                    if is_speech {
                        rising.speech += end - begin;
                        rising.spoken = end;
                    } else {
                        rising.loud += end - begin;
                    }
                    rising.end = end;
                    self.state = State::Rising(rising);
                    if rising.is_enough(bounds.min_speech) {
                        tell(Change::Speaks);
                        self.state = State::Speaking;
                    }
                }
            }
            State::Speaking => {
                if !goes_on {
                    tell(Change::Falls(begin));
                    self.fall(begin, end, tell);
                }
            }
            State::Falling { since } => {
                if score >= bounds.threshold {
                    self.state = State::Speaking;
                } else {
                    self.fall(since, end, tell);
                }
            }
        }
    }

    fn fall(&mut self, since: u64, now: u64, mut tell: impl FnMut(Change)) {
        self.state = State::Falling { since };
        if now.saturating_sub(since) >= self.min_silence {
            tell(Change::Ends);
            self.state = State::Silent;
        }
    }
}

impl Rising {
    /// Takes as much away as an interruption had: a short word is remembered for as long as it was.
    /// Answers whether something is left.
    fn forget(&mut self, interruption: u64) -> bool {
        self.speech = self.speech.saturating_sub(interruption);
        self.loud = self.loud.saturating_sub(interruption);
        self.speech > 0
    }

    /// Whether it is as much as is wanted. Half of that, at least, must be speech by its score.
    fn is_enough(&self, min_speech: u64) -> bool {
        self.speech + self.loud.min(min_speech / 2) >= min_speech
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { threshold: 0.5, min_speech: 60 };

    /// What is told of pieces of 20 samples, with the number of the piece. A millisecond is a
    /// sample, an interruption so three pieces.
    fn told(scores: &[f32], min_silence: u64) -> Vec<(usize, Change)> {
        told_with(BOUNDS, scores, min_silence)
    }

    fn told_with(bounds: Bounds, scores: &[f32], min_silence: u64) -> Vec<(usize, Change)> {
        let mut hysteresis = Hysteresis::new(min_silence, 1);
        let mut told = Vec::new();
        for (n, &score) in scores.iter().enumerate() {
            let begin = 20 * n as u64;
            let piece =
                Piece { begin, end: begin + 20, score, is_made_up: false, is_loud: false, lead: 0 };
            hysteresis.push(piece, bounds, |change| told.push((n, change)));
        }
        told
    }

    #[test]
    fn speech_is_told_when_there_was_enough_and_its_end_when_it_was_quiet_for_long() {
        let scores = [0.1, 0.6, 0.9, 0.9, 0.9, 0.2, 0.1, 0.1, 0.1];
        assert_eq!(
            told(&scores, 60),
            [(1, Change::Rises), (3, Change::Speaks), (5, Change::Falls(100)), (7, Change::Ends),]
        );
    }

    #[test]
    fn what_is_too_short_is_not_told() {
        assert_eq!(told(&[0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 60), [(0, Change::Rises)]);
        // Again and again, with pauses that are no interruptions any more.
        let bursts: Vec<f32> = [0.9, 0.9, 0.1, 0.1, 0.1, 0.1].repeat(10);
        assert!(!told(&bursts, 60).iter().any(|(_, change)| *change == Change::Speaks));
    }

    #[test]
    fn an_interruption_does_not_begin_the_count_anew() {
        assert_eq!(told(&[0.9, 0.9, 0.1, 0.1, 0.9], 60), [(0, Change::Rises), (4, Change::Speaks)]);
    }

    #[test]
    fn a_longer_one_takes_as_much_away_as_it_lasts() {
        let spoken = |pause: usize, count: usize| {
            let scores = [vec![0.9; 5], vec![0.1; pause], vec![0.9; count]].concat();
            told_with(Bounds { min_speech: 120, ..BOUNDS }, &scores, 60)
        };
        // Of 100 ms 80 are taken: 20 and five more pieces are enough.
        assert_eq!(spoken(4, 4), [(0, Change::Rises)]);
        assert_eq!(spoken(4, 5), [(0, Change::Rises), (13, Change::Speaks)]);
        // All of it: it begins anew.
        let anew = [(0, Change::Rises), (10, Change::Rises), (15, Change::Speaks)];
        assert_eq!(spoken(5, 6), anew);
    }

    #[test]
    fn what_is_loud_counts_for_half_of_it_at_most() {
        let told = |lead, loud: &[u64], speech: &[u64]| {
            let mut hysteresis = Hysteresis::new(60, 1);
            let mut told = None;
            for n in 0..20 {
                let score = if speech.contains(&n) { 0.9 } else { 0.1 };
                let (begin, is_loud) = (100 + 20 * n, loud.contains(&n));
                let piece =
                    Piece { begin, end: begin + 20, score, is_made_up: false, is_loud, lead };
                let bounds = Bounds { min_speech: 100, ..BOUNDS };
                hysteresis.push(piece, bounds, |change| {
                    if change == Change::Speaks {
                        told = Some(n);
                    }
                });
            }
            told
        };
        // What is before it counts once, not with each piece.
        assert_eq!(told(0, &[], &[0, 1, 2, 3, 4, 5]), Some(4));
        assert_eq!(told(15, &[], &[0, 1, 2, 3, 4, 5]), Some(4));
        assert_eq!(told(20, &[], &[0, 1, 2, 3, 4, 5]), Some(3));
        assert_eq!(told(90, &[], &[0, 1, 2, 3, 4, 5]), Some(2));
        // So does what is loud within it, and what is loud only is no interruption.
        assert_eq!(told(0, &[1, 3], &[0, 2, 4]), Some(4));
        assert_eq!(told(0, &[1, 2, 3, 4, 5, 6], &[0, 7, 8]), Some(8));
        // By itself it is nothing.
        let loud: Vec<u64> = (0..20).collect();
        assert_eq!(told(0, &loud, &[]), None);
        assert_eq!(told(0, &loud, &[0, 8]), None);
        // For longer than consonants take it is an interruption.
        assert_eq!(told(0, &loud, &[0, 1, 8, 9]), Some(8));
        assert_eq!(told(0, &loud, &[0, 1, 14, 15]), None);
    }

    #[test]
    fn scores_a_little_lower_keep_speech_up_but_do_not_bring_it_back() {
        assert_eq!(told(&[0.9, 0.9, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4], 60).len(), 2);
        let scores = [0.9, 0.9, 0.9, 0.1, 0.4, 0.4, 0.4];
        assert_eq!(told(&scores, 60).last(), Some(&(5, Change::Ends)));
        // A pause that was too short for an end.
        let scores = [0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.9];
        assert!(!told(&scores, 60).iter().any(|(_, change)| *change == Change::Ends));
    }

    #[test]
    fn made_up_audio_keeps_speech_up_but_begins_none() {
        let mut hysteresis = Hysteresis::new(60, 1);
        let mut told = Vec::new();
        for n in 0..10 {
            let piece = Piece {
                begin: 20 * n,
                end: 20 * n + 20,
                score: 0.9,
                is_made_up: true,
                is_loud: false,
                lead: 0,
            };
            hysteresis.push(piece, BOUNDS, |change| told.push(change));
        }
        assert_eq!(told, []);
        for n in 10..20 {
            let is_made_up = n >= 15;
            let piece = Piece {
                begin: 20 * n,
                end: 20 * n + 20,
                score: 0.9,
                is_made_up,
                is_loud: false,
                lead: 0,
            };
            hysteresis.push(piece, BOUNDS, |change| told.push(change));
        }
        assert_eq!(told, [Change::Rises, Change::Speaks]);
    }
}
