use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{iovec, msghdr};

use super::control::{self, Control};

/// Reads what a stream has, without waiting: how many bytes, 0 where it has ended, and when the last
/// of them came, since the Unix epoch, if the socket was asked to [tell](super::tell_arrival).
///
/// # Errors
/// `WouldBlock` where nothing is there, and what else the kernel says.
pub(crate) fn read_stream(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<Duration>)> {
    let mut control = Control::EMPTY;
    let mut vector = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: this is a plain C structure for which zero bytes are a valid value.
    let mut header: msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    control.attach(&mut header);
    // SAFETY: the header points to a vector, a buffer and room for control messages that outlive
    // the call, with their true lengths.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled the header just now, and the room is still there.
    let told = unsafe { control::read(&header) };
    Ok((length, told.arrived))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    use super::super::tell_arrival;
    use super::*;
    use crate::runtime::Clock;

    #[test]
    fn bytes_come_with_the_time_of_their_arrival() {
        let clock = Clock::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        tell_arrival(&there).unwrap();
        let mut buffer = [0; 16];
        let nothing = read_stream(there.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);

        // Where nobody has asked before, the kernel begins to note times some moments later.
        let told = (0..1_000).find_map(|_| {
            let before = clock.wall();
            here.write_all(b"hello").unwrap();
            let after = clock.wall();
            let (length, arrived) = read_stream(there.as_fd(), &mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"hello");
            clock.sleep(Duration::from_millis(1));
            Some((before, arrived?, after))
        });
        let (before, arrived, after) = told.expect("it was asked for");
        let slack = Duration::from_millis(1);
        assert!((before - slack..=after + slack).contains(&arrived), "{arrived:?}");

        drop(here);
        assert_eq!(read_stream(there.as_fd(), &mut buffer).unwrap().0, 0, "it has ended");
    }
}
