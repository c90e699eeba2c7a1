use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr, sockaddr_storage};

use super::control::Control;
use super::{BATCH, address, control};

/// Datagrams that wait to be sent together. Buffers are allocated once and grow to the longest
/// datagram sent.
pub(crate) struct SendBatch<T> {
    waiting: Box<[Waiting<T>]>,
    vectors: Box<[iovec]>,
    headers: Box<[mmsghdr]>,
    count: usize,
}

struct Waiting<T> {
    to: SocketAddr,
    /// Where it leaves from; else the kernel chooses.
    source: Option<Ipv4Addr>,
    bytes: Vec<u8>,
    tag: Option<T>,
    name: sockaddr_storage,
    control: Control,
}

impl<T: Copy> SendBatch<T> {
    pub(crate) fn new() -> Self {
        // SAFETY: these are plain C structures for which zero bytes are a valid value.
        let (name, vector, header) = unsafe { mem::zeroed::<(sockaddr_storage, iovec, mmsghdr)>() };
        let empty = || Waiting {
            to: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            source: None,
            bytes: Vec::new(),
            tag: None,
            name,
            control: Control::EMPTY,
        };
        Self {
            waiting: (0..BATCH).map(|_| empty()).collect(),
            vectors: vec![vector; BATCH].into(),
            headers: vec![header; BATCH].into(),
            count: 0,
        }
    }

    /// Adds a datagram, with a tag that tells it in the answer of [`Self::send`]; true where the
    /// batch is full now and must be sent.
    pub(crate) fn push(&mut self, to: SocketAddr, bytes: &[u8], tag: T) -> bool {
        self.add(None, to, bytes, tag)
    }

    /// As [`Self::push`], for a datagram that shall leave from one of this machine's addresses.
    pub(crate) fn push_from(
        &mut self,
        source: Ipv4Addr,
        to: SocketAddr,
        bytes: &[u8],
        tag: T,
    ) -> bool {
        self.add(Some(source), to, bytes, tag)
    }

    fn add(&mut self, source: Option<Ipv4Addr>, to: SocketAddr, bytes: &[u8], tag: T) -> bool {
        if bytes.len() > self.waiting[self.count].bytes.capacity() {
            self.make_room(bytes.len());
        }
        let slot = &mut self.waiting[self.count];
        (slot.source, slot.to, slot.tag) = (source, to, Some(tag));
        slot.bytes.clear();
        slot.bytes.extend_from_slice(bytes);
        self.count += 1;
        self.count == BATCH
    }

    /// Makes room for a datagram of so many bytes in every place at once, also in those that are
    /// first needed when a batch is longer than any before.
    #[cold]
    fn make_room(&mut self, bytes: usize) {
        for Waiting { bytes: buffer, .. } in &mut self.waiting {
            buffer.reserve(bytes.saturating_sub(buffer.len()));
        }
    }

    /// Sends all that waits without waiting itself, and calls `failed` with the tag of each
    /// datagram that the kernel did not take.
    pub(crate) fn send(&mut self, socket: BorrowedFd<'_>, mut failed: impl FnMut(T)) {
        self.prepare();
        let count = mem::take(&mut self.count);
        let mut first = 0;
        while first < count {
            let sent = self.send_some(socket, first..count);
            if let Err(error) = &sent {
                if may_go_in_pieces(socket, error) {
                    continue;
                }
                if let Some(tag) = self.waiting[first].tag {
                    failed(tag);
                }
            }
            first += sent.unwrap_or(1).max(1);
        }
    }

    /// Points the header of each datagram that waits to its parts.
    fn prepare(&mut self) {
        let headers = self.headers.iter_mut().zip(&mut self.vectors);
        for (datagram, (header, vector)) in self.waiting[..self.count].iter_mut().zip(headers) {
            let bytes = &mut datagram.bytes;
            *vector = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            let header = &mut header.msg_hdr;
            header.msg_namelen = address::write(datagram.to, &mut datagram.name);
            header.msg_name = (&raw mut datagram.name).cast();
            header.msg_iov = &raw mut *vector;
            header.msg_iovlen = 1;
            (header.msg_control, header.msg_controllen) = (ptr::null_mut(), 0);
            if let Some(source) = datagram.source {
                datagram.control.attach_source(source, header);
            }
        }
    }

    /// Sends a head of the datagrams in `range`, which are prepared, and answers how many that were.
    ///
    /// # Errors
    /// What the kernel says of the first one.
    fn send_some(
        &mut self,
        socket: BorrowedFd<'_>,
        range: std::ops::Range<usize>,
    ) -> io::Result<usize> {
        let headers = &mut self.headers[range];
        // SAFETY: the headers were pointed to names, vectors, buffers and control messages that
        // nobody has touched since and that outlive the call, with their true lengths.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Whether a datagram was refused because it is too long for its way in one piece, and may be
/// fragmented from now on.
fn may_go_in_pieces(socket: BorrowedFd<'_>, error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
        && matches!(control::allows_fragments(&socket), Ok(false))
        && control::allow_fragments(&socket, true).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use super::super::ReceiveBatch;
    use super::*;

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

    #[test]
    fn behind_a_datagram_too_long_for_one_piece_they_may_go_in_several() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        control::allow_fragments(&here, false).unwrap();
        let mut sending = SendBatch::new();
        sending.push(to, b"short", 1);
        sending.send(here.as_fd(), |n| panic!("datagram {n} was not taken"));
        assert!(!control::allows_fragments(&here).unwrap());
        // Longer than any datagram: in pieces it does not go either.
        sending.push(to, &[0; 70_000], 2);
        sending.push(to, b"another", 3);
        let mut failed = Vec::new();
        sending.send(here.as_fd(), |n| failed.push(n));
        assert_eq!(failed, [2]);
        assert!(control::allows_fragments(&here).unwrap());
        let mut receiving = ReceiveBatch::new();
        receiving.receive(there.as_fd()).unwrap();
        let seen: Vec<_> = receiving.iter().map(|datagram| datagram.bytes).collect();
        assert_eq!(seen, [&b"short"[..], b"another"]);
    }

    #[test]
    fn each_datagram_leaves_from_the_address_that_it_was_given() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let here = UdpSocket::bind("0.0.0.0:0").unwrap();
        let (to, port) = (there.local_addr().unwrap(), here.local_addr().unwrap().port());
        let sources = [Ipv4Addr::new(127, 9, 8, 7), Ipv4Addr::new(127, 0, 0, 2)];
        let mut sending = SendBatch::new();
        sending.push_from(sources[0], to, b"a", ());
        sending.push_from(sources[1], to, b"b", ());
        sending.push(to, b"c", ());
        sending.send(here.as_fd(), |()| panic!("not taken"));
        let mut receiving = ReceiveBatch::new();
        receiving.receive(there.as_fd()).unwrap();
        let seen: Vec<_> = receiving.iter().map(|datagram| datagram.from).collect();
        let expected = [sources[0], sources[1], Ipv4Addr::LOCALHOST];
        assert_eq!(seen, expected.map(|source| SocketAddr::from((source, port))));
        // What a slot held before does not go on.
        sending.push(to, b"d", ());
        sending.send(here.as_fd(), |()| panic!("not taken"));
        receiving.receive(there.as_fd()).unwrap();
        assert_eq!(receiving.iter().next().unwrap().from, SocketAddr::from((expected[2], port)));
    }
}
