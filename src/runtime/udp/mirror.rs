use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use libc::{iovec, mmsghdr, sockaddr_storage, socklen_t};

/// Datagrams per system call.
const BATCH: usize = 64;

/// Room for one datagram: a full frame of Ethernet.
const DATAGRAM_BYTES: usize = 1_536;

/// Sends every datagram back to its sender as it came, until the socket fails: the least that a
/// loop can do which reads and writes a port in batches. `before_read` is called before each read,
/// which waits for one datagram and takes what else is there.
pub(crate) fn mirror(socket: BorrowedFd<'_>, mut before_read: impl FnMut()) -> io::Error {
    let descriptor = socket.as_raw_fd();
    // SAFETY: these are plain C structures for which zero bytes are a valid value.
    let (name, vector, header) = unsafe { mem::zeroed::<(sockaddr_storage, iovec, mmsghdr)>() };
    let mut buffers = vec![[0_u8; DATAGRAM_BYTES]; BATCH];
    let mut names = vec![name; BATCH];
    let mut vectors = vec![vector; BATCH];
    let mut headers = vec![header; BATCH];
    let rooms = buffers.iter_mut().zip(&mut names).zip(&mut vectors);
    for (header, ((buffer, name), vector)) in headers.iter_mut().zip(rooms) {
        vector.iov_base = buffer.as_mut_ptr().cast();
        vector.iov_len = DATAGRAM_BYTES;
        header.msg_hdr.msg_iov = &raw mut *vector;
        header.msg_hdr.msg_iovlen = 1;
        header.msg_hdr.msg_name = (&raw mut *name).cast();
        header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
    }
    loop {
        before_read();
        // SAFETY: every header points to a name, a vector and a buffer that are there until this
        // function returns, with their true lengths; BATCH headers are there.
        let received = unsafe {
            libc::recvmmsg(
                descriptor,
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            match io::Error::last_os_error() {
                // A datagram sent before could not be delivered.
                error if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return error,
            }
        };
        let mut rest = &mut headers[..received];
        for header in &mut *rest {
            // SAFETY: the vector is there, and nobody else uses it.
            unsafe { (*header.msg_hdr.msg_iov).iov_len = header.msg_len as usize };
        }
        while !rest.is_empty() {
            // SAFETY: as above; the kernel has written names and their lengths.
            let sent = unsafe {
                libc::sendmmsg(descriptor, rest.as_mut_ptr(), rest.len() as libc::c_uint, 0)
            };
            // What cannot be sent is lost, as on any network.
            let done = usize::try_from(sent).unwrap_or(1).max(1);
            rest = &mut rest[done..];
        }
        for header in &mut headers[..received] {
            // SAFETY: the vector is there, and nobody else uses it.
            unsafe { (*header.msg_hdr.msg_iov).iov_len = DATAGRAM_BYTES };
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_datagram_comes_back_whole_to_its_sender() {
        let there = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = there.local_addr().unwrap();
        thread::spawn(move || mirror(there.as_fd(), || {}));
        let callers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        for round in 0..3 * BATCH {
            for (n, caller) in callers.iter().enumerate() {
                caller.send_to(&vec![n as u8; 1 + 5 * round], to).unwrap();
            }
            for (n, caller) in callers.iter().enumerate() {
                caller.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut buffer = [9; 2_000];
                let (length, from) = caller.recv_from(&mut buffer).unwrap();
                assert_eq!((from, &buffer[..length]), (to, &vec![n as u8; 1 + 5 * round][..]));
            }
        }
    }
}
