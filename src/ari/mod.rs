//! Control of Asterisk through its REST interface (ARI).
//!
//! One [`AriSession`] per Asterisk and application: it listens to the event stream, gives every
//! caller an external channel and a bridge, and takes them away again. What to do for a call is
//! decided by a machine without I/O ([`CallMachine`]); losing the event stream never touches media:
//! when it is back, what Asterisk has is compared with what we have ([`reconcile`]).

mod arguments;
mod client;
mod connection;
mod entry;
mod errands;
mod handle;
mod ids;
mod keypad;
mod machine;
mod metrics;
mod place;
mod reconcile;
mod rejected;
mod session;
mod settings;
mod stream;
mod types;

pub use arguments::{ArgumentError, Arguments};
pub use client::{AriClient, AriError, ExternalMedia};
pub use connection::{AriConnection, ConnectError};
pub use handle::{AriHandle, AriSession, StartError};
pub use ids::{Ids, Role};
pub use machine::{CallMachine, Command, Input, Reply, Request};
pub use metrics::{AriCollector, AriMetrics};
pub use place::Place;
pub use reconcile::{Findings, LiveCall, reconcile};
pub use settings::{AsteriskSettings, OnEnd};
pub use stream::StreamEvent;
pub use types::{AriEvent, Bridge, CallerId, Channel, Dialplan};
