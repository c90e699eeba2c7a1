//! One call in Asterisk, as a machine without I/O: what happened goes in, what to ask comes out.
//!
//! Answer, bridge and external channel are asked for at the same time. Each channel joins the
//! bridge once the bridge exists and the channel is ready for it. Teardown begins from any end, at
//! any moment, and is done when everything that was asked for is known to be gone: what Asterisk
//! has not answered yet is removed after the answer, because removing it before could come first.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::settings::OnEnd;
use crate::call::EndReason;

/// How long the set-up of a call may take.
pub(super) const SETUP_LIMIT: Duration = Duration::from_secs(10);

/// Pause before a removal that failed is tried again; it doubles each time.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How often a removal is tried: over 15 s. What is left then is found by the next reconcile.
const MAX_ATTEMPTS: u32 = 6;

/// What can be asked of Asterisk for a call.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    /// Answer the caller.
    AnswerCaller,
    /// Make the bridge.
    CreateBridge,
    /// Make the external channel.
    CreateExternal,
    /// Put the caller into the bridge.
    JoinCaller,
    /// Put the external channel into the bridge.
    JoinExternal,
    /// Hang the caller up.
    HangupCaller,
    /// Send the caller on in the dialplan, behind `Stasis()`.
    ContinueCaller,
    /// Send the caller to the place in the dialplan that a processor named.
    TransferCaller,
    /// Remove the external channel.
    RemoveExternal,
    /// Remove the bridge.
    RemoveBridge,
}

/// What Asterisk answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Done; for an external channel over RTP with the address of its own end.
    Done {
        /// Where Asterisk sends from and listens at.
        peer: Option<SocketAddr>,
    },
    /// What the request is about is not there.
    Absent,
    /// It cannot be done, however often it is asked.
    Refused,
    /// It may or may not have been done.
    Failed,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A request was answered.
    Reply(Request, Reply),
    /// The caller left the application, or is gone.
    CallerGone,
    /// The external channel entered the application.
    ExternalEntered,
    /// The external channel left the application, or is gone.
    ExternalGone,
    /// The bridge is gone.
    BridgeGone,
    /// The media side ended the call.
    MediaEnded(EndReason),
    /// Somebody wants the call to end.
    End(EndReason),
    /// Time passed.
    Timeout,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Ask this of Asterisk.
    Ask(Request),
    /// Tell the media side where the peer is.
    SetPeer(SocketAddr),
    /// End the call on the media side.
    EndMedia(EndReason),
    /// Tell that the caller did not get to the place that a processor named. What becomes of the
    /// caller instead is asked next.
    TransferFailed,
}

/// One call in Asterisk.
#[derive(Clone, Debug)]
pub struct CallMachine {
    on_end: OnEnd,
    stranded: OnEnd,
    /// How the caller is let go, once that is decided.
    farewell: Request,
    phase: Phase,
    answered: bool,
    caller: Thing,
    bridge: Thing,
    external: Thing,
    external_entered: bool,
    /// The external channel entered while its removal was under way: the removal may have come
    /// first, where its creation took longer than anybody waited for the answer.
    external_outlived: bool,
    caller_join: Join,
    external_join: Join,
    commands: VecDeque<Command>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Setup { until: Instant },
    Up,
    Ending,
}

/// A channel or bridge on the way from being asked for to being gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Thing {
    Asked,
    There,
    /// Asked for, and to be removed when the answer comes.
    Doomed,
    Leaving {
        attempts: u32,
    },
    Retry {
        at: Instant,
        attempts: u32,
    },
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Join {
    No,
    Asked,
    Done,
}

impl CallMachine {
    /// A caller entered the application. `stranded` says what becomes of the caller where the
    /// set-up fails, `on_end` where the call ends otherwise, unless a processor has named a place.
    #[must_use]
    pub fn new(now: Instant, on_end: OnEnd, stranded: OnEnd) -> Self {
        use Request::{AnswerCaller, CreateBridge, CreateExternal};
        Self {
            on_end,
            stranded,
            farewell: on_end.request(),
            phase: Phase::Setup { until: now + SETUP_LIMIT },
            answered: false,
            caller: Thing::There,
            bridge: Thing::Asked,
            external: Thing::Asked,
            external_entered: false,
            external_outlived: false,
            caller_join: Join::No,
            external_join: Join::No,
            commands: [CreateExternal, CreateBridge, AnswerCaller].map(Command::Ask).into(),
        }
    }

    /// What to do next; ask until there is nothing.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        let setup = match self.phase {
            Phase::Setup { until } => Some(until),
            Phase::Up | Phase::Ending => None,
        };
        let retry = |thing: Thing| match thing {
            Thing::Retry { at, .. } => Some(at),
            _ => None,
        };
        [setup, retry(self.caller), retry(self.bridge), retry(self.external)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether both channels are in the bridge.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether nothing of the call is left in Asterisk.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Ending
            && [self.caller, self.bridge, self.external].iter().all(|thing| *thing == Thing::Gone)
    }

    /// Takes what happened at `now`.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Reply(request, reply) => self.reply(now, request, reply),
            Input::CallerGone => {
                self.caller = Thing::Gone;
                self.end(EndReason::CallerGone, true);
            }
            Input::ExternalEntered => {
                self.external_entered = true;
                match (self.phase, self.external) {
                    (Phase::Ending, Thing::Leaving { .. }) => self.external_outlived = true,
                    (Phase::Ending, Thing::Gone) => self.remove_external_again(),
                    _ => self.join(),
                }
            }
            Input::ExternalGone => {
                // The answer to its creation may still be under way; it changes nothing.
                self.external = Thing::Gone;
                self.external_outlived = false;
                self.end(EndReason::PeerClosed, true);
            }
            Input::BridgeGone => {
                self.bridge = Thing::Gone;
                self.end(EndReason::PeerClosed, true);
            }
            Input::MediaEnded(reason) => self.end(reason, false),
            Input::End(reason) => self.end(reason, true),
            Input::Timeout => self.timeout(now),
        }
    }

    fn reply(&mut self, now: Instant, request: Request, reply: Reply) {
        let done = matches!(reply, Reply::Done { .. });
        match request {
            Request::AnswerCaller => self.answered |= done,
            Request::CreateBridge => {
                self.bridge = self.created(self.bridge, Request::RemoveBridge, done);
            }
            Request::CreateExternal => {
                self.external = self.created(self.external, Request::RemoveExternal, done);
                if let (Thing::There, Reply::Done { peer: Some(peer) }) = (self.external, reply) {
                    self.commands.push_back(Command::SetPeer(peer));
                }
            }
            Request::JoinCaller if done => self.caller_join = Join::Done,
            Request::JoinExternal if done => self.external_join = Join::Done,
            Request::JoinCaller | Request::JoinExternal => {}
            Request::HangupCaller | Request::ContinueCaller => {
                self.caller = removed(now, self.caller, reply);
            }
            Request::TransferCaller => {
                let before = self.caller;
                self.caller = removed(now, before, reply);
                let given_up = before != Thing::Gone && self.caller == Thing::Gone;
                if given_up && matches!(reply, Reply::Refused | Reply::Failed) {
                    self.farewell = self.on_end.request();
                    self.commands.push_back(Command::TransferFailed);
                    self.commands.push_back(Command::Ask(self.farewell));
                    self.caller = Thing::Leaving { attempts: 1 };
                }
            }
            Request::RemoveExternal => {
                self.external = removed(now, self.external, reply);
                let outlived = std::mem::take(&mut self.external_outlived);
                if outlived && reply == Reply::Absent && self.external == Thing::Gone {
                    self.remove_external_again();
                }
            }
            Request::RemoveBridge => self.bridge = removed(now, self.bridge, reply),
        }
        let removal = matches!(
            request,
            Request::HangupCaller
                | Request::ContinueCaller
                | Request::TransferCaller
                | Request::RemoveExternal
                | Request::RemoveBridge
        );
        if !done && !removal {
            self.end(EndReason::SetupFailed, true);
        }
        self.join();
    }

    /// What becomes of a thing when the answer to its creation is there. One that may have been
    /// made all the same is removed.
    fn created(&mut self, thing: Thing, removal: Request, done: bool) -> Thing {
        match thing {
            Thing::Asked if done => Thing::There,
            Thing::Asked | Thing::Doomed => {
                self.commands.push_back(Command::Ask(removal));
                Thing::Leaving { attempts: 1 }
            }
            other => other,
        }
    }

    fn remove_external_again(&mut self) {
        self.commands.push_back(Command::Ask(Request::RemoveExternal));
        self.external = Thing::Leaving { attempts: 1 };
    }

    /// Puts into the bridge what can be put there.
    fn join(&mut self) {
        if !matches!(self.phase, Phase::Setup { .. }) {
            return;
        }
        if self.bridge == Thing::There {
            if self.answered && self.caller_join == Join::No {
                self.caller_join = Join::Asked;
                self.commands.push_back(Command::Ask(Request::JoinCaller));
            }
            if self.external_entered && self.external_join == Join::No {
                self.external_join = Join::Asked;
                self.commands.push_back(Command::Ask(Request::JoinExternal));
            }
        }
        let joined = self.caller_join == Join::Done && self.external_join == Join::Done;
        // Without the answer to its creation the media side has no peer yet.
        if joined && self.external == Thing::There {
            self.phase = Phase::Up;
        }
    }

    fn end(&mut self, reason: EndReason, tell_media: bool) {
        if self.phase == Phase::Ending {
            return;
        }
        self.phase = Phase::Ending;
        if tell_media {
            self.commands.push_back(Command::EndMedia(reason));
        }
        self.farewell = match reason {
            EndReason::SetupFailed => self.stranded.request(),
            EndReason::Transferred => Request::TransferCaller,
            _ => self.on_end.request(),
        };
        self.caller = self.leave(self.caller, self.farewell);
        self.external = self.leave(self.external, Request::RemoveExternal);
        self.bridge = self.leave(self.bridge, Request::RemoveBridge);
    }

    fn leave(&mut self, thing: Thing, removal: Request) -> Thing {
        match thing {
            Thing::Asked => Thing::Doomed,
            Thing::There => {
                self.commands.push_back(Command::Ask(removal));
                Thing::Leaving { attempts: 1 }
            }
            other => other,
        }
    }

    fn timeout(&mut self, now: Instant) {
        if let Phase::Setup { until } = self.phase
            && now >= until
        {
            self.end(EndReason::SetupFailed, true);
        }
        self.caller = self.retry(now, self.caller, self.farewell);
        self.external = self.retry(now, self.external, Request::RemoveExternal);
        self.bridge = self.retry(now, self.bridge, Request::RemoveBridge);
    }

    fn retry(&mut self, now: Instant, thing: Thing, removal: Request) -> Thing {
        match thing {
            Thing::Retry { at, attempts } if now >= at => {
                self.commands.push_back(Command::Ask(removal));
                Thing::Leaving { attempts: attempts + 1 }
            }
            other => other,
        }
    }
}

impl OnEnd {
    fn request(self) -> Request {
        match self {
            Self::Hangup => Request::HangupCaller,
            Self::Continue => Request::ContinueCaller,
        }
    }
}

fn removed(now: Instant, thing: Thing, reply: Reply) -> Thing {
    match (thing, reply) {
        (Thing::Leaving { attempts }, Reply::Failed) if attempts < MAX_ATTEMPTS => {
            Thing::Retry { at: now + RETRY_AFTER * 2_u32.pow(attempts - 1), attempts }
        }
        (Thing::Leaving { .. }, _) => Thing::Gone,
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests;
