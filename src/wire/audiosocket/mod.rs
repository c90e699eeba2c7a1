//! AudioSocket, Asterisk's audio over TCP (Asterisk: `res/res_audiosocket.c`,
//! `include/asterisk/res_audiosocket.h`).
//!
//! A stream of frames: `u8 kind | u16 length, big-endian | payload`. Audio is 16-bit little-endian
//! mono, one kind per sample rate. The first frame from Asterisk is the stream's UUID. Towards
//! Asterisk only hangup and non-empty audio are allowed: anything else ends the leg.

mod decoder;
mod encode;
mod kind;

pub use decoder::{AudioSocketError, AudioSocketFrame, FrameDecoder};
pub use encode::{encode_audio, encode_dtmf, encode_error, encode_hangup, encode_uuid};
pub use kind::{ErrorCode, Kind};

/// Bytes before a frame's payload: kind and length.
pub const HEADER_BYTES: usize = 3;

/// Bytes of a UUID frame's payload.
pub const UUID_BYTES: usize = 16;
