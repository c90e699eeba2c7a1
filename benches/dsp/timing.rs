//! How long a function takes for one call's 20 ms frame: hot, and with caches cooled by other calls'
//! work.
//!
//! *Hot* is the same call's frame again and again: state, buffers, tables and code lie in the
//! nearest caches. *Cooled* walks round-robin, in a shuffled order, through a pool of calls whose
//! states and buffers together fill [`POOL_BYTES`], more than a core's L2 holds. Before every eight
//! of them that are timed, another call, of a second such pool ([`cool_with`]), does a frame of its
//! own work, untimed. So a call finds its state displaced by all the others, and of code and tables
//! that calls share as much as that work displaces. The frame itself is not cold: what goes in has
//! just been written, by the socket or the stage before, and so has the place for what comes out,
//! which a server uses for all calls.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Memory of the calls in a pool, by what the allocator says.
pub(crate) const POOL_BYTES: usize = 4 << 20;

/// Calls in a pool, whatever they need.
const CALLS: std::ops::RangeInclusive<usize> = 32..=16_384;

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
const GROUP: usize = 8;

/// Frames of a batch with cooled caches, and batches, where one function is measured alone.
const COOLED_BATCH: u64 = 64;
const COOLED_BATCHES: usize = 31;

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

/// What a call is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// To bring the frame that goes in, and the place for what comes out, into the nearest cache.
    Touch,
    /// To do the frame.
    Work,
}

/// Brings `values` into the nearest cache, to be written.
pub(crate) fn touch<T: Copy>(values: &mut [T]) {
    for value in values {
        *value = black_box(*value);
    }
}

/// A function under measurement, with its pool of calls.
pub(crate) struct Contender {
    pub(crate) name: String,
    /// What one call allocates: state and buffers.
    pub(crate) bytes_per_call: usize,
    run: Box<dyn FnMut(Mode, u64) -> Duration>,
}

#[derive(Clone, Copy)]
enum Mode {
    /// The first call, over and over.
    Hot,
    /// One call after the other, each frame timed by itself, with other work between.
    Cooled,
    /// One call after the other, not timed.
    Walk,
}

impl Contender {
    /// `make` makes the nth call: a closure that does one frame and owns all that it needs.
    pub(crate) fn new<C: FnMut(Step) + 'static>(
        name: &str,
        mut make: impl FnMut(usize) -> C,
    ) -> Self {
        // The first one also makes what all share.
        let mut calls = vec![warm(make(0))];
        let before = allocated();
        calls.push(warm(make(1)));
        let bytes_per_call = allocated().saturating_sub(before) + size_of::<C>();
        let count = match SHRUNK.load(Ordering::Relaxed) {
            true => calls.len(),
            false => (POOL_BYTES / bytes_per_call.max(1)).clamp(*CALLS.start(), *CALLS.end()),
        };
        // Of resamplers that hold audio back, not all shall do their work in the same frame.
        let started = |n| {
            let mut call = warm(make(n));
            (0..n % 16).for_each(|_| call(Step::Work));
            call
        };
        calls.extend((2..count).map(started));

        let order = shuffled(count);
        let mut at = 0;
        let mut next = move || {
            at = if at + 1 == order.len() { 0 } else { at + 1 };
            order[at]
        };
        let run = move |mode, frames| match mode {
            Mode::Hot => {
                let call = &mut calls[0];
                call(Step::Work);
                let start = Instant::now();
                for _ in 0..frames {
                    call(Step::Work);
                }
                start.elapsed()
            }
            Mode::Cooled => {
                let group = |_| {
                    let places: [usize; GROUP] = std::array::from_fn(|_| next());
                    other_work();
                    places.iter().for_each(|&place| calls[place](Step::Touch));
                    // The clock's own code is not to be what is cold.
                    black_box(Instant::now());
                    let start = Instant::now();
                    places.iter().for_each(|&place| calls[place](Step::Work));
                    start.elapsed()
                };
                (0..frames / GROUP as u64).map(group).sum()
            }
            Mode::Walk => {
                (0..frames).for_each(|_| calls[next()](Step::Work));
                Duration::ZERO
            }
        };
        Self { name: name.to_owned(), bytes_per_call, run: Box::new(run) }
    }

    /// The time that so many frames take.
    pub(crate) fn run(&mut self, caches: Caches, frames: u64) -> Duration {
        match caches {
            Caches::Hot => (self.run)(Mode::Hot, frames),
            Caches::Cooled => {
                let all = (self.run)(Mode::Cooled, frames);
                let of_clock = CLOCK_NS.get().unwrap_or(&0.0) * (frames / GROUP as u64) as f64;
                all.saturating_sub(Duration::from_nanos(of_clock as u64))
            }
        }
    }

    /// The time of a frame with cooled caches, in nanoseconds: the median over batches, as a clock
    /// may tick in steps of 10 ns and a resampler may do several frames at once.
    pub(crate) fn cooled_ns(&mut self) -> f64 {
        let batch = |_| {
            let time = self.run(Caches::Cooled, COOLED_BATCH);
            time.as_nanos() as f64 / COOLED_BATCH as f64
        };
        median((0..COOLED_BATCHES).map(batch).collect())
    }
}

thread_local! {
    static OTHERS: RefCell<Option<Contender>> = const { RefCell::new(None) };
}

/// What it takes to ask the clock twice, in nanoseconds.
static CLOCK_NS: OnceLock<f64> = OnceLock::new();

/// From now on `others` do a frame of their work before each frame with cooled caches.
pub(crate) fn cool_with(others: Contender) {
    OTHERS.set(Some(others));
    let mut nothing = Contender::new("nothing", |_| |_| ());
    CLOCK_NS.get_or_init(|| nothing.cooled_ns() * GROUP as f64);
}

fn other_work() {
    OTHERS.with_borrow_mut(|others| {
        if let Some(others) = others {
            (others.run)(Mode::Walk, 1);
        }
    });
}

/// Buffers get their size, pages their memory.
fn warm<C: FnMut(Step)>(mut call: C) -> C {
    call(Step::Work);
    call(Step::Work);
    call
}

/// How many times as long `ours` takes as `peer`: the median over many rounds, each of one short
/// batch of either, so that both meet the same disturbances. Who begins changes with each round.
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
    median(rounds.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Frames of a batch. Hot, so many that the slower side's batch takes [`BATCH`], but the faster
/// side's no less than a twentieth of that, for the clock's sake; cooled, each frame is timed.
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

/// Bytes that the process has from the C library's allocator, on which Rust's stands.
fn allocated() -> usize {
    // SAFETY: no arguments, answers a value.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// Keeps the process on one core: the last that it may use. Answers its number.
pub(crate) fn pin() -> Option<usize> {
    // SAFETY: an all-zero set is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of_val(&set);
    // SAFETY: `set` is as large as is said.
    if unsafe { libc::sched_getaffinity(0, size, &raw mut set) } != 0 {
        return None;
    }
    let cores = 0..usize::try_from(libc::CPU_SETSIZE).ok()?;
    // SAFETY: `core` is below the size of the set.
    let core = cores.rev().find(|&core| unsafe { libc::CPU_ISSET(core, &set) })?;
    // SAFETY: as above, twice.
    unsafe {
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(core, &mut set);
    }
    // SAFETY: `set` is as large as is said.
    (unsafe { libc::sched_setaffinity(0, size, &raw const set) } == 0).then_some(core)
}
