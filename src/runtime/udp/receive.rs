use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use libc::{iovec, mmsghdr, sockaddr_storage, socklen_t};

use super::control::{Control, Told};
use super::{BATCH, address, control};

/// Room for one datagram that comes in: 20 ms of `slin192` and its header.
const DATAGRAM_BYTES: usize = 8_192;

/// Buffers for datagrams that come in, allocated once.
pub(crate) struct ReceiveBatch {
    buffers: Box<[[u8; DATAGRAM_BYTES]]>,
    controls: Box<[Control]>,
    names: Box<[sockaddr_storage]>,
    vectors: Box<[iovec]>,
    headers: Box<[mmsghdr]>,
    received: [Option<Received>; BATCH],
    count: usize,
    overruns: Overruns,
}

/// Datagrams that a socket had no room for.
#[derive(Clone, Copy, Debug, Default)]
struct Overruns {
    total: u64,
    /// The kernel's count, which begins anew behind 32 bits.
    told: u32,
}

impl Overruns {
    /// Takes what the kernel has counted by now.
    fn tell(&mut self, count: u32) {
        self.total += u64::from(count.wrapping_sub(self.told));
        self.told = count;
    }
}

#[derive(Clone, Copy)]
struct Received {
    from: SocketAddr,
    told: Told,
    length: usize,
    truncated: bool,
}

/// One datagram that came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) from: SocketAddr,
    /// The local address that it came to, of a socket that [tells](super::tell_local_address).
    pub(crate) to: Option<Ipv4Addr>,
    /// When the kernel had it, as time since the Unix epoch, of a socket that
    /// [tells](super::tell_arrival).
    pub(crate) arrived: Option<Duration>,
    pub(crate) bytes: &'a [u8],
    /// It was longer than there is room for.
    pub(crate) truncated: bool,
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: these are plain C structures for which zero bytes are a valid value.
        let (name, vector, header) = unsafe { mem::zeroed::<(sockaddr_storage, iovec, mmsghdr)>() };
        Self {
            buffers: vec![[0; DATAGRAM_BYTES]; BATCH].into(),
            controls: vec![Control::EMPTY; BATCH].into(),
            names: vec![name; BATCH].into(),
            vectors: vec![vector; BATCH].into(),
            headers: vec![header; BATCH].into(),
            received: [None; BATCH],
            count: 0,
            overruns: Overruns::default(),
        }
    }

    /// Fills the batch without waiting, in place of what it held; true where it is full, so that
    /// more may be there.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there, and what else the kernel says.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        self.count = 0;
        self.prepare();
        // SAFETY: every header points to a name, a vector, a buffer and room for control messages
        // that outlive the call, with their true lengths; BATCH headers are there.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        self.count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (index, header) in self.headers[..self.count].iter().enumerate() {
            // SAFETY: the kernel has filled this header just now; `controls` are as they were.
            let told = unsafe { control::read(&header.msg_hdr) };
            told.overruns.into_iter().for_each(|count| self.overruns.tell(count));
            self.received[index] = address::read(&self.names[index]).map(|from| Received {
                from,
                told,
                length: (header.msg_len as usize).min(DATAGRAM_BYTES),
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(self.count == BATCH)
    }

    /// Who the datagrams of the batch come from.
    pub(crate) fn senders(&self) -> impl Iterator<Item = &SocketAddr> + Clone {
        self.received[..self.count].iter().flatten().map(|received| &received.from)
    }

    /// What the batch holds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.received[..self.count].iter().zip(&self.buffers).filter_map(|(received, buffer)| {
            let Received { from, told, length, truncated } = (*received)?;
            let Told { to, arrived, .. } = told;
            Some(Datagram { from, to, arrived, bytes: &buffer[..length], truncated })
        })
    }

    /// Datagrams that the socket had dropped, because its receive buffer was full, by the time that
    /// the latest one received here came in, since it was bound.
    pub(crate) fn overruns(&self) -> u64 {
        self.overruns.total
    }

    /// Points every header to its room.
    fn prepare(&mut self) {
        let rooms = self.buffers.iter_mut().zip(&mut self.controls).zip(&mut self.names);
        let headers = self.headers.iter_mut().zip(&mut self.vectors);
        for (((buffer, control), name), (header, vector)) in rooms.zip(headers) {
            *vector = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: DATAGRAM_BYTES };
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut *name).cast();
            header.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_iov = &raw mut *vector;
            header.msg_iovlen = 1;
            control.attach(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::super::{SendBatch, bind, tell_arrival, tell_local_address};
    use super::*;
    use crate::runtime::Clock;

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
                    assert_eq!((datagram.to, datagram.arrived), (None, None), "nobody asked");
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
    fn the_local_address_and_the_time_of_arrival_are_told_to_who_asks() {
        let clock = Clock::new();
        let there = bind(Ipv4Addr::UNSPECIFIED.into(), 0, 1 << 16, 0).unwrap();
        tell_local_address(&there).unwrap();
        tell_arrival(&there).unwrap();
        let port = there.local_addr().unwrap().port();
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let hosts = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 1, 2, 3)];
        let before = clock.wall();
        for host in hosts {
            here.send_to(b"hello", (host, port)).unwrap();
        }
        let after = clock.wall();
        let mut receiving = ReceiveBatch::new();
        receiving.receive(there.as_fd()).unwrap();
        let told: Vec<_> = receiving.iter().map(|datagram| datagram.to.unwrap()).collect();
        assert_eq!(told, hosts);
        // The kernel's clock of timestamps and ours are one; what is between is its resolution.
        let slack = Duration::from_millis(1);
        for datagram in receiving.iter() {
            let arrived = datagram.arrived.expect("it was asked for");
            assert!((before - slack..=after + slack).contains(&arrived), "{arrived:?}");
        }
    }

    #[test]
    fn overruns_are_counted_beyond_the_32_bits_of_the_kernel() {
        let mut overruns = Overruns::default();
        for count in [0, 5, u32::MAX, 3, 3] {
            overruns.tell(count);
        }
        assert_eq!(overruns.total, (1 << 32) + 3);
    }

    #[test]
    fn what_finds_the_receive_buffer_full_is_counted() {
        let there = bind(Ipv4Addr::LOCALHOST.into(), 0, 1, 0).unwrap();
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        let mut receiving = ReceiveBatch::new();
        let mut receive_all = || {
            let mut count = 0;
            while receiving.receive(there.as_fd()).is_ok() {
                count += receiving.iter().count();
            }
            (count, receiving.overruns())
        };
        here.send_to(&[1; 100], to).unwrap();
        assert_eq!(receive_all(), (1, 0));
        const SENT: usize = 1_000;
        for _ in 0..SENT {
            here.send_to(&[1; 100], to).unwrap();
        }
        let (kept, before) = receive_all();
        assert!((1..SENT).contains(&kept), "{kept} of {SENT} found room");
        // The count comes with a datagram that found room, hence one later.
        assert_eq!(before, 0);
        here.send_to(&[1; 100], to).unwrap();
        assert_eq!(receive_all(), (1, (SENT - kept) as u64));
    }
}
