//! Bytes and values of the wire: RTP, comfort noise, telephone-events and AudioSocket.
//!
//! Floor 0: nothing here knows of time, sockets or calls. What a peer sends is parsed once into a
//! validated view, or refused with a [`Copy`] error whose `reason()` is a metric's label. No input
//! panics, and nothing allocates once its buffers have grown to their working size.

pub mod audiosocket;
pub mod comfort_noise;
pub mod rtp;
mod seq;
pub mod telephone_event;

pub use audiosocket::{AudioSocketError, AudioSocketFrame, FrameDecoder, Kind};
pub use comfort_noise::{ComfortNoiseError, ComfortNoisePayload};
pub use rtp::{PayloadType, RtpError, RtpHeader, RtpPacket};
pub use seq::{ExtSeq, ExtTs, RtpTs, Seq, SeqExtender, Ssrc, TsExtender};
pub use telephone_event::{TelephoneEvent, TelephoneEventError};
