//! What goes into an engine and comes out of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::call::EndReason;
use crate::event::Event;
use crate::media::Digit;

/// What can happen to an engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// A datagram came for this call.
    Datagram {
        /// Where it came from.
        from: SocketAddr,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// Bytes of the call's stream came.
    Stream(&'a [u8]),
    /// The peer closed the call's stream.
    StreamClosed,
    /// What was sent last did not leave this machine.
    TransmitFailed,
    /// Somebody wants something of the call.
    Command(Command),
    /// Time passed.
    Timeout,
}

/// What can be wanted of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Receive from and send to this address, and no other.
    SetPeer(SocketAddr),
    /// Tell a digit that did not come by way of the leg.
    Digit(Digit),
    /// End the call.
    End(EndReason),
    /// Something has come for a processor, from outside of the shard.
    Wake,
}

/// What an engine wants done.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send these bytes to the peer: one datagram, or one write.
    Transmit(&'a [u8]),
    /// Tell this.
    Event(Event),
    /// Nothing until then, or until the next input.
    Wait(Option<Instant>),
    /// The call is over: drop the engine, close its stream.
    Ended,
}

/// Buffers in which frames are made. The calls of a thread take turns with one, so that it is in the
/// nearest caches when a call comes whose own memory is not; nothing in it outlasts a turn.
#[derive(Debug, Default)]
pub struct Workbench {
    /// The frame that is sent next.
    pub(super) frame: Vec<i16>,
    /// The same as it travels.
    pub(super) tx: Vec<u8>,
}

/// When a call began, on both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// On the steady clock.
    pub instant: Instant,
    /// On the wall clock: time since the Unix epoch.
    pub wall: Duration,
}
