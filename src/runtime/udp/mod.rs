//! UDP ports: bound once, read and written in batches.
//!
//! All unsafe code of the sockets is here: `recvmmsg`, `sendmmsg`, and what the kernel tells beside
//! the bytes, for which a stream is read here, too.

mod address;
mod bind;
mod control;
mod mirror;
mod receive;
mod send;
mod stream;

pub(crate) use bind::bind;
pub(crate) use control::{allow_fragments, tell_arrival, tell_local_address};
pub(crate) use mirror::mirror;
pub(crate) use receive::{Datagram, ReceiveBatch};
pub(crate) use send::SendBatch;
pub(crate) use stream::read_stream;

/// Datagrams per system call.
const BATCH: usize = 32;
