use std::io::{self, Read};
use std::os::fd::AsFd;

use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use tokio::sync::OwnedSemaphorePermit;

/// One AudioSocket connection of a call. Dropping it closes the connection.
pub(super) struct Stream {
    tcp: TcpStream,
    /// The rest of a frame that the kernel took only in part.
    unsent: BytesMut,
    _permit: OwnedSemaphorePermit,
}

/// What reading came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// So many bytes; all that were there.
    All(usize),
    /// As many bytes as there was room for; there may be more.
    Some(usize),
    /// The connection is over.
    Closed,
}

impl Stream {
    /// A connection whose input is told as `token`.
    pub(super) fn open(
        stream: std::net::TcpStream,
        permit: OwnedSemaphorePermit,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let mut tcp = TcpStream::from_std(stream);
        registry.register(&mut tcp, token, Interest::READABLE)?;
        Ok(Self { tcp, unsent: BytesMut::new(), _permit: permit })
    }

    /// Reads what has come into `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Taken {
        loop {
            match self.tcp.read(buffer) {
                Ok(0) => return Taken::Closed,
                Ok(length) if length < buffer.len() => return Taken::All(length),
                Ok(length) => return Taken::Some(length),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Taken::All(0),
                    _ => return Taken::Closed,
                },
            }
        }
    }

    /// Writes one frame at once; false where the peer does not read and the frame is dropped.
    ///
    /// Frames stay whole: the rest of one goes out before the next.
    pub(super) fn write(&mut self, frame: &[u8]) -> bool {
        let fd = self.tcp.as_fd();
        let socket = SockRef::from(&fd);
        if !self.unsent.is_empty() {
            let sent = socket.send(&self.unsent).unwrap_or(0);
            self.unsent.advance(sent);
            if !self.unsent.is_empty() {
                return false;
            }
        }
        match socket.send(frame) {
            Ok(sent) => {
                self.unsent.extend_from_slice(&frame[sent..]);
                true
            }
            // Where the connection is broken, reading tells it too.
            Err(_) => false,
        }
    }
}
