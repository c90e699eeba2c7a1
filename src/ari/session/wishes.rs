use std::sync::atomic::Ordering;

use tracing::{field, warn};

use super::Session;
use crate::ari::machine::Request;
use crate::ari::place::Place;
use crate::call::{CallId, Destination};

/// What processors want for their callers.
impl Session {
    /// Keeps where a call's caller is to be sent; the end of the call follows.
    pub(super) fn note_place(&mut self, call: CallId, destination: &Destination) {
        if let Some(entry) = self.calls.get_mut(&call) {
            entry.subject.place = Place::of(destination, &entry.origin);
        }
    }

    /// Tells that the caller did not get there.
    pub(super) fn transfer_failed(&mut self, call: CallId) {
        self.metrics.failed_transfers.fetch_add(1, Ordering::Relaxed);
        let place = self.calls.get(&call).and_then(|entry| entry.subject.place.as_ref());
        warn!(
            asterisk = self.settings.name,
            call.id = %call,
            place = place.map(field::display),
            "a caller did not get to where a processor sent it"
        );
    }

    /// Presses keys towards the caller, behind those pressed before.
    pub(super) fn press(&mut self, call: CallId, digits: &str) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let dropped = entry.keypad.press(digits);
        if dropped > 0 {
            self.metrics.dropped_digits.fetch_add(dropped as u64, Ordering::Relaxed);
            warn!(call.id = %call, dropped, "more digits for a caller than may wait");
        }
        self.press_on(call);
    }

    /// The latest request for keys was answered.
    pub(super) fn pressed(&mut self, call: CallId) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        entry.keypad.answered();
        self.press_on(call);
    }

    fn press_on(&mut self, call: CallId) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if let Some(digits) = entry.keypad.next() {
            self.errands.press(call, &entry.subject.caller, digits);
        } else if entry.keypad.is_idle()
            && let Some(request) = entry.held.take()
        {
            self.errands.ask(call, request, &entry.subject);
        }
    }

    /// Asks something for a call. A caller who goes on in the dialplan is let go behind the keys that
    /// are to be pressed: nobody can do it later.
    pub(super) fn ask(&mut self, call: CallId, request: Request) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        let goes_on = matches!(request, Request::ContinueCaller | Request::TransferCaller);
        if goes_on && !entry.keypad.is_idle() {
            entry.held = Some(request);
        } else {
            self.errands.ask(call, request, &entry.subject);
        }
    }
}
