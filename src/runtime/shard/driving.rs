use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::error;

use super::calls::{Calls, Slot, Turn};
use super::telling::tell;
use crate::call::EndReason;
use crate::engine::{Input, Output};
use crate::event::{Event, EventKind};

/// One call's turn, and its end.
impl Calls {
    /// Hands a call one input, does what it answers, and sees to its next wake-up.
    pub(super) fn drive(&mut self, now: Instant, index: usize, input: Input<'_>) {
        let Self { parts, slots, turns, workbench, sending, unsent, timers, totals, .. } = self;
        let Some(slot) = slots.get_mut(index) else { return };
        let Slot { key, engine, peer, stream, rest, .. } = slot;
        let mut dropped = 0;
        let turn = catch_unwind(AssertUnwindSafe(|| {
            engine.handle_input(now, input);
            loop {
                match engine.poll_output(workbench) {
                    Output::Transmit(frame) => match (stream.as_mut(), *peer) {
                        (Some(stream), _) => dropped += u32::from(!stream.write(frame)),
                        (None, Some(peer)) => {
                            if sending.push(peer, frame, *key) {
                                sending.send(parts.socket.as_fd(), |key| unsent.push(key));
                            }
                        }
                        (None, None) => dropped += 1,
                    },
                    Output::Event(event) => {
                        if matches!(event.kind, EventKind::MediaReady { .. }) {
                            totals.ready[engine.transport().index()] += 1;
                        }
                        tell(engine.info().id, event, rest.events.as_ref());
                    }
                    Output::Wait(at) => return Some(at),
                    Output::Ended => return None,
                }
            }
        }));
        match turn {
            Ok(Some(wake)) => {
                for _ in 0..dropped {
                    engine.handle_input(now, Input::TransmitFailed);
                }
                let turn = &mut turns[index];
                turn.wake = wake;
                turn.schedule(timers, index);
            }
            Ok(None) => self.remove(index),
            Err(_) => self.give_up(now, index),
        }
    }

    /// Ends a call whose engine panicked; the panic's message is in the log already.
    fn give_up(&mut self, now: Instant, index: usize) {
        let slot = &self.slots[index];
        let id = slot.engine.info().id;
        error!(call.id = %id, "a call's engine panicked; the call is given up");
        self.totals.panicked += 1;
        let event = Event {
            media_time: now.saturating_duration_since(slot.rest.began),
            wall_time: self.parts.clock.wall(),
            kind: EventKind::CallEnded {
                reason: EndReason::Panicked,
                stats: Box::new(slot.engine.stats()),
            },
        };
        tell(id, event, slot.rest.events.as_ref());
        self.remove(index);
    }

    fn remove(&mut self, index: usize) {
        let slot = self.slots.remove(index);
        self.turns[index] = Turn::NONE;
        let id = slot.engine.info().id;
        let stats = slot.engine.stats();
        self.totals.media += &stats;
        self.totals.running[slot.engine.transport().index()] -= 1;
        self.census.leaves(index, &stats);
        if stats.packets_received > 0 {
            self.parts.metrics.observe(&stats.reception);
        }
        self.by_id.remove(&id);
        self.peers.release(index);
        self.phases.give_back(slot.rest.phase);
        self.parts.directory.remove(id);
        // Processors of a call that panicked may do so again while they are dropped.
        if catch_unwind(AssertUnwindSafe(|| drop(slot))).is_err() {
            error!(call.id = %id, "a processor panicked while it was dropped");
        }
    }
}
