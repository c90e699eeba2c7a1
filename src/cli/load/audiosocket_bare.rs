use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const EVENTS: usize = 1_024;
const READ_BYTES: usize = 16 << 10;

/// Sends back every byte of every connection, and does nothing else.
pub(super) struct Loop {
    poll: Poll,
    listener: TcpListener,
    /// By their descriptors.
    connections: Vec<Option<TcpStream>>,
    buffer: Box<[u8]>,
}

impl Loop {
    /// Listens at `address`.
    ///
    /// # Errors
    /// Where that is not possible.
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, listener, connections: Vec::new(), buffer: vec![0; READ_BYTES].into() })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Goes on until waiting fails. `before_read` is called before each look at what is there.
    pub(super) fn run(&mut self, mut before_read: impl FnMut()) -> io::Error {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            before_read();
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return error,
                Ok(()) => {}
            }
            for event in &events {
                self.handle(event);
            }
        }
    }

    fn handle(&mut self, event: &Event) {
        if event.token() == LISTENER {
            // What cannot be accepted is not there.
            while let Ok((stream, _)) = self.listener.accept() {
                let _ = self.add(stream);
            }
            return;
        }
        let Some(connection) = self.connections.get_mut(event.token().0) else { return };
        if connection.as_mut().is_some_and(|stream| send_back(stream, &mut self.buffer).is_err()) {
            *connection = None;
        }
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let place = usize::try_from(stream.as_raw_fd()).expect("descriptors are not negative");
        self.poll.registry().register(&mut stream, Token(place), Interest::READABLE)?;
        if self.connections.len() <= place {
            self.connections.resize_with(place + 1, || None);
        }
        self.connections[place] = Some(stream);
        Ok(())
    }
}

/// Sends back what is there; an error where the connection is over, or its peer does not read.
fn send_back(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let length = match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.write_all(&buffer[..length])?;
        // A stream that gave less than there was room for is empty (epoll(7)).
        if length < buffer.len() {
            return Ok(());
        }
    }
}
