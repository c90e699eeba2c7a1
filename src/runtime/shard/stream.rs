use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

use super::calls::Calls;
use crate::engine::Input;
use crate::runtime::clock::Clock;
use crate::runtime::timers::Key;

/// One AudioSocket connection of a call. Dropping it closes the connection.
pub(super) struct Stream {
    tcp: Rc<TcpStream>,
    reader: AbortHandle,
    /// The rest of a frame that the kernel took only in part.
    unsent: BytesMut,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    /// Starts to read; what comes goes to the call of `key`.
    pub(super) fn open(
        stream: std::net::TcpStream,
        permit: OwnedSemaphorePermit,
        key: Key,
        clock: Clock,
        calls: Rc<RefCell<Calls>>,
    ) -> io::Result<Self> {
        let tcp = Rc::new(TcpStream::from_std(stream)?);
        let reader = tokio::task::spawn_local(read(Rc::clone(&tcp), key, clock, calls));
        Ok(Self { tcp, reader: reader.abort_handle(), unsent: BytesMut::new(), _permit: permit })
    }

    /// Writes one frame at once; false where the peer does not read and the frame is dropped.
    ///
    /// Frames stay whole: the rest of one goes out before the next.
    pub(super) fn write(&mut self, frame: &[u8]) -> bool {
        // Not tokio's `try_write`: a fresh stream counts as not writable until it is polled.
        let socket = SockRef::from(&*self.tcp);
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
            // Where the connection is broken, the reader learns it too.
            Err(_) => false,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(tcp: Rc<TcpStream>, key: Key, clock: Clock, calls: Rc<RefCell<Calls>>) {
    while tcp.readable().await.is_ok() {
        if !read_once(&tcp, key, clock, &mut calls.borrow_mut()) {
            return;
        }
        // A peer that sends without end must leave time for the others.
        tokio::task::yield_now().await;
    }
}

/// Hands on what has come; false where the connection is over.
fn read_once(tcp: &TcpStream, key: Key, clock: Clock, calls: &mut Calls) -> bool {
    let mut buffer = calls.take_stream_buffer();
    let open = match tcp.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => {
            calls.handle_stream(clock.now(), key, Input::Stream(&buffer[..length]));
            true
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    calls.give_stream_buffer(buffer);
    if !open {
        calls.handle_stream(clock.now(), key, Input::StreamClosed);
    }
    open
}
