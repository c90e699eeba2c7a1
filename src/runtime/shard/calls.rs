use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Weak};
use std::time::Instant;

use mio::{Registry, Token};
use slab::Slab;

use super::census::Census;
use super::lookahead::{LEAD, look_ahead};
use super::phases::{Phases, STEP};
use super::stream::{Stream, Taken};
use super::{ShardCommand, ShardCommands, ShardParts};
use crate::call::{CallId, EndReason};
use crate::engine::{Command, Engine, Input, Workbench};
use crate::media::Rejected;
use crate::runtime::demultiplexer::Demultiplexer;
use crate::runtime::directory::EventSink;
use crate::runtime::lateness::Lateness;
use crate::runtime::listeners::Registration;
use crate::runtime::metrics::Totals;
use crate::runtime::timers::{Key, Timers};
use crate::runtime::udp::{Datagram, ReceiveBatch, SendBatch};

/// Bytes of a stream that are read at once: 200 ms of `slin48`.
const STREAM_READ_BYTES: usize = 20_480;

/// Calls that a shard has slots for from the beginning, of which the kernel gives the memory when it
/// is first used. More slots are more than all of them, and the former ones are moved there while
/// every call waits.
const RESERVED_CALLS: usize = 4_096;

/// The calls of one shard.
pub(super) struct Calls {
    pub(super) parts: ShardParts,
    pub(super) registry: Registry,
    /// The way to the processors of a call, from any thread.
    pub(super) ring: Arc<dyn Fn(CallId) + Send + Sync>,
    pub(super) slots: Slab<Slot>,
    /// Of each slot.
    pub(super) turns: Vec<Turn>,
    pub(super) by_id: HashMap<CallId, usize>,
    pub(super) peers: Demultiplexer,
    pub(super) serial: u64,
    pub(super) stopping: bool,
    pub(super) phases: Phases,
    pub(super) timers: Timers,
    pub(super) workbench: Workbench,
    pub(super) sending: SendBatch<Key>,
    stream_buffer: Box<[u8]>,
    /// Slots of a batch's datagrams.
    found: Vec<Option<usize>>,
    /// Streams that may hold input.
    readable: Vec<Readable>,
    due: Vec<Due>,
    pub(super) unsent: Vec<Key>,
    pub(super) totals: Totals,
    pub(super) census: Census,
    /// What of its lateness was looked at.
    pub(super) seen: Lateness,
}

/// One call: what every packet needs, in as few cache lines as that takes.
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) key: Key,
    pub(super) engine: Engine,
    /// The phase is the one that suits the audio that comes.
    pub(super) settled: bool,
    pub(super) peer: Option<SocketAddr>,
    pub(super) stream: Option<Box<Stream>>,
    pub(super) rest: Box<Rest>,
}

/// When a call is to be driven. Apart from the call, so that a timer costs no look at one that was
/// driven meanwhile, and small: all of them stay in the caches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Whose it is, as [`Key`] has it.
    serial: u64,
    /// When the engine wants to be driven, where nothing comes before.
    pub(super) wake: Option<Instant>,
    /// The earliest of its timers.
    scheduled: Option<Instant>,
}

/// What a call has that packets do not need.
pub(super) struct Rest {
    pub(super) began: Instant,
    pub(super) phase: usize,
    pub(super) events: Option<EventSink>,
    pub(super) _recording_events: Option<Registration>,
}

/// A timer that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    to_drive: Option<usize>,
}

/// A stream that may hold input.
#[derive(Clone, Copy, Debug)]
struct Readable {
    slot: usize,
    /// The peer has closed it: its end is behind what it holds.
    closing: bool,
}

impl Turn {
    /// That of nobody.
    pub(super) const NONE: Self = Self { serial: 0, wake: None, scheduled: None };

    /// Sees to a timer of its call for the next wake-up, where none comes before.
    pub(super) fn schedule(&mut self, timers: &mut Timers, slot: usize) {
        if let Some(at) = self.wake
            && self.scheduled.is_none_or(|scheduled| at < scheduled)
        {
            self.scheduled = Some(timers.schedule(at, Key { slot, serial: self.serial }));
        }
    }
}

impl Calls {
    pub(super) fn new(
        parts: ShardParts,
        registry: Registry,
        commands: Weak<ShardCommands>,
    ) -> Self {
        let origin = parts.clock.now();
        let ring = move |call| {
            // Where nobody commands the shard any more, it ends its calls.
            if let Some(commands) = commands.upgrade() {
                commands.send(ShardCommand::Call(call, Command::Wake));
            }
        };
        Self {
            parts,
            registry,
            ring: Arc::new(ring),
            slots: Slab::with_capacity(RESERVED_CALLS),
            turns: Vec::with_capacity(RESERVED_CALLS),
            by_id: HashMap::with_capacity(RESERVED_CALLS),
            peers: Demultiplexer::new(),
            serial: 0,
            stopping: false,
            phases: Phases::new(origin),
            timers: Timers::new(origin, STEP),
            workbench: Workbench::default(),
            sending: SendBatch::new(),
            stream_buffer: vec![0; STREAM_READ_BYTES].into(),
            found: Vec::new(),
            readable: Vec::new(),
            due: Vec::new(),
            unsent: Vec::new(),
            totals: Totals::default(),
            census: Census::default(),
            seen: Lateness::default(),
        }
    }

    /// The shard's UDP port.
    pub(super) fn port(&self) -> BorrowedFd<'_> {
        self.parts.socket.as_fd()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// When the first of the calls must be driven.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn handle_command(&mut self, command: ShardCommand) {
        let now = self.parts.clock.now();
        match command {
            ShardCommand::OpenRtp(spec) => {
                self.open_rtp(now, spec);
            }
            ShardCommand::OpenStream { spec, stream, permit } => {
                self.open_stream(now, spec, stream, permit);
            }
            ShardCommand::Call(call, command) => {
                let Some(&slot) = self.by_id.get(&call) else { return };
                if let Command::SetPeer(peer) = command {
                    self.lock_to(slot, peer);
                }
                self.drive(now, slot, Input::Command(command));
            }
            ShardCommand::Stop => self.stop(now),
        }
    }

    /// Ends every call, and those that come from now on.
    fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let slots: Vec<_> = self.slots.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.drive(now, slot, Input::Command(Command::End(EndReason::ShuttingDown)));
        }
    }

    /// Hands the datagrams of a batch to their calls, and answers how many of those are new.
    pub(super) fn handle_datagrams(&mut self, batch: &ReceiveBatch) -> usize {
        let now = self.parts.clock.now();
        let before = self.serial;
        self.totals.overruns = batch.overruns();
        let mut found = std::mem::take(&mut self.found);
        self.peers.find_all(batch.senders(), &mut found);
        let mut datagrams = batch.iter();
        for step in 0..found.len() + LEAD {
            look_ahead(&self.slots, step, |turn| found.get(turn).copied().flatten());
            let turn = step.checked_sub(LEAD);
            if let Some((datagram, slot)) =
                turn.and_then(|turn| datagrams.next().zip(found.get(turn)))
                && let Err(reason) = self.handle_datagram(now, datagram, *slot)
            {
                self.totals.stray.count(reason);
            }
        }
        self.found = found;
        (self.serial - before) as usize
    }

    /// Hands a datagram to the call whose slot was `found`, or to a new one. Where another call has
    /// that slot meanwhile, its leg refuses it.
    fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: Datagram<'_>,
        found: Option<usize>,
    ) -> Result<(), Rejected> {
        let Datagram { from, bytes, truncated, .. } = datagram;
        if truncated {
            return Err(Rejected::Malformed);
        }
        let slot = match found.or_else(|| self.peers.find(&from)) {
            Some(slot) => slot,
            None => self.admit(now, from, bytes)?,
        };
        self.drive(now, slot, Input::Datagram { from, bytes });
        self.settle(now, slot);
        Ok(())
    }

    /// Lets a call have its ticks right behind its audio, once the first of that has come.
    fn settle(&mut self, now: Instant, index: usize) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| !slot.settled) else { return };
        if slot.engine.counters().packets_received > 0 {
            slot.settled = true;
            slot.rest.phase = self.phases.move_behind(now, slot.rest.phase);
            slot.engine.set_ticks(now, self.phases.moment(slot.rest.phase));
            self.drive(now, index, Input::Timeout);
        }
    }

    /// Takes note that the stream of a slot has input, or its end behind the input.
    pub(super) fn is_readable(&mut self, Token(slot): Token, closing: bool) {
        self.readable.push(Readable { slot, closing });
    }

    /// Reads once from each stream that has input, and hands that to its call; true where there may
    /// be more.
    pub(super) fn read_streams(&mut self) -> bool {
        let mut buffer = std::mem::take(&mut self.stream_buffer);
        let mut readable = std::mem::take(&mut self.readable);
        let mut left = 0;
        for step in 0..readable.len() + LEAD {
            look_ahead(&self.slots, step, |turn| readable.get(turn).map(|readable| readable.slot));
            if let Some(turn) = step.checked_sub(LEAD)
                && self.read_stream(readable[turn], &mut buffer)
            {
                readable[left] = readable[turn];
                left += 1;
            }
        }
        readable.truncate(left);
        (self.stream_buffer, self.readable) = (buffer, readable);
        left > 0
    }

    /// Reads once; true where there may be more.
    fn read_stream(
        &mut self,
        Readable { slot: index, closing }: Readable,
        buffer: &mut [u8],
    ) -> bool {
        // A call may have ended since.
        let stream = self.slots.get_mut(index).and_then(|slot| slot.stream.as_mut());
        let Some(stream) = stream else { return false };
        let taken = stream.read(buffer);
        let now = self.parts.clock.now();
        match taken {
            Taken::All(0) => false,
            Taken::All(length) | Taken::Some(length) => {
                self.drive(now, index, Input::Stream(&buffer[..length]));
                self.settle(now, index);
                closing || taken == Taken::Some(length)
            }
            Taken::Closed => {
                self.drive(now, index, Input::StreamClosed);
                false
            }
        }
    }

    /// Drives the calls whose time has come, and sends all that waits.
    pub(super) fn run_timers(&mut self) {
        let now = self.parts.clock.now();
        let mut due = std::mem::take(&mut self.due);
        while self.take_due(now, &mut due) {
            // Ticks of the same moment are sent together.
            let (mut moment, mut ticks) = (now, 0);
            for step in 0..due.len() + LEAD {
                look_ahead(&self.slots, step, |turn| due.get(turn)?.to_drive);
                let Some(Due { at, to_drive }) = step.checked_sub(LEAD).map(|turn| due[turn])
                else {
                    continue;
                };
                if at != moment {
                    self.sent(moment, std::mem::take(&mut ticks));
                    moment = at;
                }
                ticks += 1;
                if let Some(slot) = to_drive {
                    self.drive(now, slot, Input::Timeout);
                }
            }
            self.sent(moment, ticks);
        }
        self.due = due;
        self.flush();
    }

    /// Takes the timers that are due at `now`; false where there are none.
    fn take_due(&mut self, now: Instant, due: &mut Vec<Due>) -> bool {
        due.clear();
        while let Some((at, key)) = self.timers.pop_due(now) {
            let turn = &mut self.turns[key.slot];
            if turn.serial != key.serial {
                continue;
            }
            if turn.scheduled == Some(at) {
                turn.scheduled = None;
            }
            // Where the tick was due when audio came, that has driven the call.
            let is_due = turn.wake.is_some_and(|wake| wake <= now);
            if !is_due {
                turn.schedule(&mut self.timers, key.slot);
            }
            due.push(Due { at, to_drive: is_due.then_some(key.slot) });
        }
        !due.is_empty()
    }

    /// Sends all datagrams that wait, after `ticks` that were due at `moment`.
    fn sent(&mut self, moment: Instant, ticks: u64) {
        self.flush();
        if ticks > 0 {
            let late = self.parts.clock.now().saturating_duration_since(moment);
            self.totals.lateness.count(late, ticks);
        }
    }

    /// Sends all datagrams that wait.
    fn flush(&mut self) {
        self.sending.send(self.parts.socket.as_fd(), |key| self.unsent.push(key));
        while let Some(key) = self.unsent.pop() {
            if let Some(slot) = self.slots.get_mut(key.slot).filter(|slot| slot.key == key) {
                slot.engine.handle_input(self.parts.clock.now(), Input::TransmitFailed);
            }
        }
    }

    /// Gives a slot to the call with this serial number, which has not been driven yet.
    pub(super) fn give_turns(&mut self, Key { slot, serial }: Key) {
        if slot >= self.turns.len() {
            self.turns.resize(slot + 1, Turn::NONE);
        }
        self.turns[slot] = Turn { serial, ..Turn::NONE };
    }
}
