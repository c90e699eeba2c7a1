use crate::call::{Call, Frames, Heard, Shared};
use crate::demultiplex::shuffled;
use crate::stages::Stages;

/// Calls that stand for thousands in a trial.
const TRIAL_CALLS: usize = 8;

/// A packet into one call's engine and a tick out of it, everything of it in the nearest caches.
pub(crate) fn warm(stages: &mut Stages) {
    for (heard, suffix) in [(Heard::Echo, ""), (Heard::EchoAndRecorder, "_recorded")] {
        for (case, frames) in [("ulaw", Frames::ulaw()), ("audiosocket", Frames::slin())] {
            stages.case("engine", &format!("tick_{case}{suffix}"), || {
                let mut call = Call::warm(frames.clone(), heard.pipeline());
                let mut shared = Shared::default();
                move || call.frame(&mut shared)
            });
        }
    }
}

/// The same of one call after the other, so many that each one's state has left the nearest caches
/// before its turn comes again.
pub(crate) fn cold(stages: &mut Stages) {
    let is_trial = stages.is_trial();
    for (case, count, heard) in [
        ("1000", 1_000, Heard::Echo),
        ("2000", 2_000, Heard::Echo),
        ("4000", 4_000, Heard::Echo),
        ("1000_recorded", 1_000, Heard::EchoAndRecorder),
    ] {
        stages.case("engines", case, || {
            let (frames, pipeline) = (Frames::ulaw(), heard.pipeline());
            let count = if is_trial { TRIAL_CALLS } else { count };
            let call = |_| Call::warm(frames.clone(), pipeline.clone());
            let mut calls: Vec<Call> = (0..count).map(call).collect();
            let order = shuffled(count);
            let (mut shared, mut next) = (Shared::default(), 0);
            move || {
                calls[order[next]].frame(&mut shared);
                next = if next + 1 == order.len() { 0 } else { next + 1 };
            }
        });
    }
}
