use std::time::Instant;

use super::errands::Subject;
use super::machine::CallMachine;
use super::types::Dialplan;

/// One call of a session.
pub(super) struct Entry {
    pub(super) machine: CallMachine,
    pub(super) subject: Subject,
    /// Where in the dialplan the caller came from.
    pub(super) origin: Dialplan,
    /// When its timer is due.
    pub(super) scheduled: Option<Instant>,
}
