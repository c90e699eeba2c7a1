use std::ops::ControlFlow;

use super::serving::Serving;
use super::{Engine, State};
use crate::call::EndReason;
use crate::event::EventKind;
use crate::processor::Request;

/// What is done between two inputs.
impl Engine {
    /// Carries out what processors asked for, tells the marks that are due, and how full the queue is.
    ///
    /// What a processor asks for while it hears of an event waits for the next turn, so that two
    /// processors cannot keep each other busy for ever.
    pub(super) fn settle(&mut self) {
        let Some(serving) = &mut self.serving else { return };
        let asked = serving.requests.len();
        for _ in 0..asked {
            let Some(serving) = &mut self.serving else { return };
            let request = serving.requests.remove(0);
            if self.carry_out(request).is_break() {
                return;
            }
        }
        let due = self.serving.as_ref().map_or(0, |serving| serving.playout.due_marks());
        for _ in 0..due {
            if let Some(mark) = self.serving.as_mut().and_then(|s| s.playout.pop_mark()) {
                self.tell(EventKind::Mark { name: mark.name, played: mark.played });
            }
        }
        self.tell_queue_level();
        if self.serving.as_ref().is_some_and(|s| s.hangs_up && s.playout.is_empty()) {
            self.end(EndReason::Processor);
        }
    }

    /// Carries out one thing that a processor asked for. It breaks off where that ends the call.
    fn carry_out(&mut self, request: Request) -> ControlFlow<()> {
        match request {
            Request::Emit(kind) => self.tell(kind),
            Request::Digit(digit) => self.take_digit(digit),
            Request::Switch { name, on } => self.switch(&name, on),
            Request::HangupWhenPlayed => {
                if let Some(serving) = &mut self.serving {
                    serving.hangs_up = true;
                }
            }
            // What is asked for during the end is too late.
            Request::Transfer(_) if self.state != State::Running => {}
            Request::Transfer(destination) => {
                self.tell(EventKind::Transfer { destination });
                return self.break_off(EndReason::Transferred);
            }
            Request::Hangup => return self.break_off(EndReason::Processor),
        }
        ControlFlow::Continue(())
    }

    fn switch(&mut self, name: &str, on: bool) {
        let Some(rate) = self.serving.as_ref().map(|serving| serving.playout.rate()) else {
            return;
        };
        let now = self.events.position(self.now, rate);
        for name in Serving::switch(&mut self.serving, now, name, on) {
            self.tell(EventKind::ProcessorSwitched { name, on });
        }
    }

    fn break_off(&mut self, reason: EndReason) -> ControlFlow<()> {
        self.end(reason);
        ControlFlow::Break(())
    }
}
