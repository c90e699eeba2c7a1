use std::time::Duration;

use super::Context;
use crate::audio::SampleRate;
use crate::dsp::stretch::{Effort, Stretcher};

/// How long the queue's lowest level is looked for.
const WINDOW: Duration = Duration::from_millis(500);

/// Windows whose lowest levels are remembered.
const WINDOWS: usize = 8;

/// More than the cushion by this is too much.
const SLACK: Duration = Duration::from_millis(60);

/// From here on it is taken out wherever it is, not only where that is not heard.
const FAR_TOO_MUCH: Duration = Duration::from_millis(120);

/// Room for a frame that is made longer: of 60 ms, by up to 15. Longer ones allocate once.
const ROOM: Duration = Duration::from_millis(75);

/// Of the cushion a tick takes one frame before the next one comes, or two.
const OF_TICKS: Duration = Duration::from_millis(40);

/// What a cushion is made of.
static SILENCE: [i16; 960] = [0; 960];

/// Plays audio that comes in real time to the caller, by whatever clock and in whatever bursts.
///
/// It begins behind a cushion of silence, so that what comes a little late leaves no gap. What waits
/// is then kept at the cushion: after a stall with a burst behind it, or where the source's clock is
/// faster than ours, frames are made shorter, pitch preserved, until the delay is what it was; where
/// the clock is slower and the cushion has 60 ms or more, longer, before the queue runs empty.
#[derive(Debug)]
pub struct LiveFeed {
    rate: SampleRate,
    /// In samples.
    cushion: usize,
    stretcher: Stretcher,
    frame: Vec<i16>,
    /// Least and most that waited when a frame came: in the window at work, and in the ones before.
    lowest: usize,
    highest: usize,
    windows: [Levels; WINDOWS],
    /// How many of them there are since the cushion was queued.
    known: usize,
    /// Samples fed in the window at work.
    fed: usize,
}

/// What waited when frames came, in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    lowest: usize,
    highest: usize,
}

impl LiveFeed {
    /// A feed at the call's `rate` behind so much silence.
    #[must_use]
    pub fn new(rate: SampleRate, cushion: Duration) -> Self {
        Self {
            rate,
            cushion: rate.length_of(cushion),
            stretcher: Stretcher::new(rate),
            frame: Vec::new(),
            lowest: usize::MAX,
            highest: 0,
            windows: [Levels::default(); WINDOWS],
            known: 0,
            fed: 0,
        }
    }

    /// Plays a frame behind those before it. What the queue has no room for is lost: live audio of a
    /// minute ago is of no use.
    pub fn play(&mut self, samples: &[i16], cx: &mut Context<'_>) {
        if cx.is_dry() {
            self.queue_cushion(cx);
            self.look_anew();
        }
        self.look(cx.queued(), samples.len());
        let (surplus, lack) = (self.surplus(), self.lack());
        if surplus == 0 && lack == 0 {
            if self.may_change_soon() {
                self.make_room();
                self.stretcher.pass(samples);
            } else {
                self.stretcher.skim(samples);
            }
            cx.play(samples);
            return;
        }
        self.frame.clear();
        self.frame.extend_from_slice(samples);
        if surplus > 0 {
            let far = surplus >= self.rate.length_of(FAR_TOO_MUCH);
            let effort = if far { Effort::Always } else { Effort::WhereSimilar };
            let taken = self.stretcher.shorten(&mut self.frame, surplus, effort);
            self.shift(|level| level.saturating_sub(taken));
        } else {
            let put_in = self.stretcher.lengthen(&mut self.frame, lack, Effort::WhereSimilar);
            self.shift(|level| level.saturating_add(put_in));
        }
        cx.play(&self.frame);
    }

    /// Allocates room for a frame whose length is changed.
    fn make_room(&mut self) {
        if self.frame.capacity() == 0 {
            self.frame.reserve_exact(self.rate.length_of(ROOM));
        }
    }

    fn queue_cushion(&self, cx: &mut Context<'_>) {
        let mut left = self.cushion;
        while left > 0 {
            let piece = left.min(SILENCE.len());
            cx.play(&SILENCE[..piece]);
            left -= piece;
        }
    }

    fn look(&mut self, waiting: usize, samples: usize) {
        self.lowest = self.lowest.min(waiting);
        self.highest = self.highest.max(waiting);
        self.fed += samples;
        if self.fed >= self.rate.length_of(WINDOW) {
            self.windows.rotate_right(1);
            self.windows[0] = Levels { lowest: self.lowest, highest: self.highest };
            self.known = (self.known + 1).min(WINDOWS);
            (self.lowest, self.highest, self.fed) = (usize::MAX, 0, 0);
        }
    }

    /// By how much the queue was too long all through the last second.
    fn surplus(&self) -> usize {
        let [latest, before, ..] = self.windows;
        let lowest = latest.lowest.min(before.lowest).min(self.lowest);
        if self.known >= 2 && lowest > self.much() { lowest - self.cushion } else { 0 }
    }

    /// What is missing to the cushion, where little of it was left at every frame of the last four
    /// seconds: at some it is packets that were late.
    fn lack(&self) -> usize {
        let little = self.little();
        if self.known < WINDOWS || self.windows.iter().any(|levels| levels.highest > little) {
            return 0;
        }
        let highest = self.windows.iter().map(|levels| levels.highest).max().unwrap_or_default();
        self.cushion - highest
    }

    /// Whether the next frame can be one whose length is changed, by what waited in the latest window.
    fn may_change_soon(&self) -> bool {
        let at_work = Levels { lowest: self.lowest, highest: self.highest };
        let Levels { lowest, highest } = if self.fed == 0 { self.windows[0] } else { at_work };
        lowest > self.much() || highest <= self.little()
    }

    /// More is too much.
    fn much(&self) -> usize {
        self.cushion + self.rate.length_of(SLACK)
    }

    /// So much or less is too little, if it is never more.
    fn little(&self) -> usize {
        let usual = self.cushion.saturating_sub(self.rate.length_of(OF_TICKS));
        usual.min(self.cushion / 2)
    }

    /// What waits is now so much more or less than what was seen.
    fn shift(&mut self, shifted: impl Fn(usize) -> usize) {
        for Levels { lowest, highest } in &mut self.windows {
            (*lowest, *highest) = (shifted(*lowest), shifted(*highest));
        }
        self.highest = shifted(self.highest);
        if self.lowest != usize::MAX {
            self.lowest = shifted(self.lowest);
        }
    }

    fn look_anew(&mut self) {
        (self.lowest, self.highest, self.known, self.fed) = (usize::MAX, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Position, Ptime};
    use crate::dsp::tone::Sine;
    use crate::media::Playout;
    use crate::processor::Reach;

    const RATE: SampleRate = SampleRate::HZ_8000;
    const CUSHION: Duration = Duration::from_millis(40);
    /// Enough to be kept beside a slower clock.
    const LARGE_CUSHION: Duration = Duration::from_millis(100);

    struct Rig {
        feed: LiveFeed,
        playout: Playout,
        source: Sine,
        heard: Vec<i16>,
    }

    impl Rig {
        fn new(cushion: Duration) -> Self {
            Self {
                feed: LiveFeed::new(RATE, cushion),
                playout: Playout::new(RATE, Ptime::MS_20, Duration::from_secs(60)),
                source: Sine::new(200.0, RATE, 0.25),
                heard: Vec::new(),
            }
        }

        /// A frame of 20 ms comes.
        fn frame(&mut self) {
            let mut frame = [0; 160];
            self.source.fill(&mut frame);
            let mut requests = Vec::new();
            let (now, reach) = (Position(0), &Reach::default());
            let (playout, requests) = (&mut self.playout, &mut requests);
            let mut cx = Context { now, playout, requests, reach };
            self.feed.play(&frame, &mut cx);
        }

        /// 20 ms pass for the caller.
        fn tick(&mut self) {
            let mut frame = [0; 160];
            self.playout.pull(&mut frame);
            self.heard.extend(frame);
        }

        fn queued_ms(&self) -> usize {
            self.playout.queued() / 8
        }
    }

    #[test]
    fn a_steady_source_is_played_as_it_is_behind_the_cushion() {
        let mut rig = Rig::new(CUSHION);
        for _ in 0..1_000 {
            rig.frame();
            rig.tick();
        }
        let mut expected = vec![0; 320];
        expected.resize(160_000, 0);
        Sine::new(200.0, RATE, 0.25).fill(&mut expected[320..]);
        assert!(rig.heard == expected);
    }

    #[test]
    fn a_frame_that_comes_right_after_its_tick_is_in_time_for_the_next() {
        let mut rig = Rig::new(Duration::from_millis(20));
        rig.frame();
        for _ in 0..100 {
            rig.tick();
            rig.tick();
            // Empty, but no tick has found it so.
            assert_eq!(rig.queued_ms(), 0);
            rig.frame();
            rig.frame();
        }
        let mut expected = vec![0; 160];
        expected.resize(160 * 200, 0);
        Sine::new(200.0, RATE, 0.25).fill(&mut expected[160..]);
        assert!(rig.heard == expected);
    }

    #[test]
    fn half_a_second_that_comes_in_a_burst_leaves_no_delay_behind() {
        let mut rig = Rig::new(CUSHION);
        for _ in 0..100 {
            rig.frame();
            rig.tick();
        }
        (0..25).for_each(|_| rig.tick());
        (0..25).for_each(|_| rig.frame());
        assert!(rig.queued_ms() >= 500);
        let mut steps = 0;
        while rig.queued_ms() > 120 {
            rig.frame();
            rig.tick();
            steps += 1;
            assert!(steps < 200, "after 4 s still {} ms", rig.queued_ms());
        }
        // Then it stays, and nothing but the stall and its cushion was silent.
        for _ in 0..500 {
            rig.frame();
            rig.tick();
            assert!((20..=120).contains(&rig.queued_ms()), "{} ms", rig.queued_ms());
        }
        let silent = rig.heard.chunks(80).filter(|ms10| ms10.iter().all(|&s| s == 0)).count();
        // The stall, less what had been queued, and two cushions.
        assert!((50 - 4 + 4..=50 + 8).contains(&silent), "{silent} times 10 ms");
    }

    #[test]
    fn a_source_by_another_clock_neither_grows_nor_runs_dry() {
        // One frame in 500 too many or too few: 2,000 ppm, for ten minutes.
        for extra in [true, false] {
            let mut rig = Rig::new(LARGE_CUSHION);
            let mut gaps = 0;
            for n in 1..=30_000 {
                if extra || n % 500 != 0 {
                    rig.frame();
                }
                if extra && n % 500 == 0 {
                    rig.frame();
                }
                rig.tick();
                gaps += usize::from(rig.playout.queued() == 0);
                assert!(rig.queued_ms() <= 240, "{} ms after {n} frames", rig.queued_ms());
            }
            assert_eq!(gaps, 0, "extra: {extra}");
        }
    }

    #[test]
    fn a_single_late_frame_changes_nothing() {
        let mut rig = Rig::new(CUSHION);
        for n in 0..2_000 {
            if n % 100 != 50 {
                rig.frame();
            }
            rig.tick();
            if n % 100 == 50 {
                rig.frame();
            }
        }
        let mut expected = vec![0; 320 * 1_000];
        Sine::new(200.0, RATE, 0.25).fill(&mut expected[320..]);
        assert!(rig.heard[..] == expected[..]);
    }
}
