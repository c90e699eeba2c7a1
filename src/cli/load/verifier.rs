use std::ops::Range;

use super::speech::{SILENCE_SAMPLES, Speech};

/// What became of what callers said, in samples; sums over any number of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Echo {
    /// Frames that were the caller's own from the first sample to the last, for the first time.
    pub(super) frames_right: u64,
    /// Samples that are neither silence nor the caller's.
    pub(super) samples_wrong: u64,
    /// Samples of the caller's that never came, and in whose place nothing wrong came.
    pub(super) samples_missing: u64,
    /// Samples of the caller's that came once more.
    pub(super) samples_repeated: u64,
    /// Silence between samples of the caller's.
    pub(super) samples_silent: u64,
    /// Samples of the caller's from before the first one that came, where they may be lost.
    pub(super) samples_before: u64,
}

impl Echo {
    /// Adds what another call counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.frames_right += other.frames_right;
        self.samples_wrong += other.samples_wrong;
        self.samples_missing += other.samples_missing;
        self.samples_repeated += other.samples_repeated;
        self.samples_silent += other.samples_silent;
        self.samples_before += other.samples_before;
    }

    /// Whether nothing is wrong with it.
    pub(super) fn is_clean(&self) -> bool {
        let Self { frames_right, samples_before, .. } = *self;
        *self == Self { frames_right, samples_before, ..Self::default() }
    }
}

/// Samples that are hardly alike by chance.
const ENOUGH_SAMPLES: usize = 4;

/// Compares the echo of one call with what the caller said, sample by sample.
///
/// A right echo is silence of any length, then all that the caller said, in order, with nothing in
/// between. At a break it looks where the echo goes on: at the same place, behind some samples that
/// are not the caller's, or elsewhere in what was said.
///
/// Places count samples since the call's first one.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifier {
    /// Where in the speech the caller began.
    origin: u64,
    /// The place that should come next.
    next: u64,
    /// Behind the last place that was heard.
    heard: u64,
    /// Samples since then that were wrong.
    wrong: u64,
    /// Samples of silence since then.
    silent: u64,
    /// Whether what was said first may be lost.
    joins: bool,
    /// Whether anything of the caller's was heard.
    begun: bool,
    /// Whether the sample before was something else than silence.
    audible: bool,
    /// Whether it is known where the echo is, so that few samples do to tell that it is still there.
    follows: bool,
}

impl Verifier {
    /// For a caller who begins at `origin` of the speech; one who `joins` may be heard from any place
    /// on.
    pub(super) fn new(origin: u64, joins: bool) -> Self {
        Self { origin, joins, ..Self::default() }
    }

    /// Whether anything of the caller's was heard.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes the next frame of the echo, where the caller has said `said` samples; answers the place
    /// behind its last sample if it is all the caller's.
    pub(super) fn take(
        &mut self,
        speech: &Speech,
        frame: &[u8],
        said: u64,
        echo: &mut Echo,
    ) -> Option<u64> {
        let samples = frame.len() / speech.width();
        let right = if frame == self.expected(speech, samples) {
            self.right(samples, echo)
        } else {
            self.take_broken(speech, frame, said, echo)
        };
        let whole = samples > 0 && right == samples;
        echo.frames_right += u64::from(whole);
        whole.then_some(self.next)
    }

    /// A packet of so many samples was lost on its way back.
    pub(super) fn skip(&mut self, samples: u64) {
        if self.begun {
            self.next += samples;
        }
    }

    /// Takes a frame that had been given up as lost, `behind` samples before the next place.
    pub(super) fn take_late(
        &mut self,
        speech: &Speech,
        frame: &[u8],
        behind: u64,
        echo: &mut Echo,
    ) {
        let samples = frame.len() / speech.width();
        let Some(place) = self.next.checked_sub(behind) else { return };
        if frame == speech.at(self.origin + place, samples) {
            echo.frames_right += 1;
            echo.samples_missing = echo.samples_missing.saturating_sub(samples as u64);
        } else if speech.silence_at(frame) < samples {
            echo.samples_wrong += samples as u64;
        }
    }

    /// The call is over, the caller having said `said` samples: what was not heard is missing.
    pub(super) fn finish(&mut self, said: u64, echo: &mut Echo) {
        if self.begun {
            echo.samples_missing += said.saturating_sub(self.heard).saturating_sub(self.wrong);
        }
    }

    /// Takes a frame that is not as expected; answers how many samples are the caller's, and new.
    fn take_broken(&mut self, speech: &Speech, frame: &[u8], said: u64, echo: &mut Echo) -> usize {
        let width = speech.width();
        let mut right = 0;
        // Whether another place was tried since the last sample.
        let mut moved = false;
        let mut rest = &frame[..frame.len() / width * width];
        while !rest.is_empty() {
            let samples = rest.len() / width;
            let same = self.same(speech, rest);
            let silent = speech.silence_at(rest);
            // From there on, less than a key is left.
            let tail = (samples + 1).saturating_sub(speech.key_samples()).max(1);
            let goes_on_silent = !self.audible && silent > 0;
            let is_right = match self.follows || same == samples {
                true => same > 0,
                false => same >= speech.key_samples(),
            };
            let step = if is_right && !goes_on_silent {
                right += self.right(same, echo);
                same
            } else if goes_on_silent || silent >= SILENCE_SAMPLES.min(samples) {
                self.silent += silent as u64;
                self.audible = false;
                silent
            } else if let Some(place) = (!moved).then(|| self.resumes(speech, rest)).flatten() {
                right += self.resume(place, echo);
                0
            } else if let Some(wrong) = self.goes_on_behind(speech, rest, 1..tail) {
                self.wrong(wrong, echo);
                wrong
            } else if let Some((wrong, place)) =
                (!moved).then(|| self.goes_on_elsewhere(speech, rest, said)).flatten()
            {
                self.wrong(wrong, echo);
                self.move_to(place);
                wrong
            } else if let Some(wrong) = self.ends_right(speech, rest, tail) {
                self.wrong(wrong, echo);
                wrong
            } else {
                self.wrong(samples, echo);
                self.follows = false;
                samples
            };
            moved = step == 0;
            rest = &rest[step * width..];
        }
        right
    }

    fn expected<'a>(&self, speech: &'a Speech, samples: usize) -> &'a [u8] {
        speech.at(self.origin + self.next, samples)
    }

    /// How many samples are as expected, from the first one on; without zeros of the speech that are
    /// the head of a silence.
    fn same(&self, speech: &Speech, rest: &[u8]) -> usize {
        let width = speech.width();
        let expected = self.expected(speech, rest.len() / width);
        let pairs = rest.chunks_exact(width).zip(expected.chunks_exact(width));
        let same = pairs.take_while(|(heard, expected)| heard == expected).count();
        if same * width == rest.len() {
            return same;
        }
        let is_zero = |sample: &usize| speech.silence_at(&rest[sample * width..]) > 0;
        let zeros = (0..same).rev().take_while(is_zero).count();
        let behind = &rest[(same - zeros) * width..];
        let is_silence = speech.silence_at(behind) >= SILENCE_SAMPLES.min(behind.len() / width);
        if is_silence { same - zeros } else { same }
    }

    /// The place where the echo goes on with `rest` behind a silence, if zeros of the speech were
    /// taken for that silence's end, or zeros of the silence for the speech before it.
    fn resumes(&self, speech: &Speech, rest: &[u8]) -> Option<u64> {
        if self.silent == 0 {
            return None;
        }
        let from = self.next.saturating_sub(SILENCE_SAMPLES as u64);
        let before = speech.at(self.origin + from, (self.next - from) as usize);
        let is_zero = |sample: &[u8]| speech.silence_at(sample) > 0;
        let back = before.chunks_exact(speech.width()).rev().take_while(|&it| is_zero(it)).count();
        let ahead = speech.silence_at(self.expected(speech, SILENCE_SAMPLES)) as u64;
        let head = &rest[..rest.len().min(speech.key_samples() * speech.width())];
        let samples = head.len() / speech.width();
        let mut places = self.next - back as u64..=self.next + ahead.min(self.silent);
        places.find(|place| *place != self.next && head == speech.at(self.origin + place, samples))
    }

    /// Zeros up to `place` were of the speech, or zeros behind it of the silence; answers how many
    /// samples of the speech that makes more.
    fn resume(&mut self, place: u64, echo: &mut Echo) -> usize {
        if let Some(ahead) = place.checked_sub(self.next) {
            self.silent -= ahead;
            return self.right(ahead as usize, echo);
        }
        self.silent += self.next - place;
        self.heard = self.heard.min(place);
        self.move_to(place);
        0
    }

    /// The echo goes on at a place that was recognised.
    fn move_to(&mut self, place: u64) {
        (self.next, self.follows) = (place, true);
    }

    /// So many samples are as expected; answers how many of them are new.
    fn right(&mut self, samples: usize, echo: &mut Echo) -> usize {
        let end = self.next + samples as u64;
        let gap = self.next.saturating_sub(self.heard);
        let missing = gap.saturating_sub(self.wrong);
        match self.joins && !self.begun {
            true => echo.samples_before += missing,
            false => echo.samples_missing += missing,
        }
        let repeated = self.heard.min(end).saturating_sub(self.next);
        echo.samples_repeated += repeated;
        if self.begun {
            echo.samples_silent += self.silent;
        }
        (self.wrong, self.silent) = (0, 0);
        (self.begun, self.audible, self.follows) = (true, true, true);
        self.heard = self.heard.max(end);
        self.next = end;
        samples - repeated as usize
    }

    /// So many samples are something else, and stand for the caller's.
    fn wrong(&mut self, samples: usize, echo: &mut Echo) {
        echo.samples_wrong += samples as u64;
        self.audible |= samples > 0;
        self.wrong += samples as u64;
        self.next += samples as u64;
    }

    /// Behind how many of the `skipped` samples the echo is again as it should be at that place.
    fn goes_on_behind(
        &self,
        speech: &Speech,
        rest: &[u8],
        mut skipped: Range<usize>,
    ) -> Option<usize> {
        let width = speech.width();
        let expected = self.expected(speech, rest.len() / width);
        let key = speech.key_samples() * width;
        skipped.find(|skipped| {
            let at = skipped * width;
            let end = (at + key).min(rest.len());
            rest[at..end] == expected[at..end]
        })
    }

    /// Behind how many samples, `tail` at least, the few that are left of the frame are as they should
    /// be.
    fn ends_right(&self, speech: &Speech, rest: &[u8], tail: usize) -> Option<usize> {
        let samples = rest.len() / speech.width();
        let least = if samples > speech.key_samples() { ENOUGH_SAMPLES } else { 1 };
        let last = (samples + 1).saturating_sub(least);
        self.follows.then(|| self.goes_on_behind(speech, rest, tail..last)).flatten()
    }

    /// Behind how many samples the echo goes on at another place, and at which.
    fn goes_on_elsewhere(&self, speech: &Speech, rest: &[u8], said: u64) -> Option<(usize, u64)> {
        let width = speech.width();
        let last = (rest.len() / width).checked_sub(speech.key_samples())?;
        (0..=last).find_map(|skipped| {
            let found = speech.place_of(&rest[skipped * width..])?;
            Some((skipped, self.nearest(speech, found, said)?))
        })
    }

    /// The place that is said at `found` of the speech, of those that were said the one that is
    /// nearest to the next.
    fn nearest(&self, speech: &Speech, found: u64, said: u64) -> Option<u64> {
        let round = speech.samples();
        let first = (found + round - self.origin % round) % round;
        let before = first + self.next.saturating_sub(first) / round * round;
        let candidates = [before, before + round].into_iter().filter(|place| *place < said);
        candidates.min_by_key(|place| place.abs_diff(self.next))
    }
}

#[cfg(test)]
mod tests;
