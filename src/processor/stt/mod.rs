//! Speech to text: the caller's audio to a recogniser, what it heard back as events.
//!
//! This half runs on the shard: the [`Transcriber`] collects the caller's audio into [`Piece`]s and
//! hands them to an [`AudioLine`]. The other half is a task in `runtime::stt`, which drives one
//! WebSocket and a [`Session`]: the state machine that keeps what has not been acknowledged, puts
//! words into the service's dialect, and maps its clock to the call's media time. Neither the
//! session nor the dialects do I/O.

mod backlog;
mod dialect;
mod encoder;
mod encoding;
mod opus_stream;
mod processor;
mod service_clock;
mod session;
mod settings;
mod transcript;

pub use dialect::{Dialect, Unreadable};
pub use encoding::Encoding;
pub use processor::{AudioLine, OpenLine, Transcriber, TranscriberFactory};
pub use session::{Counts, Output, Session};
pub use settings::{Mode, SessionSettings};
pub use transcript::{Transcript, Word};
