//! What detectors cost.

use std::hint::black_box;
use std::time::Duration;

use sidetone::dsp::simd::Level;
use sidetone::dsp::vad::{Detector, Scorer, Silero};

use crate::common::machine::median;
use crate::contenders::Contender;
use crate::corpus::NARROW;
use crate::noise::Noise;
use crate::{Material, Surroundings};

/// Calls that take turns, so that each finds its state as other calls leave it in the caches.
const CALLS: usize = 200;

/// Seconds of each call that are measured, behind as many that are not.
const SECONDS: usize = 5;

const ROUNDS: usize = 7;

/// Nanoseconds of processor time for a frame of 20 ms of a call that is silent half of the time.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Of one call alone, and of many that take turns.
    pub(crate) alone_ns: f64,
    pub(crate) frame_ns: f64,
}

impl Cost {
    pub(crate) fn measure(contender: Contender, material: &Material) -> Self {
        Self {
            alone_ns: frame_ns(contender, material, 1),
            frame_ns: frame_ns(contender, material, CALLS),
        }
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: there is room for the answer.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0, "Linux counts the time of threads");
    let part = |value: i64| u64::try_from(value).expect("time does not go back");
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// What most calls are like: white noise, 20 dB below the speech.
fn call(material: &Material, n: usize) -> Vec<i16> {
    let track = &material.tracks[n % material.tracks.len()];
    material.heard(track, Surroundings::Noisy(Noise::White, 20))
}

fn frame_ns(contender: Contender, material: &Material, calls: usize) -> f64 {
    let frame = NARROW.hz() as usize / 50;
    let audio: Vec<Vec<i16>> = (0..material.tracks.len()).map(|n| call(material, n)).collect();
    let frames = SECONDS * 50;
    let rounds = (0..ROUNDS).map(|round| {
        let mut scorers: Vec<Scorer> = (0..calls).map(|_| contender.scorer()).collect();
        // Each call begins at another place of its track.
        let at = |call: usize, n: usize| {
            let track = &audio[(call + round) % audio.len()];
            &track[(call * 7 + round * 131 + n) * frame % (track.len() - frame)..][..frame]
        };
        let mut run = |from: usize| {
            let start = thread_time();
            for n in from..from + frames {
                for (call, scorer) in scorers.iter_mut().enumerate() {
                    scorer.push(at(call, n), |score| {
                        black_box(score);
                    });
                }
            }
            thread_time() - start
        };
        run(0);
        run(frames).as_nanos() as f64 / (calls * frames) as f64
    });
    median(rounds.collect())
}

/// What Silero's own frame, of 32 ms, costs at a level.
pub(crate) struct OfLevel {
    pub(crate) level: Level,
    pub(crate) frame_ns: f64,
}

/// Each level that there is, one after the other in every round.
pub(crate) fn levels(material: &Material) -> Vec<OfLevel> {
    let audio = call(material, 0);
    let levels: Vec<Level> = Level::available().collect();
    let mut rounds = vec![Vec::new(); levels.len()];
    for _ in 0..31 {
        for (level, rounds) in levels.iter().zip(&mut rounds) {
            let mut silero = Silero::with_level(*level);
            let length = silero.frame_samples();
            let frames = audio.chunks_exact(length).take(300);
            let start = thread_time();
            frames.for_each(|frame| {
                black_box(silero.detect(frame));
            });
            rounds.push((thread_time() - start).as_nanos() as f64 / 300.0);
        }
    }
    let of_level = |(level, rounds)| OfLevel { level, frame_ns: median(rounds) };
    levels.into_iter().zip(rounds).map(of_level).collect()
}
