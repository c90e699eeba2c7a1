use super::{Context, Processor};
use crate::audio::{AudioFrame, Origin, Position, SampleRate};
use crate::dsp::resample::{Quality, Resampler};

/// The caller's audio of one call at another rate than the call's.
///
/// Positions are those of the audio itself: the resampler's delay is taken out, so that a sound
/// lies at the same time at every rate. Where the call's audio has a gap, this has the same one.
pub(super) struct Resampled {
    from: SampleRate,
    to: SampleRate,
    resampler: Resampler,
    /// Where the input goes on if it has no gap.
    expected: Option<Position>,
    /// Where the next sample that is handed out lies.
    position: Position,
    /// Samples of output that lie before the first one of the input, by the filter's delay.
    lead: usize,
    /// What the filter still held when a gap came.
    rest: Piece,
    latest: Piece,
    origin: Origin,
    /// The frame that the chain is at has been taken.
    current: bool,
}

/// Samples that lie together.
#[derive(Default)]
struct Piece {
    samples: Vec<i16>,
    position: Position,
}

impl Resampled {
    pub(super) fn new(from: SampleRate, to: SampleRate) -> Self {
        Self {
            from,
            to,
            resampler: Resampler::new(from, to, Quality::Voice),
            expected: None,
            position: Position::default(),
            lead: 0,
            rest: Piece::default(),
            latest: Piece::default(),
            origin: Origin::Real,
            current: false,
        }
    }

    pub(super) fn rate(&self) -> SampleRate {
        self.to
    }

    /// Lets the next frame be taken.
    pub(super) fn forget_frame(&mut self) {
        self.current = false;
    }

    /// Takes the frame that the chain is at, once.
    pub(super) fn take(&mut self, frame: &AudioFrame<'_>) {
        if std::mem::replace(&mut self.current, true) {
            return;
        }
        self.rest.samples.clear();
        if self.expected != Some(frame.position) {
            if self.expected.is_some() {
                self.flush();
            }
            self.resampler.reset();
            self.position = self.scaled(frame.position);
            self.lead = self.resampler.output_delay();
        }
        self.expected = Some(frame.end());
        self.origin = frame.origin;
        self.resampler.process(frame.samples, &mut self.latest.samples);
        let early = self.lead.min(self.latest.samples.len());
        self.latest.samples.drain(..early);
        self.lead -= early;
        self.latest.position = self.position;
        self.position = self.position.plus(self.latest.samples.len());
    }

    /// Hands what was taken to a processor.
    pub(super) fn hand_to(&mut self, processor: &mut dyn Processor, cx: &mut Context<'_>) {
        for (piece, origin) in [(&mut self.rest, Origin::Real), (&mut self.latest, self.origin)] {
            if !piece.samples.is_empty() {
                let Piece { samples, position } = piece;
                let (rate, position) = (self.to, *position);
                processor.uplink(&mut AudioFrame { samples, rate, position, origin }, cx);
            }
        }
    }

    /// Gets out of the filter what it still holds of the audio before a gap.
    fn flush(&mut self) {
        let (from, to) = (u64::from(self.from.hz()), u64::from(self.to.hz()));
        let delay = self.resampler.output_delay();
        let inputs = (delay as u64 * from).div_ceil(to);
        let silence = [0; 64];
        let mut left = usize::try_from(inputs).unwrap_or(usize::MAX);
        self.rest.position = self.position;
        while left > 0 {
            let count = left.min(silence.len());
            // The latest piece is overwritten by what comes behind the gap.
            self.resampler.process(&silence[..count], &mut self.latest.samples);
            self.rest.samples.extend_from_slice(&self.latest.samples);
            left -= count;
        }
        // All that lies before the end of the audio, and nothing of the silence.
        let end = self.expected.map_or(self.position, |end| self.scaled(end));
        let whole = end.0.saturating_sub(self.position.0);
        self.rest.samples.truncate(usize::try_from(whole).unwrap_or(usize::MAX));
    }

    /// A position of the call at the other rate, rounded to the nearest.
    fn scaled(&self, position: Position) -> Position {
        let (from, to) = (u128::from(self.from.hz()), u128::from(self.to.hz()));
        let scaled = (u128::from(position.0) * to + from / 2) / from;
        Position(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}
