//! How long a function takes for one call's 20 ms frame: hot, and with caches cooled by other calls'
//! work.
//!
//! *Hot* is the same call's frame again and again: state, buffers, tables and code lie in the
//! nearest caches. Every batch takes another one of [`HOT_CALLS`], at another depth of the stack, so
//! that no figure hangs on where in memory a state or a frame happens to lie. *Cooled* walks round-robin, in a shuffled order, through a pool of calls that
//! together touch [`POOL_BYTES`], more than a core's L2 holds, and times them in groups of
//! [`GROUP`]. Before each group another call, of a second such pool ([`cool_with`]), does a frame
//! of its own work, untimed. So a call finds its state displaced by all the others, and of code and
//! tables that calls share as much as that work displaces. The frame itself is not cold: what goes
//! in has just been written, by the socket or the stage before, and so has the place for what comes
//! out, which a server uses for all calls.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::machine::median;

/// What the frames of all calls in a pool touch: each call's state (all that is allocated for it),
/// the frame that goes in and the one that comes out.
pub(crate) const POOL_BYTES: usize = 4 << 20;

/// Calls in a pool, whatever they touch. A frame of 320 bytes in and 160 out is the least that is
/// measured, for which [`POOL_BYTES`] take half of the most.
const CALLS: std::ops::RangeInclusive<usize> = 32..=16_384;

/// States that exist at once where the bytes of one are measured. glibc hands out up to seven
/// chunks of each size, those below 1 KiB, from lists that its count does not see: a 36th of these.
const STATES: usize = 256;

/// Calls that take turns where caches are hot.
const HOT_CALLS: usize = 16;

/// Frames after which a state has grown to its size: a resampler may hold back several.
const GROWTH_FRAMES: usize = 16;

/// Pools are not for measuring.
static SHRUNK: AtomicBool = AtomicBool::new(false);

/// Makes the pools that follow as small as can be: for a trial, not for measurements.
pub(crate) fn shrink_pools() {
    SHRUNK.store(true, Ordering::Relaxed);
}

/// Rounds of a comparison, odd, so that a median is one of them.
const ROUNDS: usize = 301;

/// Calls that do a frame between two looks at the clock with cooled caches, each with a state of its
/// own: one frame of the fastest functions takes less than the clock.
const GROUP: usize = 16;

/// Frames of a batch with cooled caches, and rounds, where times are not those of a comparison.
const COOLED_BATCH: u64 = 64;
const COOLED_ROUNDS: usize = 101;

/// The longer of the two batches of a round.
const BATCH: Duration = Duration::from_micros(100);

/// Whether caches are warm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caches {
    Hot,
    Cooled,
}

impl Caches {
    pub(crate) const BOTH: [Self; 2] = [Self::Hot, Self::Cooled];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Cooled => "cooled",
        }
    }
}

/// Where a call's frames come from.
pub(crate) trait Source {
    type Item: Copy;

    /// The frame that is next.
    fn next(&mut self) -> &[Self::Item];

    /// Brings that frame into the nearest cache.
    fn touch(&mut self);
}

/// One frame of the call's own, over and over.
impl<T: Copy> Source for Vec<T> {
    type Item = T;

    fn next(&mut self) -> &[T] {
        self
    }

    fn touch(&mut self) {
        touch(self);
    }
}

/// Brings `values` into the nearest cache, to be written.
fn touch<T: Copy>(values: &mut [T]) {
    for value in values {
        *value = black_box(*value);
    }
}

/// The place that a call's frames go to, in values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// What a frame becomes.
    pub(crate) frame: usize,
    /// Room that the function asks for: that much, or more.
    pub(crate) room: usize,
}

impl Place {
    /// Room for no more than the frame.
    pub(crate) const fn exact(frame: usize) -> Self {
        Self { frame, room: frame }
    }
}

/// One call: its state, where its frames come from, and the place that they go to.
struct Call<S, I, O> {
    state: S,
    input: I,
    output: Vec<O>,
}

/// A function under measurement, with its pool of calls.
pub(crate) struct Contender {
    pub(crate) name: String,
    /// What one call's state takes, by what the allocator says. The frames that go in and come out
    /// are not part of it.
    pub(crate) state_bytes: usize,
    run: Box<dyn FnMut(Mode, u64) -> Duration>,
}

#[derive(Clone, Copy)]
enum Mode {
    /// One call, over and over; the next time another one.
    Hot,
    /// One call after the other, timed in groups, with other work before each group.
    Cooled,
    /// One call after the other, not timed.
    Walk,
}

impl Contender {
    /// `state` makes a call's state, `input` the nth call's frames; `work` does one frame.
    pub(crate) fn new<S: 'static, I: Source + 'static, O: Copy + Default + 'static>(
        name: &str,
        state: impl Fn() -> S,
        input: impl Fn(usize) -> I,
        place: Place,
        work: impl Fn(&mut S, &[I::Item], &mut Vec<O>) + 'static,
    ) -> Self {
        let work = move |call: &mut Call<S, I, O>| {
            work(&mut call.state, black_box(call.input.next()), black_box(&mut call.output));
        };
        let touch = move |call: &mut Call<S, I, O>| {
            call.input.touch();
            let made = call.output.len().min(place.frame);
            touch(&mut call.output[..made]);
        };
        let output = || vec![O::default(); place.room];
        let is_trial = SHRUNK.load(Ordering::Relaxed);

        // All states that are counted do the same frames; the first also makes what all share.
        let mut call = Call { state: state(), input: input(0), output: output() };
        let grow = |call: &mut _| (0..GROWTH_FRAMES).for_each(|_| work(call));
        grow(&mut call);
        let mut states = Vec::with_capacity(STATES);
        let before = allocated();
        for _ in 0..if is_trial { 2 } else { STATES } {
            states.push(std::mem::replace(&mut call.state, state()));
            grow(&mut call);
        }
        let state_bytes =
            allocated().saturating_sub(before).div_ceil(states.len()) + size_of::<S>();
        drop(states);
        let frame_bytes = size_of_val(call.input.next()) + place.frame * size_of::<O>();
        let count = match is_trial {
            true => 2,
            false => POOL_BYTES
                .div_ceil((state_bytes + frame_bytes).max(1))
                .clamp(*CALLS.start(), *CALLS.end()),
        };
        // Of resamplers that hold audio back, not all shall do their work in the same frame.
        let started = |n| {
            let mut call = Call { state: state(), input: input(n), output: output() };
            (0..2 + n % 16).for_each(|_| work(&mut call));
            call
        };
        let mut calls: Vec<_> = (0..count).map(started).collect();

        let order = shuffled(count);
        let (mut at, mut hot) = (0, 0);
        let mut next = move || {
            at = if at + 1 == order.len() { 0 } else { at + 1 };
            order[at]
        };
        let run = move |mode, frames| match mode {
            Mode::Hot => {
                hot = (hot + 1) % calls.len().min(HOT_CALLS);
                let call = &mut calls[hot];
                deeper(hot, &mut || {
                    work(call);
                    let start = Instant::now();
                    for _ in 0..frames {
                        work(call);
                    }
                    start.elapsed()
                })
            }
            Mode::Cooled => {
                let group = |_| {
                    let places: [usize; GROUP] = std::array::from_fn(|_| next());
                    other_work();
                    places.iter().for_each(|&place| touch(&mut calls[place]));
                    // The clock's own code is not to be what is cold; and what it takes to look at it
                    // twice is no part of the work.
                    black_box(Instant::now());
                    let looked = Instant::now();
                    let start = Instant::now();
                    places.iter().for_each(|&place| work(&mut calls[place]));
                    start.elapsed().saturating_sub(start - looked)
                };
                (0..frames / GROUP as u64).map(group).sum()
            }
            Mode::Walk => {
                (0..frames).for_each(|_| work(&mut calls[next()]));
                Duration::ZERO
            }
        };
        Self { name: name.to_owned(), state_bytes, run: Box::new(run) }
    }

    /// The time that so many frames take.
    pub(crate) fn run(&mut self, caches: Caches, frames: u64) -> Duration {
        let mode = match caches {
            Caches::Hot => Mode::Hot,
            Caches::Cooled => Mode::Cooled,
        };
        (self.run)(mode, frames)
    }
}

/// The times of each one's frame with cooled caches, in nanoseconds: the medians over many rounds,
/// each of one batch of everybody's. So a disturbance that lasts shorter than half of all rounds
/// does not show.
pub(crate) fn cooled_ns(contenders: &mut [Contender]) -> Vec<f64> {
    let mut batches = vec![Vec::with_capacity(COOLED_ROUNDS); contenders.len()];
    for _ in 0..COOLED_ROUNDS {
        for (contender, batches) in contenders.iter_mut().zip(&mut batches) {
            let time = contender.run(Caches::Cooled, COOLED_BATCH);
            batches.push(time.as_nanos() as f64 / COOLED_BATCH as f64);
        }
    }
    batches.into_iter().map(median).collect()
}

thread_local! {
    static OTHERS: RefCell<Option<Contender>> = const { RefCell::new(None) };
}

/// From now on a call of `others` does a frame of its work before each group of frames with cooled
/// caches.
pub(crate) fn cool_with(others: Contender) {
    OTHERS.set(Some(others));
}

fn other_work() {
    OTHERS.with_borrow_mut(|others| {
        if let Some(others) = others {
            (others.run)(Mode::Walk, 1);
        }
    });
}

/// How many times as long `ours` takes as `peer`: the median over many rounds, each of one short
/// batch of either, so that both meet the same disturbances. Who begins changes with each round.
///
/// # Panics
/// Where that is not a number above 0: nothing was measured.
pub(crate) fn ratio(ours: &mut Contender, peer: &mut Contender, caches: Caches) -> f64 {
    let frames = frames_per_batch(ours, peer, caches);
    let rounds = (0..ROUNDS).map(|round| {
        let (a, b);
        if round % 2 == 0 {
            a = ours.run(caches, frames);
            b = peer.run(caches, frames);
        } else {
            b = peer.run(caches, frames);
            a = ours.run(caches, frames);
        }
        a.as_secs_f64() / b.as_secs_f64()
    });
    let ratio = median(rounds.collect());
    let names = (&ours.name, &peer.name);
    assert!(ratio.is_finite() && ratio > 0.0, "{names:?}, {caches:?}: a ratio of {ratio}");
    ratio
}

/// Frames of a batch. Hot, so many that the slower side's batch takes [`BATCH`], but the faster
/// side's no less than a twentieth of that, for the clock's sake; cooled, two groups.
fn frames_per_batch(ours: &mut Contender, peer: &mut Contender, caches: Caches) -> u64 {
    if caches == Caches::Cooled {
        return 2 * GROUP as u64;
    }
    let nanoseconds = |contender: &mut Contender| {
        // The least of several: a probe that was disturbed would make batches too short.
        let probes = (0..9).map(|_| contender.run(caches, 16));
        probes.min().expect("there are nine").as_nanos().max(16) / 16
    };
    let (a, b) = (nanoseconds(ours), nanoseconds(peer));
    let frames = (BATCH.as_nanos() / a.max(b)).max(BATCH.as_nanos() / 20 / a.min(b));
    u64::try_from(frames).expect("a batch is short").max(4)
}

/// Every index once, in an order that no prefetcher foresees (Fisher and Yates).
fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..count).rev() {
        // Knuth's linear congruential generator; the upper bits are the good ones.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (state >> 33) as usize % (last + 1));
    }
    order
}

/// Calls `work` some 256 bytes deeper in the stack for each of `steps`.
#[inline(never)]
fn deeper(steps: usize, work: &mut dyn FnMut() -> Duration) -> Duration {
    let taken = black_box([0_u8; 256]);
    let time = if steps == 0 { work() } else { deeper(steps - 1, work) };
    black_box(&taken);
    time
}

/// Bytes that the process has from the C library's allocator, on which Rust's stands.
fn allocated() -> usize {
    // SAFETY: no arguments, answers a value.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
