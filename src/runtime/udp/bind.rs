use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Once;

use socket2::{Domain, Protocol, Socket, Type};
use tracing::warn;

use super::control;

/// What limits the receive buffer of a socket, and its send buffer.
const LIMITS: [&str; 2] = ["net.core.rmem_max", "net.core.wmem_max"];

/// Whether the process has told of a limit that is too low: it may bind many ports.
static TOLD: [Once; LIMITS.len()] = [const { Once::new() }; LIMITS.len()];

/// Binds a non-blocking UDP socket with buffers of about `buffer_bytes`, which counts its overruns.
///
/// The kernel grants no more than its limits allow; the first time that is less than asked, a
/// warning for each direction names the key to raise.
///
/// # Errors
/// What the kernel says.
pub(crate) fn bind(
    address: IpAddr,
    port: u16,
    buffer_bytes: usize,
    dscp: u8,
) -> io::Result<UdpSocket> {
    let address = SocketAddr::new(address, port);
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_send_buffer_size(buffer_bytes)?;
    control::tell_overruns(&socket)?;
    let traffic_class = u32::from(dscp) << 2;
    if address.is_ipv4() {
        socket.set_tos_v4(traffic_class)?;
    } else {
        socket.set_tclass_v6(traffic_class)?;
    }
    socket.bind(&address.into())?;
    // Linux answers twice what it was asked for (socket(7)).
    let granted = [socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2];
    for (index, granted) in shortfalls(buffer_bytes, granted) {
        TOLD[index].call_once(|| {
            warn!(
                key = LIMITS[index],
                asked_bytes = buffer_bytes,
                granted_bytes = granted,
                "the kernel grants a smaller UDP buffer than asked for: raise this key"
            );
        });
    }
    Ok(socket.into())
}

/// The limits that were met, each with what it granted.
fn shortfalls(asked: usize, granted: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
    granted.into_iter().enumerate().filter(move |(_, granted)| *granted < asked)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_direction_that_was_granted_less_is_told() {
        let told = |granted| shortfalls(100, granted).map(|(n, _)| LIMITS[n]).collect::<Vec<_>>();
        assert_eq!(told([100, 100]), [""; 0]);
        assert_eq!(told([99, 100]), ["net.core.rmem_max"]);
        assert_eq!(told([200, 99]), ["net.core.wmem_max"]);
        assert_eq!(told([1, 1]), LIMITS);
    }

    #[test]
    fn what_the_kernel_grants_is_what_the_limit_of_that_name_says() {
        let limit = |key: &str| -> usize {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            fs::read_to_string(path).expect("the key is there").trim().parse().expect("a number")
        };
        let socket = bind(Ipv4Addr::LOCALHOST.into(), 0, 1 << 30, 0).expect("a port");
        let socket = socket2::SockRef::from(&socket);
        let granted = [
            socket.recv_buffer_size().expect("a size") / 2,
            socket.send_buffer_size().expect("a size") / 2,
        ];
        assert_eq!(granted, LIMITS.map(|key| limit(key).min(1 << 30)));
    }
}
