//! One leg's two directions, as state machines without I/O.
//!
//! Uplink: source check → jitter buffer → decode → place in the call's time. Downlink: playout
//! queue → encode → packetize, at the pace of a clock with absolute deadlines.

mod audiosocket_leg;
mod beside_audio;
mod digit;
mod digit_filter;
mod digit_reader;
mod drift;
mod interarrival;
pub mod jitter;
mod leg;
mod loss;
mod pacer;
mod packetizer;
mod playout;
pub mod quality;
mod reception;
mod repair;
mod retimer;
mod rtp_downlink;
mod rtp_leg;
mod rtp_uplink;
mod sender_clock;
mod settings;
mod source;
mod stats;
mod timeline;

pub use audiosocket_leg::AudioSocketLeg;
pub use digit::{Digit, DigitCounts, DigitSource};
pub use digit_filter::DigitFilter;
pub use drift::DriftEstimator;
pub use interarrival::InterarrivalJitter;
pub use leg::{Leg, Uplink};
pub use loss::LossRuns;
pub use pacer::{Pacer, Tick};
pub use packetizer::{Packetizer, PacketizerSeed};
pub use playout::{Cleared, DueMark, Playout, Pulled, QueueLevel};
pub use reception::Reception;
pub use rtp_leg::RtpLeg;
pub use settings::{MediaSettings, OpusSettings, ReturnFormat, SilencePolicy};
pub use source::{SourceCheck, Verdict};
pub use stats::{CallStats, Rejected, Rejections};
pub use timeline::{Before, Jump, Timeline};
