//! A model of Asterisk around one call machine.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use sidetone::ari::{CallMachine, Command, Input, OnEnd, Reply, Request};
use sidetone::call::EndReason;
use sidetone::runtime::Clock;

/// What becomes of a request on its way to Asterisk and back.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Carried,
    /// Carried out, but the answer is lost.
    Unanswered,
    /// Not carried out, and answered so or not at all.
    Failed,
    /// The answer is given up, then it is carried out all the same.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// One of the requests under way meets its fate.
    Carry(usize, Fate),
    /// One of the answers arrives.
    Answer(usize),
    /// The next event arrives.
    Event,
    CallerHangsUp,
    ExternalDies,
    BridgeDies,
    MediaEnds,
    /// A processor sends the caller on.
    Transfers,
    End,
    /// The next thing that the machine waits for is due.
    Tick,
    /// Something given up is carried out.
    CarryLate,
    /// The event stream is lost with all that is on it, and is back with a look at the lists.
    StreamCut,
}

/// More failures than this could exhaust the tries of one removal, after which it is left to the
/// reconciliation.
const MAX_FAILURES: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Existence {
    Never,
    There,
    Gone,
}

pub struct World {
    pub now: Instant,
    pub machine: CallMachine,
    caller_in_app: bool,
    external: Existence,
    bridge: Existence,
    pub under_way: Vec<Request>,
    pub answers: Vec<(Request, Reply)>,
    late: Vec<Request>,
    pub events: VecDeque<Input>,
    failures: usize,
    entered_told: bool,
    bridge_told: bool,
    media_ended_itself: bool,
    ends: usize,
    /// The place that a processor names is in the dialplan.
    has_place: bool,
    failed_transfers: usize,
    pub peers: usize,
}

fn is_removal(request: Request) -> bool {
    use Request::{ContinueCaller, HangupCaller, RemoveBridge, RemoveExternal, TransferCaller};
    let of_caller = matches!(request, HangupCaller | ContinueCaller | TransferCaller);
    of_caller || matches!(request, RemoveExternal | RemoveBridge)
}

impl World {
    pub fn new(on_end: OnEnd, stranded: OnEnd, has_place: bool) -> Self {
        let now = Clock::new().now();
        let mut world = Self {
            now,
            machine: CallMachine::new(now, on_end, stranded),
            caller_in_app: true,
            external: Existence::Never,
            bridge: Existence::Never,
            under_way: Vec::new(),
            answers: Vec::new(),
            late: Vec::new(),
            events: VecDeque::new(),
            failures: 0,
            entered_told: false,
            bridge_told: false,
            media_ended_itself: false,
            ends: 0,
            has_place,
            failed_transfers: 0,
            peers: 0,
        };
        world.obey();
        world
    }

    pub fn tell(&mut self, input: Input) {
        if self.machine.is_finished() {
            // The session has forgotten the call; an external channel that comes now is removed.
            if input == Input::ExternalEntered && self.external == Existence::There {
                self.external = Existence::Gone;
            }
            return;
        }
        self.machine.handle(self.now, input);
        self.obey();
    }

    fn obey(&mut self) {
        while let Some(command) = self.machine.poll_command() {
            match command {
                Command::SetPeer(_) => self.peers += 1,
                Command::TransferFailed => self.failed_transfers += 1,
                Command::EndMedia(_) => {
                    assert!(!self.media_ended_itself, "media that has ended is ended again");
                    self.ends += 1;
                }
                Command::Ask(request) => {
                    assert!(
                        !self.under_way.contains(&request)
                            && !self.answers.iter().any(|(asked, _)| *asked == request),
                        "{request:?} is asked twice at once"
                    );
                    let ending = self.ends > 0 || self.media_ended_itself;
                    assert!(!ending || is_removal(request), "{request:?} after the end");
                    match request {
                        Request::JoinCaller => assert!(self.bridge_told),
                        Request::JoinExternal => assert!(self.bridge_told && self.entered_told),
                        _ => {}
                    }
                    self.under_way.push(request);
                }
            }
        }
    }

    fn carry_out(&mut self, request: Request) -> Reply {
        let done = Reply::Done { peer: None };
        let bridged = self.bridge == Existence::There;
        match request {
            Request::AnswerCaller if self.caller_in_app => done,
            Request::JoinCaller if bridged && self.caller_in_app => done,
            Request::JoinExternal if bridged && self.external == Existence::There => done,
            Request::JoinCaller | Request::JoinExternal => Reply::Failed,
            Request::CreateBridge => {
                self.bridge = Existence::There;
                done
            }
            Request::CreateExternal => {
                self.external = Existence::There;
                self.events.push_back(Input::ExternalEntered);
                Reply::Done { peer: Some(SocketAddr::from(([127, 0, 0, 1], 4000))) }
            }
            Request::TransferCaller if self.caller_in_app && !self.has_place => Reply::Refused,
            Request::HangupCaller | Request::ContinueCaller | Request::TransferCaller
                if self.caller_in_app =>
            {
                self.caller_in_app = false;
                self.events.push_back(Input::CallerGone);
                done
            }
            Request::RemoveExternal if self.external == Existence::There => {
                self.external = Existence::Gone;
                self.events.push_back(Input::ExternalGone);
                done
            }
            Request::RemoveBridge if self.bridge == Existence::There => {
                self.bridge = Existence::Gone;
                done
            }
            _ => Reply::Absent,
        }
    }

    pub fn carry(&mut self, index: usize, fate: Fate) {
        if self.under_way.is_empty() {
            return;
        }
        let request = self.under_way.remove(index % self.under_way.len());
        let failing = !matches!(fate, Fate::Carried);
        let fate = if failing && self.failures >= MAX_FAILURES { Fate::Carried } else { fate };
        self.failures += usize::from(failing);
        let reply = match fate {
            Fate::Carried => self.carry_out(request),
            Fate::Unanswered => {
                self.carry_out(request);
                Reply::Failed
            }
            Fate::Failed => Reply::Failed,
            Fate::Late => {
                // A bridge that comes so late is seen by nobody before the next reconciliation.
                if request == Request::CreateExternal {
                    self.late.push(request);
                }
                Reply::Failed
            }
        };
        self.answers.push((request, reply));
    }

    pub fn answer(&mut self, index: usize) {
        if self.answers.is_empty() {
            return;
        }
        let (request, reply) = self.answers.remove(index % self.answers.len());
        if request == Request::CreateBridge && matches!(reply, Reply::Done { .. }) {
            self.bridge_told = true;
        }
        self.tell(Input::Reply(request, reply));
    }

    pub fn event(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.entered_told |= event == Input::ExternalEntered;
            self.tell(event);
        }
    }

    pub fn tick(&mut self) {
        if let Some(due) = self.machine.wake() {
            self.now = self.now.max(due);
            self.tell(Input::Timeout);
        }
    }

    fn stream_cut(&mut self) {
        self.events.clear();
        let settled = self.machine.is_up();
        if self.external == Existence::There {
            self.entered_told = true;
            self.tell(Input::ExternalEntered);
        } else if settled {
            self.tell(Input::ExternalGone);
        }
        if settled && !self.caller_in_app {
            self.tell(Input::CallerGone);
        }
        if settled && self.bridge != Existence::There {
            self.tell(Input::BridgeGone);
        }
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Carry(index, fate) => self.carry(index, fate),
            Step::Answer(index) => self.answer(index),
            Step::Event => self.event(),
            Step::CallerHangsUp if self.caller_in_app => {
                self.caller_in_app = false;
                self.events.push_back(Input::CallerGone);
            }
            Step::ExternalDies if self.external == Existence::There => {
                self.external = Existence::Gone;
                self.events.push_back(Input::ExternalGone);
            }
            Step::BridgeDies if self.bridge == Existence::There => {
                self.bridge = Existence::Gone;
                self.events.push_back(Input::BridgeGone);
            }
            Step::MediaEnds => self.media_ends(EndReason::NoMedia),
            Step::Transfers => self.media_ends(EndReason::Transferred),
            Step::End => self.tell(Input::End(EndReason::Requested)),
            Step::Tick => self.tick(),
            Step::CarryLate => {
                if let Some(request) = self.late.pop() {
                    self.carry_out(request);
                }
            }
            Step::StreamCut => self.stream_cut(),
            Step::CallerHangsUp | Step::ExternalDies | Step::BridgeDies => {}
        }
    }

    fn media_ends(&mut self, reason: EndReason) {
        // The media side tells once, whoever has ended it.
        if !std::mem::replace(&mut self.media_ended_itself, true) {
            self.tell(Input::MediaEnded(reason));
        }
    }

    /// From now on everything works, and the call ends if it has not.
    pub fn finish(&mut self) {
        self.failures = MAX_FAILURES;
        self.step(Step::CallerHangsUp);
        self.tell(Input::End(EndReason::Requested));
        for _ in 0..200 {
            self.step(Step::CarryLate);
            self.carry(0, Fate::Carried);
            self.answer(0);
            self.event();
            if self.under_way.is_empty() && self.answers.is_empty() && self.events.is_empty() {
                self.tick();
            }
        }
        assert!(self.machine.is_finished(), "the call never ends: {:?}", self.machine);
        assert_ne!(self.external, Existence::There, "the external channel is left");
        assert_ne!(self.bridge, Existence::There, "the bridge is left");
        assert!(!self.caller_in_app, "the caller is left");
        assert!(self.ends <= 1, "media is ended {} times", self.ends);
        assert!(self.ends == 1 || self.media_ended_itself, "media is not ended");
        let most = usize::from(!self.has_place);
        assert!(self.failed_transfers <= most, "{} failed transfers", self.failed_transfers);
        assert!(self.peers <= 1, "media is told {} peers", self.peers);
        assert_eq!(self.machine.wake(), None, "a call that is over wants to be woken");
    }
}
