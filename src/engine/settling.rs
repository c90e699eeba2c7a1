use std::ops::ControlFlow;

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
    }

    /// Carries out one thing that a processor asked for. It breaks off where that ends the call.
    fn carry_out(&mut self, request: Request) -> ControlFlow<()> {
        match request {
            Request::Emit(kind) => self.tell(kind),
            Request::Digit(digit) => self.take_digit(digit),
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

    fn break_off(&mut self, reason: EndReason) -> ControlFlow<()> {
        self.end(reason);
        ControlFlow::Break(())
    }
}
