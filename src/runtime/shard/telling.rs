use tracing::{debug, info, trace, warn};

use crate::call::CallId;
use crate::event::{CallEvent, Event, EventKind};
use crate::runtime::directory::EventSink;

/// Logs an event and sends it to the call's owner.
pub(super) fn tell(call: CallId, event: Event, events: Option<&EventSink>) {
    match &event.kind {
        EventKind::CallStarted { transport } => info!(call.id = %call, %transport, "call started"),
        EventKind::CallEnded { reason, stats } => info!(
            call.id = %call,
            %reason,
            received = stats.packets_received,
            lost = stats.packets_lost,
            sent = stats.packets_sent,
            rejected = stats.rejected.total(),
            jitter_ms = stats.reception.jitter_ms,
            mos = stats.reception.mos_cqe,
            "call ended"
        ),
        EventKind::FormatMismatch { expected, actual } => warn!(
            call.id = %call,
            %expected,
            actual,
            "the peer sends another format than the one asked for"
        ),
        EventKind::NoMedia { silent_ms } => {
            info!(call.id = %call, silent_ms, "nothing comes from the peer");
        }
        EventKind::Transcript(heard) => {
            // What callers say is nobody's business who reads logs.
            debug!(call.id = %call, heard.is_final, words = heard.words.len(), "transcript");
        }
        EventKind::SttMessage { service, .. } => debug!(call.id = %call, %service, "message"),
        // Digits are personal data as numbers are: a PIN, a card's number.
        EventKind::Dtmf { digit, source, .. } => {
            debug!(call.id = %call, source = source.label(), "digit");
            trace!(call.id = %call, %digit, "digit");
        }
        EventKind::SendDtmf { digits } => {
            debug!(call.id = %call, count = digits.len(), "digits for the caller");
            trace!(call.id = %call, digits, "digits for the caller");
        }
        kind => debug!(call.id = %call, ?kind, "event"),
    }
    if let Some(events) = events {
        // Whoever opened the call may have lost interest.
        let _ = events.send(CallEvent { call, event });
    }
}
