//! UDP ports: bound once, read and written in batches.
//!
//! All unsafe code of the UDP path is here: `recvmmsg`, `sendmmsg`, and what goes with them.

mod address;
mod bind;
mod control;
mod mirror;
mod receive;
mod send;

pub(crate) use bind::bind;
pub(crate) use control::{tell_arrival, tell_local_address};
pub(crate) use mirror::mirror;
pub(crate) use receive::{Datagram, ReceiveBatch};
pub(crate) use send::SendBatch;

/// Datagrams per system call.
const BATCH: usize = 32;
