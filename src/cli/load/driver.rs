use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use thiserror::Error;

use super::caller::Caller;
use super::impairment::{Fate, Impairment};
use super::lines::{Event, LineError, Lines, Opened};
use super::plan::Plan;
use super::process::{Process, ProcessError, Usage};
use super::progress::Progress;
use super::ring::Ring;
use super::speech::Speech;
use super::stopwatch::Stopwatch;
use super::tally::{Packets, Tally};
use super::{DRAIN, FRAME_SLOTS, OPEN_LIMIT, SLOT};
use crate::runtime::Clock;

/// How long after the first packet an answer must have come.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long all calls are up before it is measured.
const SETTLE: Duration = Duration::from_millis(500);

/// How long lines may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// By how much sending may be behind before it is given up.
const BEHIND_LIMIT: Duration = Duration::from_secs(2);

/// Frames for which the clock is read once: as many as one system call sends.
const STAMPED_TOGETHER: usize = 32;

/// Why a run has no figures.
#[derive(Debug, Error)]
pub(super) enum DriveError {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("no call could be set up: {0}")]
    SetUp(#[source] io::Error),
    #[error("nothing came back within {ANSWER_LIMIT:?}")]
    NothingAnswers,
    #[error(
        "this machine cannot make so much load: sending is {behind:?} behind with {calls} calls"
    )]
    Behind { behind: Duration, calls: u64 },
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// What a run has found.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// Packets of the time that was measured.
    pub(super) packets: Packets,
    /// How long was measured.
    pub(super) measured: Duration,
    /// How long it took to set up all calls.
    pub(super) set_up: Duration,
    pub(super) overruns: u64,
    pub(super) own: Usage,
    pub(super) server: Option<Usage>,
}

/// Plays the callers of a run: one thread, which sends what is due in each slot, then receives what
/// has come, then waits for the next slot.
pub(super) struct Driver<'a, L> {
    plan: &'a Plan,
    speech: &'a Speech,
    lines: L,
    watch: Stopwatch,
    progress: Progress,
    slot: u64,
    calls: Ring<Box<Call>>,
    /// Numbers of the calls that talk, by the slot of the frame's time in which they do.
    talking: [Vec<u32>; FRAME_SLOTS],
    /// Calls whose line is being set up, and when each was begun.
    opening: VecDeque<(u64, u32)>,
    /// Calls that have talked, and until when each is listened to.
    listening: VecDeque<(u64, u32)>,
    /// Packets that leave late, by slot modulo the count of these.
    delayed: Vec<Vec<(u32, u32)>>,
    impairment: Impairment,
    first_begun: u32,
    next_number: u32,
    /// The slot of the first packet.
    first_sent: Option<u64>,
    /// Nobody says anything any more.
    is_over: bool,
    tally: Tally,
    failure: Option<io::Error>,
}

struct Call {
    caller: Caller,
    /// Its place in [`Driver::talking`].
    phase: usize,
    stage: Stage,
    /// Frames that it says in all.
    frames: u32,
    /// The slot in which it was begun.
    begun: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Opening,
    Talking,
    Listening,
}

impl<'a, L: Lines> Driver<'a, L> {
    pub(super) fn new(plan: &'a Plan, speech: &'a Speech, lines: L, clock: Clock) -> Self {
        let delays = plan.impairment.most_slots() as usize + 1;
        Self {
            plan,
            speech,
            lines,
            watch: Stopwatch::start(clock),
            progress: Progress::default(),
            slot: 0,
            calls: Ring::new(plan.numbers()),
            talking: Default::default(),
            opening: VecDeque::new(),
            listening: VecDeque::new(),
            delayed: vec![Vec::new(); delays],
            impairment: plan.impairment.clone(),
            first_begun: 0,
            next_number: 0,
            first_sent: None,
            is_over: false,
            tally: Tally::new(),
            failure: None,
        }
    }

    /// Does what the plan says, and measures `server` meanwhile.
    ///
    /// # Errors
    /// [`DriveError`] where there would be no figures.
    pub(super) fn run(mut self, server: Option<Process>) -> Result<Outcome, DriveError> {
        let mut own = Usage::new(Process::own());
        let mut server = server.map(Usage::new);
        let mut read = || -> Result<(), ProcessError> {
            own.read()?;
            server.as_mut().map_or(Ok(()), Usage::read)
        };
        read()?;
        while self.first_begun < self.plan.calls || !self.opening.is_empty() {
            self.advance()?;
        }
        let set_up = time_of(self.slot);
        if self.tally.calls.failed == u64::from(self.plan.calls)
            && let Some(error) = self.failure.take()
        {
            return Err(DriveError::SetUp(error));
        }
        self.advance_for(SETTLE)?;
        read()?;
        let (from, before) = (self.watch.now(), self.tally.packets);
        self.tally.is_measuring = true;
        self.advance_for(self.plan.duration)?;
        self.tally.is_measuring = false;
        let measured = self.watch.now() - from;
        let packets = self.tally.packets.since(&before);
        read()?;
        self.stop_talking();
        self.advance_for(DRAIN)?;
        while let Some((_, number)) = self.listening.pop_front() {
            self.finish(number);
        }
        let limit = self.slot + slots(CLOSE_LIMIT);
        while self.lines.is_closing() && self.slot < limit {
            self.advance()?;
        }
        let overruns = self.lines.overruns();
        Ok(Outcome { tally: self.tally, packets, measured, set_up, overruns, own, server })
    }

    fn advance_for(&mut self, time: Duration) -> Result<(), DriveError> {
        for _ in 0..slots(time) {
            self.advance()?;
        }
        Ok(())
    }

    /// Does what is due in one slot.
    fn advance(&mut self) -> Result<(), DriveError> {
        let due = time_of(self.slot);
        self.watch.sleep_until(due);
        self.begin_calls()?;
        self.talk(due)?;
        self.tally.packets.unsent += self.lines.flush();
        self.listen()?;
        self.end_calls();
        self.slot += 1;
        if self.slot.is_multiple_of(slots(Duration::from_secs(1))) {
            self.watch.compare();
            let running = self.talking.iter().map(Vec::len).sum();
            self.progress.tell(self.slot, running, self.plan.calls, &mut self.tally);
        }
        self.check(due)
    }

    fn check(&self, due: Duration) -> Result<(), DriveError> {
        let since = self.first_sent.map_or(0, |slot| self.slot - slot);
        if self.tally.packets.received == 0 && since >= slots(ANSWER_LIMIT) {
            return Err(DriveError::NothingAnswers);
        }
        let behind = self.watch.now().saturating_sub(due);
        if behind > BEHIND_LIMIT {
            let calls = self.tally.calls.begun - self.tally.calls.ended;
            return Err(DriveError::Behind { behind, calls });
        }
        Ok(())
    }

    /// Begins those of the first calls that are due.
    fn begin_calls(&mut self) -> Result<(), DriveError> {
        while self.first_begun < self.plan.begun_by(self.slot) {
            let index = self.first_begun;
            self.first_begun += 1;
            self.begin(index as usize % FRAME_SLOTS, self.plan.first_frames(index))?;
        }
        Ok(())
    }

    /// Begins a call, which talks as soon as its line is there.
    fn begin(&mut self, phase: usize, frames: u32) -> Result<(), DriveError> {
        let number = self.next_number;
        self.next_number += 1;
        self.tally.calls.begun += 1;
        let stage = match self.lines.open(number)? {
            Opened::Now => {
                self.talking[phase].push(number);
                Stage::Talking
            }
            Opened::Later => {
                self.opening.push_back((self.slot, number));
                Stage::Opening
            }
        };
        let caller = Caller::new(number, self.speech, self.plan.relayed);
        let begun = self.slot;
        self.calls.insert(number, Box::new(Call { caller, phase, stage, frames, begun }));
        Ok(())
    }

    /// Sends the frames that are due.
    fn talk(&mut self, due: Duration) -> Result<(), DriveError> {
        let phase = (self.slot % FRAME_SLOTS as u64) as usize;
        let mut stamps = Stamps::new(self.watch, due);
        let delayed = (self.slot % self.delayed.len() as u64) as usize;
        let mut late = std::mem::take(&mut self.delayed[delayed]);
        for (number, frame) in late.drain(..) {
            self.send(number, frame, &mut stamps);
        }
        self.delayed[delayed] = late;
        let mut index = 0;
        while let Some(&number) = self.talking[phase].get(index) {
            let call = self.calls.get_mut(number).expect("a call that talks is there");
            if call.caller.frames() >= call.frames {
                call.stage = Stage::Listening;
                self.talking[phase].swap_remove(index);
                self.listening.push_back((self.slot + slots(DRAIN), number));
                // It talks in this slot, for it comes last.
                self.begin(phase, self.plan.frames())?;
                continue;
            }
            let frame = call.caller.speak();
            match self.impairment.next() {
                Fate::Sent { delay_slots: 0 } => self.send(number, frame, &mut stamps),
                Fate::Sent { delay_slots } => {
                    let slot = self.slot + u64::from(delay_slots);
                    let count = self.delayed.len() as u64;
                    self.delayed[(slot % count) as usize].push((number, frame));
                }
                Fate::Lost => self.tally.packets.withheld += 1,
            }
            index += 1;
        }
        Ok(())
    }

    fn send(&mut self, number: u32, frame: u32, stamps: &mut Stamps) {
        let Some(call) = self.calls.get_mut(number) else { return };
        let (now, late) = stamps.next();
        call.caller.note_sent(frame, now);
        self.lines.send(number, frame, call.caller.frame(frame, self.speech));
        self.tally.packets.sent += 1;
        self.first_sent.get_or_insert(self.slot);
        if self.tally.is_measuring {
            self.tally.lateness.record(late);
        }
    }

    /// Takes what has come.
    fn listen(&mut self) -> Result<(), DriveError> {
        let Self { lines, watch, calls, talking, listening, tally, speech, failure, .. } = self;
        let (slot, is_over) = (self.slot, self.is_over);
        lines.receive(watch, |number, event| {
            let Some(call) = calls.get_mut(number) else { return };
            match event {
                Event::Answer(answer) => call.caller.hear(&answer, speech, tally),
                Event::Foreign => tally.packets.foreign += 1,
                // It came too late to say anything.
                Event::Opened if is_over => {
                    call.stage = Stage::Listening;
                    listening.push_front((slot, number));
                }
                Event::Opened => {
                    tally.set_up.record(time_of(slot - call.begun));
                    call.stage = Stage::Talking;
                    talking[call.phase].push(number);
                }
                Event::Failed(error) => {
                    let Some(call) = calls.remove(number) else { return };
                    if call.stage == Stage::Listening {
                        // Nobody has to wait for who says nothing.
                        return call.caller.finish(speech, tally);
                    }
                    talking[call.phase].retain(|it| *it != number);
                    tally.calls.failed += 1;
                    failure.get_or_insert(error);
                }
            }
        })?;
        Ok(())
    }

    /// Ends calls that have been listened to for long enough, and gives up those whose line does
    /// not come.
    fn end_calls(&mut self) {
        while let Some((_, number)) = self.listening.pop_front_if(|(until, _)| *until <= self.slot)
        {
            self.finish(number);
        }
        while let Some((begun, number)) = self.opening.front().copied() {
            if self.calls.get_mut(number).is_some_and(|call| call.stage == Stage::Opening) {
                if begun + slots(OPEN_LIMIT) > self.slot {
                    break;
                }
                self.calls.remove(number);
                self.lines.hang_up(number);
                self.tally.calls.failed += 1;
                self.failure.get_or_insert(io::ErrorKind::TimedOut.into());
            }
            self.opening.pop_front();
        }
    }

    /// Lets every call listen only.
    fn stop_talking(&mut self) {
        self.is_over = true;
        for number in self.talking.iter_mut().flat_map(std::mem::take) {
            if let Some(call) = self.calls.get_mut(number) {
                call.stage = Stage::Listening;
                self.listening.push_back((self.slot + slots(DRAIN), number));
            }
        }
    }

    fn finish(&mut self, number: u32) {
        if let Some(call) = self.calls.remove(number) {
            self.lines.hang_up(number);
            call.caller.finish(self.speech, &mut self.tally);
        }
    }
}

/// Reads the clock once for the frames that leave together.
struct Stamps {
    watch: Stopwatch,
    due: Duration,
    now: Duration,
    count: usize,
}

impl Stamps {
    fn new(watch: Stopwatch, due: Duration) -> Self {
        Self { watch, due, now: Duration::ZERO, count: 0 }
    }

    /// When the next frame leaves, and how late that is.
    fn next(&mut self) -> (Duration, Duration) {
        if self.count.is_multiple_of(STAMPED_TOGETHER) {
            self.now = self.watch.now();
        }
        self.count += 1;
        (self.now, self.now.saturating_sub(self.due))
    }
}

/// When a slot begins.
fn time_of(slot: u64) -> Duration {
    Duration::from_nanos(slot.saturating_mul(SLOT.as_nanos() as u64))
}

/// Slots in `time`, one at least.
fn slots(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() / SLOT.as_nanos()).unwrap_or(u64::MAX).max(1)
}
