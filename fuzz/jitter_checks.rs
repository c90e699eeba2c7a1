//! What must hold for any sequence of operations on a jitter buffer: it does what a sorted map would
//! do. The ordinary tests run the same functions over `seeds/` and over generated sequences.
//!
//! An input is a [`Setting`] of three bytes, then operations of two bytes each.

// Every user takes its own part of this module.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sidetone::media::jitter::{Arrival, JitterBuffer, Packet, Patience, Popped};
use sidetone::runtime::Clock;
use sidetone::wire::{ExtSeq, ExtTs, PayloadType};

/// Where streams begin: numbers before it exist, too.
const FIRST: u64 = 1 << 20;

/// What a buffer is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) min_wait_ms: u64,
    pub(crate) max_wait_ms: u64,
    pub(crate) capacity: usize,
    /// A power of two of at least 64: then exactly as many numbers are remembered.
    pub(crate) remembered: usize,
}

/// Something that is done to a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// A packet comes, so far from the one behind the highest number that came.
    Push(i64),
    /// So many milliseconds pass.
    Pass(u64),
    GiveUpHoles,
    Restart,
}

/// A buffer answers as a sorted map does, whatever is done to it.
pub(crate) fn jitter_buffer(input: &[u8]) {
    let [wait, more, sizes, operations @ ..] = input else { return };
    let min_wait_ms = u64::from(*wait);
    let setting = Setting {
        min_wait_ms,
        max_wait_ms: min_wait_ms + u64::from(*more),
        capacity: 1 + usize::from(sizes & 0x1f),
        remembered: 64 << (sizes >> 5 & 3),
    };
    let operations = operations.as_chunks::<2>().0.iter().map(|&[kind, by]| {
        let far = i64::from(by.cast_signed());
        match kind % 8 {
            0..3 => Operation::Push(0),
            3 => Operation::Push(far / 8),
            4 => Operation::Push(far),
            5 => Operation::Pass(u64::from(by)),
            6 => Operation::Push(far * 16),
            _ => match by {
                0 => Operation::Restart,
                1 => Operation::GiveUpHoles,
                _ => Operation::Pass(20),
            },
        }
    });
    check(setting, operations);
}

/// Does all that, and compares every answer with the model's.
pub(crate) fn check(setting: Setting, operations: impl IntoIterator<Item = Operation>) {
    let mut pair = Pair::new(setting);
    for operation in operations {
        match operation {
            Operation::Push(ahead) => {
                let behind_highest = pair.highest.map_or(FIRST, |highest| highest + 1);
                pair.push(behind_highest.saturating_add_signed(ahead));
            }
            Operation::Pass(ms) => pair.now += Duration::from_millis(ms),
            Operation::GiveUpHoles => {
                pair.model.giving_up = true;
                pair.buffer.give_up_holes();
            }
            Operation::Restart => pair.restart(),
        }
        pair.drain();
    }
    pair.finish();
}

/// A buffer and what it is compared with.
struct Pair {
    buffer: JitterBuffer,
    model: Model,
    now: Instant,
    highest: Option<u64>,
    /// Numbers that were taken in and have to come out.
    accepted: BTreeSet<u64>,
    /// The latest number that came out.
    latest_out: Option<u64>,
}

/// The naive buffer: everything is kept, and everything is searched.
struct Model {
    setting: Setting,
    next: Option<u64>,
    /// Waiting: when each came.
    waiting: BTreeMap<u64, Instant>,
    /// All that came and does not wait.
    had: BTreeSet<u64>,
    giving_up: bool,
}

impl Model {
    fn new(setting: Setting) -> Self {
        let (waiting, had) = (BTreeMap::new(), BTreeSet::new());
        Self { setting, next: None, waiting, had, giving_up: false }
    }

    fn push(&mut self, now: Instant, seq: u64) -> Arrival {
        let next = *self.next.get_or_insert(seq);
        if seq < next {
            let highest = *self.had.last().expect("the first one came");
            if highest.saturating_sub(seq) >= self.setting.remembered as u64 {
                return Arrival::TooOld;
            }
            return if self.had.insert(seq) { Arrival::Late } else { Arrival::Duplicate };
        }
        if seq == next {
            self.pass(seq);
            return Arrival::Next { reordered: !self.waiting.is_empty() };
        }
        if self.waiting.contains_key(&seq) {
            return Arrival::Duplicate;
        }
        if self.is_full() {
            return Arrival::Overflow;
        }
        let reordered = self.waiting.range(seq..).next().is_some();
        self.waiting.insert(seq, now);
        Arrival::Stored { reordered }
    }

    fn pass(&mut self, seq: u64) {
        self.had.insert(seq);
        self.next = Some(seq + 1);
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.setting.capacity
    }

    /// Whether a hole may be given up now, and until when it has to be: since when the packets behind
    /// it wait decides.
    fn deadlines(&self) -> Option<(Instant, Instant)> {
        let overtaken = *self.waiting.values().min()?;
        let after = |ms| overtaken + Duration::from_millis(ms);
        Some((after(self.setting.min_wait_ms), after(self.setting.max_wait_ms)))
    }
}

impl Pair {
    fn new(setting: Setting) -> Self {
        let now = Clock::new().now();
        let wait = Duration::from_millis;
        let patience = Patience::new(wait(setting.min_wait_ms), wait(setting.max_wait_ms));
        Self {
            buffer: JitterBuffer::new(setting.capacity, setting.remembered, patience),
            model: Model::new(setting),
            now,
            highest: None,
            accepted: BTreeSet::new(),
            latest_out: None,
        }
    }

    fn push(&mut self, seq: u64) {
        self.highest = self.highest.max(Some(seq));
        let payload = payload(seq);
        let payload_type = PayloadType::new(0).expect("below 128");
        let packet =
            Packet { seq: ExtSeq(seq), ts: ExtTs(timestamp(seq)), payload_type, payload: &payload };
        let arrival = self.buffer.push(self.now, packet);
        assert_eq!(arrival, self.model.push(self.now, seq), "packet {seq}");
        match arrival {
            Arrival::Next { .. } => self.came_out(seq),
            Arrival::Stored { .. } => assert!(self.accepted.insert(seq), "{seq} is there twice"),
            Arrival::Overflow => panic!("a drained buffer has room"),
            Arrival::Late | Arrival::Duplicate | Arrival::TooOld => {}
        }
        assert_eq!(self.buffer.waiting(), self.model.waiting.len());
    }

    fn came_out(&mut self, seq: u64) {
        assert!(self.latest_out < Some(seq), "{seq} after {:?}", self.latest_out);
        self.latest_out = Some(seq);
    }

    fn drain(&mut self) {
        loop {
            let next = self.model.next;
            let first = self.model.waiting.first_key_value().map(|(&seq, _)| seq);
            let is_next = first.is_some() && first == next;
            assert_eq!(self.buffer.peek().map(|stored| stored.seq.0), first.filter(|_| is_next));
            match self.buffer.pop(self.now) {
                Popped::Empty => {
                    assert_eq!(first, None);
                    return;
                }
                Popped::Packet(stored) => {
                    let seq = stored.seq.0;
                    assert_eq!((is_next, Some(seq)), (true, first), "it is not its turn");
                    assert_eq!(Some(stored.arrived), self.model.waiting.remove(&seq));
                    assert_eq!(stored.ts, ExtTs(timestamp(seq)));
                    assert_eq!(stored.payload, payload(seq));
                    assert!(self.accepted.remove(&seq));
                    self.model.pass(seq);
                    self.came_out(seq);
                    self.buffer.recycle(stored);
                }
                Popped::Hole { packets, until } => {
                    let (first, next) = (first.expect("one waits"), next.expect("it began"));
                    assert_eq!((packets, until), (first - next, ExtTs(timestamp(first))));
                    assert!(packets > 0, "no hole");
                    let (earliest, _) = self.model.deadlines().expect("one waits");
                    let must = self.model.is_full() || self.model.giving_up;
                    assert!(must || earliest <= self.now, "it was to wait");
                    self.model.next = Some(first);
                }
                Popped::Wait(until) => {
                    let (earliest, latest) = self.model.deadlines().expect("one waits");
                    assert!(!is_next && !self.model.is_full() && !self.model.giving_up);
                    assert!((earliest..=latest).contains(&until));
                    assert!(until > self.now, "there is nothing to wait for");
                    return;
                }
            }
        }
    }

    fn restart(&mut self) {
        self.buffer.restart();
        self.model = Model::new(self.model.setting);
        self.accepted.clear();
        (self.highest, self.latest_out) = (None, None);
        assert_eq!((self.buffer.waiting(), self.buffer.peek()), (0, None));
    }

    /// All that was taken in comes out, at the latest when nobody waits any more.
    fn finish(mut self) {
        self.now += Duration::from_millis(self.model.setting.max_wait_ms);
        self.drain();
        assert!(self.accepted.is_empty(), "{:?} did not come out", self.accepted);
    }
}

/// Of various lengths, as the buffers that are used again have to hold.
fn payload(seq: u64) -> Vec<u8> {
    let length = usize::try_from(seq % 37).expect("it is small");
    seq.to_be_bytes().into_iter().cycle().take(8 + length).collect()
}

fn timestamp(seq: u64) -> u64 {
    seq * 160
}
