use crate::wire::PayloadType;

/// Comfort noise (RFC 3389, RFC 3551 table 4).
pub(super) const COMFORT_NOISE: u8 = 13;

/// Telephone-event (RFC 4733), by convention.
pub(super) const TELEPHONE_EVENT: u8 = 101;

/// Whether a packet of that payload type carries no samples, but travels in a stream beside its
/// audio and holds a sequence number.
pub(super) fn is_beside_audio(payload_type: PayloadType) -> bool {
    matches!(payload_type.value(), COMFORT_NOISE | TELEPHONE_EVENT)
}
