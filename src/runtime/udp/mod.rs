//! A shard's UDP port: bound once, read and written in batches.

mod batch;

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

pub(super) use batch::{Datagram, ReceiveBatch, SendBatch};

/// Binds a non-blocking UDP socket with buffers of about `buffer_bytes`.
///
/// The kernel gives what `net.core.rmem_max` and `wmem_max` allow; less than asked is a warning
/// that names the key to raise.
pub(super) fn bind(
    address: IpAddr,
    port: u16,
    buffer_bytes: usize,
    dscp: u8,
) -> io::Result<std::net::UdpSocket> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_send_buffer_size(buffer_bytes)?;
    let traffic_class = u32::from(dscp) << 2;
    if address.is_ipv4() {
        socket.set_tos_v4(traffic_class)?;
    } else {
        socket.set_tclass_v6(traffic_class)?;
    }
    socket.bind(&address.into())?;
    // Linux answers twice what it was asked for (socket(7)).
    let granted = socket.recv_buffer_size()? / 2;
    if granted < buffer_bytes {
        warn!(
            asked_bytes = buffer_bytes,
            granted_bytes = granted,
            "the kernel grants smaller UDP buffers; raise net.core.rmem_max and net.core.wmem_max"
        );
    }
    Ok(socket.into())
}
