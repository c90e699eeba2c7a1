/// Where what is played stops, or goes on, in the middle, so that nothing clicks: it fades over one
/// frame at a pause, over less at a clear, which somebody waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edges {
    /// The latest frame ended with audio of the queue, as loud as that is.
    sounding: bool,
    /// A pause begins with the next frame, which fades out.
    pausing: bool,
    /// So many samples at the queue's head were cleared, and fade out in the next frame.
    leaving: usize,
    /// What comes next was cut by a pause, and fades in.
    resuming: bool,
}

/// What the next frame has of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Share {
    /// How many samples.
    pub(super) count: usize,
    /// How many of those, at their head, were cleared.
    pub(super) leaving: usize,
    /// How loud the others are.
    way: Way,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    AsQueued,
    FadesIn,
    FadesOut,
}

impl Edges {
    /// Samples that were cleared and are still to be sent.
    pub(super) fn leaving(&self) -> usize {
        self.leaving
    }

    pub(super) fn pause(&mut self) {
        self.pausing = self.sounding && self.leaving == 0;
    }

    pub(super) fn resume(&mut self) {
        self.pausing = false;
    }

    /// Of `queued` samples, how many at their head are still to be sent where all of them are cleared.
    /// No more than `fade_samples`, which is no more than a frame.
    pub(super) fn clear(&mut self, queued: usize, fade_samples: usize) -> usize {
        if self.sounding && self.leaving == 0 {
            self.leaving = queued.min(fade_samples);
        }
        (self.pausing, self.resuming) = (false, false);
        self.leaving
    }

    /// What a frame has of `queued` samples.
    pub(super) fn next(&mut self, paused: bool, queued: usize, frame_samples: usize) -> Share {
        let Self { pausing, leaving, resuming, .. } = *self;
        let is_open = !paused || pausing;
        let count = if is_open { queued.min(frame_samples) } else { leaving };
        let plays = count > leaving;
        *self = Self {
            sounding: plays && count == frame_samples && !pausing,
            pausing: false,
            leaving: 0,
            resuming: if pausing { queued > count } else { resuming && !plays },
        };
        let way = match (pausing, resuming) {
            (true, _) => Way::FadesOut,
            (false, true) => Way::FadesIn,
            (false, false) => Way::AsQueued,
        };
        Share { count, leaving, way }
    }
}

impl Share {
    /// Makes its samples as loud as they are to be sent.
    pub(super) fn shape(&self, samples: &mut [i16]) {
        let (leaving, others) = samples.split_at_mut(self.leaving);
        fade(leaving, |passed| 1.0 - passed);
        match self.way {
            Way::AsQueued => {}
            Way::FadesIn => fade(others, |passed| passed),
            Way::FadesOut => fade(others, |passed| 1.0 - passed),
        }
    }
}

/// Gives each sample a gain, by the part of them that has passed with it.
fn fade(samples: &mut [i16], gain: impl Fn(f32) -> f32) {
    let all = samples.len() as f32;
    for (n, sample) in (1_u16..).zip(samples) {
        *sample = (f32::from(*sample) * gain(f32::from(n) / all)).round() as i16;
    }
}
