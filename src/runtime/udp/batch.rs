//! `recvmmsg` and `sendmmsg`: many datagrams per system call.
//!
//! The only unsafe code of the UDP path. The message headers live on the stack of one call and
//! point into buffers that are borrowed for that call.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};

/// Datagrams per system call.
const BATCH: usize = 32;

/// Room for one datagram that comes in: 20 ms of `slin192` and its header.
const DATAGRAM_BYTES: usize = 8_192;

/// Buffers for datagrams that come in, allocated once.
pub(in crate::runtime) struct ReceiveBatch {
    buffers: Box<[[u8; DATAGRAM_BYTES]]>,
    received: [Option<Received>; BATCH],
    count: usize,
}

#[derive(Clone, Copy)]
struct Received {
    from: SocketAddr,
    length: usize,
    truncated: bool,
}

/// One datagram that came in.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Datagram<'a> {
    pub(in crate::runtime) from: SocketAddr,
    pub(in crate::runtime) bytes: &'a [u8],
    /// It was longer than there is room for.
    pub(in crate::runtime) truncated: bool,
}

impl ReceiveBatch {
    pub(in crate::runtime) fn new() -> Self {
        Self {
            buffers: vec![[0; DATAGRAM_BYTES]; BATCH].into_boxed_slice(),
            received: [None; BATCH],
            count: 0,
        }
    }

    /// Fills the batch without waiting, in place of what it held; true where it is full, so that
    /// more may be there.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there, and what else the kernel says.
    pub(in crate::runtime) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        self.count = 0;
        // SAFETY: all of these are plain C structures for which zero bytes are a valid value.
        let (mut names, mut vectors, mut headers): (
            [sockaddr_storage; BATCH],
            [iovec; BATCH],
            [mmsghdr; BATCH],
        ) = unsafe { mem::zeroed() };
        for (index, buffer) in self.buffers.iter_mut().enumerate() {
            vectors[index] =
                iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: DATAGRAM_BYTES };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
        }
        // SAFETY: every header points to a name, a vector and a buffer that outlive the call, with
        // their true lengths; BATCH headers are there.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        self.count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (index, header) in headers[..self.count].iter().enumerate() {
            self.received[index] = read_address(&names[index]).map(|from| Received {
                from,
                length: (header.msg_len as usize).min(DATAGRAM_BYTES),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(self.count == BATCH)
    }

    /// What the batch holds.
    pub(in crate::runtime) fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.received[..self.count].iter().zip(&self.buffers).filter_map(|(received, buffer)| {
            let Received { from, length, truncated } = (*received)?;
            Some(Datagram { from, bytes: &buffer[..length], truncated })
        })
    }
}

/// Datagrams that wait to be sent together. Buffers are allocated once and grow to the longest
/// datagram sent.
pub(in crate::runtime) struct SendBatch<T> {
    waiting: Vec<Waiting<T>>,
    count: usize,
}

struct Waiting<T> {
    to: SocketAddr,
    bytes: Vec<u8>,
    tag: Option<T>,
}

impl<T: Copy> SendBatch<T> {
    pub(in crate::runtime) fn new() -> Self {
        let empty = || Waiting {
            to: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            bytes: Vec::new(),
            tag: None,
        };
        Self { waiting: (0..BATCH).map(|_| empty()).collect(), count: 0 }
    }

    /// Adds a datagram, with a tag that tells it in the answer of [`Self::send`]; true where the
    /// batch is full now and must be sent.
    pub(in crate::runtime) fn push(&mut self, to: SocketAddr, bytes: &[u8], tag: T) -> bool {
        let slot = &mut self.waiting[self.count];
        slot.to = to;
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        slot.tag = Some(tag);
        self.count += 1;
        self.count == BATCH
    }

    /// Sends all that waits without waiting itself, and calls `failed` with the tag of each
    /// datagram that the kernel did not take.
    pub(in crate::runtime) fn send(&mut self, socket: BorrowedFd<'_>, mut failed: impl FnMut(T)) {
        let mut waiting = &mut self.waiting[..self.count];
        self.count = 0;
        while !waiting.is_empty() {
            let sent = send_some(socket, waiting).ok();
            let (head, tail) = waiting.split_at_mut(sent.unwrap_or(1).max(1));
            if sent.is_none()
                && let Some(tag) = head[0].tag
            {
                failed(tag);
            }
            waiting = tail;
        }
    }
}

/// Sends a head of `waiting`, and answers how many that were.
///
/// # Errors
/// What the kernel says of the first one.
fn send_some<T>(socket: BorrowedFd<'_>, waiting: &mut [Waiting<T>]) -> io::Result<usize> {
    // SAFETY: all of these are plain C structures for which zero bytes are a valid value.
    let (mut names, mut vectors, mut headers): (
        [sockaddr_storage; BATCH],
        [iovec; BATCH],
        [mmsghdr; BATCH],
    ) = unsafe { mem::zeroed() };
    let count = waiting.len().min(BATCH);
    for (index, datagram) in waiting.iter_mut().take(BATCH).enumerate() {
        vectors[index] =
            iovec { iov_base: datagram.bytes.as_mut_ptr().cast(), iov_len: datagram.bytes.len() };
        let header = &mut headers[index].msg_hdr;
        header.msg_namelen = write_address(datagram.to, &mut names[index]);
        header.msg_name = (&raw mut names[index]).cast();
        header.msg_iov = &raw mut vectors[index];
        header.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers point to a name, a vector and a buffer that outlive the
    // call, with their true lengths.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn read_address(storage: &sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel wrote a sockaddr_in, as the family tells; the storage is larger.
            let v4 = unsafe { (&raw const *storage).cast::<sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel wrote a sockaddr_in6, as the family tells; the storage is larger.
            let v6 = unsafe { (&raw const *storage).cast::<sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            // An IPv4 peer of a socket that serves both is the peer that ARI names.
            Some(match ip.to_ipv4_mapped() {
                Some(v4) => SocketAddrV4::new(v4, port).into(),
                None => SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

fn write_address(address: SocketAddr, storage: &mut sockaddr_storage) -> socklen_t {
    match address {
        SocketAddr::V4(v4) => {
            let name = sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage has room and alignment for every kind of address.
            unsafe { (&raw mut *storage).cast::<sockaddr_in>().write(name) };
            size_of::<sockaddr_in>() as socklen_t
        }
        SocketAddr::V6(v6) => {
            let name = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: a sockaddr_storage has room and alignment for every kind of address.
            unsafe { (&raw mut *storage).cast::<sockaddr_in6>().write(name) };
            size_of::<sockaddr_in6>() as socklen_t
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn more_datagrams_than_a_batch_arrive_whole_over_both_families() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (Ok(here), Ok(there)) = (UdpSocket::bind(host), UdpSocket::bind(host)) else {
                continue;
            };
            let to = there.local_addr().unwrap();
            let mut sending = SendBatch::new();
            for n in 0..2 * BATCH + 3 {
                if sending.push(to, &vec![n as u8; 10 * n], n) {
                    sending.send(here.as_fd(), |n| panic!("datagram {n} was not taken"));
                }
            }
            sending.send(here.as_fd(), |n| panic!("datagram {n} was not taken"));

            let mut receiving = ReceiveBatch::new();
            let mut seen = 0;
            while let Ok(more) = receiving.receive(there.as_fd()) {
                for datagram in receiving.iter() {
                    assert_eq!(datagram.from, here.local_addr().unwrap());
                    assert_eq!(datagram.bytes, vec![seen as u8; 10 * seen]);
                    assert!(!datagram.truncated);
                    seen += 1;
                }
                assert_eq!(more, seen <= 2 * BATCH);
            }
            assert_eq!(seen, 2 * BATCH + 3);
        }
    }

    #[test]
    fn a_datagram_longer_than_the_buffer_is_marked() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        here.send_to(&vec![7; DATAGRAM_BYTES + 1], there.local_addr().unwrap()).unwrap();
        let mut receiving = ReceiveBatch::new();
        assert!(!receiving.receive(there.as_fd()).unwrap());
        let datagram = receiving.iter().next().unwrap();
        assert!(datagram.truncated && datagram.bytes.len() == DATAGRAM_BYTES);
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_is_told_and_the_others_go() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        let mut sending = SendBatch::new();
        sending.push(to, b"first", 1);
        sending.push("[::1]:9".parse().unwrap(), b"wrong family", 2);
        sending.push(to, b"third", 3);
        let mut failed = Vec::new();
        sending.send(here.as_fd(), |n| failed.push(n));
        assert_eq!(failed, [2]);
        let mut receiving = ReceiveBatch::new();
        receiving.receive(there.as_fd()).unwrap();
        let seen: Vec<_> = receiving.iter().map(|datagram| datagram.bytes).collect();
        assert_eq!(seen, [b"first", b"third"]);
    }
}
