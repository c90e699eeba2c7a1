use std::time::Duration;

use super::VadSettings;
use super::cells::Cells;
use super::hysteresis::{Bounds, Change, Hysteresis, Piece};
use super::playing::Playing;
use crate::audio::{Origin, Position, SampleRate};
use crate::dsp::vad::Scorer;

/// What the detector hears where audio ends: what it has of a frame is scored, and it gets quiet.
const HEARD_SILENCE: Duration = Duration::from_millis(64);
static SILENCE: [i16; 960] = [0; 960];

/// How late audio may come after its time before it counts as not sent: what a packet may wait for
/// one before it, and some delay of the network.
const PATIENCE: Duration = Duration::from_millis(300);

/// Where speech begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// The first sample of speech.
    Begin(Position),
    /// The first sample behind it.
    End(Position),
}

/// Makes beginnings and ends of speech of a call's audio.
///
/// An edge is told when it is certain, and lies where it was. Does not allocate once it has had
/// frames of every length that come.
#[derive(Debug)]
pub struct Segmenter {
    scorer: Scorer,
    tracker: Tracker,
    /// Where the scorer and the cells began to count.
    base: u64,
    /// Where the next frame is expected; none came yet.
    next: Option<u64>,
    patience: u64,
    heard_silence: u64,
}

/// All but the scorer, which tells scores while it is at work.
#[derive(Debug)]
struct Tracker {
    cells: Cells,
    hysteresis: Hysteresis,
    playing: Playing,
    usual: Bounds,
    strict: Bounds,
    /// The latest stretch of made-up audio.
    made_up: (u64, u64),
    /// Where speech began that is not told yet, and ended.
    begin: u64,
    end: u64,
}

impl Segmenter {
    /// For a call whose audio has that rate.
    #[must_use]
    pub fn new(settings: &VadSettings, rate: SampleRate) -> Self {
        let samples = |span| rate.samples_in(span);
        let share = |percent: u8| f32::from(percent) / 100.0;
        let most = 10_f32.powf(-f32::from(settings.playing_echo_db) / 10.0);
        let tracker = Tracker {
            cells: Cells::new(rate),
            hysteresis: Hysteresis::new(
                samples(settings.min_silence),
                u64::from(rate.hz()) / 1_000,
            ),
            playing: Playing::new(samples(settings.playing_tail), most),
            usual: Bounds {
                threshold: share(settings.threshold_percent),
                min_speech: samples(settings.min_speech),
            },
            strict: Bounds {
                threshold: share(settings.playing_threshold_percent),
                min_speech: samples(settings.playing_min_speech),
            },
            made_up: (0, 0),
            begin: 0,
            end: 0,
        };
        let scorer = Scorer::new(settings.detector.build(rate), rate);
        let (patience, heard_silence) = (samples(PATIENCE), samples(HEARD_SILENCE));
        Self { scorer, tracker, base: 0, next: None, patience, heard_silence }
    }

    /// Takes a frame of the caller, in order of position.
    pub fn uplink(
        &mut self,
        position: Position,
        samples: &[i16],
        origin: Origin,
        mut tell: impl FnMut(Edge),
    ) {
        let (begin, end) = (position.0, position.plus(samples.len()).0);
        if self.next != Some(begin) {
            self.take_up(begin, &mut tell);
        }
        match origin {
            Origin::Real | Origin::Concealed => {
                if origin == Origin::Concealed {
                    self.tracker.make_up(begin, end);
                }
                self.next = Some(end);
                self.tracker.cells.push(samples);
                self.hear(samples, &mut tell);
            }
            // The sender itself says that nobody speaks.
            Origin::ComfortNoise | Origin::Silence => self.take_up(end, &mut tell),
        }
    }

    /// Takes a frame on its way to the caller. It is played at about `now`.
    pub fn downlink(
        &mut self,
        now: Position,
        samples: &[i16],
        origin: Origin,
        mut tell: impl FnMut(Edge),
    ) {
        if origin == Origin::Real {
            self.tracker.playing.push(samples, now.0 + samples.len() as u64);
        }
        // A sender that sends nothing while nobody speaks tells no end itself.
        if let Some(next) = self.next
            && self.tracker.hysteresis.is_speaking()
            && now.0.saturating_sub(next) > self.patience
        {
            self.take_up(now.0 - self.patience, &mut tell);
        }
    }

    /// Nothing more is heard for now: speech that has been told ends with the latest audio.
    pub fn stop(&mut self, mut tell: impl FnMut(Edge)) {
        if let Some(next) = self.next {
            let silence = self.heard_silence + self.tracker.hysteresis.min_silence();
            self.take_up(next + silence, &mut tell);
        }
    }

    /// Nobody spoke from the end of the latest audio up to `position`, where the next one begins.
    ///
    /// That may be before the end, where audio comes that was not waited for any more.
    fn take_up(&mut self, position: u64, tell: &mut impl FnMut(Edge)) {
        if let Some(next) = self.next.filter(|next| *next < position) {
            let mut left = self.heard_silence.min(position - next) as usize;
            while left > 0 {
                let piece = SILENCE.len().min(left);
                self.hear(&SILENCE[..piece], tell);
                left -= piece;
            }
            let silence = Piece {
                begin: next,
                end: position,
                score: 0.0,
                is_made_up: true,
                is_loud: false,
                lead: 0,
            };
            self.tracker.push(silence, self.base, tell);
        }
        self.scorer.restart();
        self.tracker.cells.restart();
        self.base = position;
        self.next = Some(position);
    }

    fn hear(&mut self, samples: &[i16], tell: &mut impl FnMut(Edge)) {
        let Self { scorer, tracker, base, .. } = self;
        scorer.push(samples, |score| {
            let (begin, end) = (*base + score.begin, *base + score.end);
            let is_made_up = tracker.is_made_up(begin, end);
            let piece =
                Piece { begin, end, score: score.speech, is_made_up, is_loud: false, lead: 0 };
            tracker.push(piece, *base, tell);
        });
    }
}

impl Tracker {
    /// Takes a piece of the call; cells are counted from `base`.
    fn push(&mut self, mut piece: Piece, base: u64, tell: &mut impl FnMut(Edge)) {
        let Self { cells, hysteresis, playing, begin, end, .. } = self;
        let mut bounds = self.usual;
        let power = cells.power(piece.begin - base, piece.end - base);
        let above = (power - cells.noise()).max(0.0);
        let echo = playing.echo_at(piece.begin);
        if echo.is_some_and(|echo| above < echo) {
            piece.score = 0.0;
        } else {
            piece.is_loud = cells.is_above_noise(power);
        }
        if !hysteresis.is_speaking() {
            if echo.is_some() {
                bounds = self.strict;
                if !piece.is_made_up {
                    playing.hear(piece.end - piece.begin, above);
                }
            }
            if piece.score >= bounds.threshold {
                let loud = piece.begin.saturating_sub(base + cells.begin(piece.begin - base));
                // Speech does not begin before the one before it has ended.
                piece.lead = loud.min(piece.begin.saturating_sub(*end));
            }
        }
        hysteresis.push(piece, bounds, |change| match change {
            Change::Rises => *begin = (base + cells.begin(piece.begin - base)).max(*end),
            Change::Speaks => tell(Edge::Begin(Position(*begin))),
            Change::Falls(at) => *end = (base + cells.end(at - base)).max(*begin),
            Change::Ends => tell(Edge::End(Position(*end))),
        });
    }

    fn make_up(&mut self, begin: u64, end: u64) {
        let first = if self.made_up.1 == begin { self.made_up.0 } else { begin };
        self.made_up = (first, end);
    }

    /// Whether more than half of the piece was made up.
    fn is_made_up(&self, begin: u64, end: u64) -> bool {
        let common = end.min(self.made_up.1).saturating_sub(begin.max(self.made_up.0));
        2 * common > end - begin
    }
}
