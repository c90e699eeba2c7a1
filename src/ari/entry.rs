use std::time::Instant;

use super::errands::Subject;
use super::keypad::Keypad;
use super::machine::{CallMachine, Request};
use super::types::Dialplan;

/// One call of a session.
pub(super) struct Entry {
    pub(super) machine: CallMachine,
    pub(super) subject: Subject,
    pub(super) keypad: Keypad,
    /// How the caller is let go, once the keys have been pressed.
    pub(super) held: Option<Request>,
    /// Where in the dialplan the caller came from.
    pub(super) origin: Dialplan,
    /// When its timer is due.
    pub(super) scheduled: Option<Instant>,
}
