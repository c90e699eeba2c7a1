//! The memory of calls, asked for before their turn comes.
//!
//! With a thousand calls all that belongs to one has left the caches when its next packet comes. Of
//! calls that are driven one after the other it is asked for some turns ahead, so that it comes while
//! others are driven: what lies behind a pointer once the pointer is there.

use slab::Slab;

use super::calls::Slot;
use crate::dsp::prefetch::prefetch;

/// How many turns before its own the memory of a call is first asked for.
pub(super) const LEAD: usize = 3 * STAGE;

/// Turns from one stage to the next.
const STAGE: usize = 2;

/// Asks for what the calls in the turns up to `LEAD` before `step` need next. `slot_of` tells whose
/// turn it is; that call may be gone.
pub(super) fn look_ahead(
    slots: &Slab<Slot>,
    step: usize,
    slot_of: impl Fn(usize) -> Option<usize>,
) {
    let call = |stage: usize| {
        let turn = step.checked_sub(stage * STAGE)?;
        slots.get(slot_of(turn)?)
    };
    if let Some(call) = call(0) {
        prefetch(call);
    }
    if let Some(call) = call(1) {
        call.engine.prefetch();
        call.stream.as_deref().inspect(|stream| prefetch(*stream));
    }
    if let Some(call) = call(2) {
        call.engine.prefetch_behind();
    }
}
