use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};
use uuid::Uuid;

use super::connection::{self, Connection, READ_BYTES};
use super::hosts;
use super::lines::{Event, LineError, Lines, Opened};
use super::ring::Ring;
use super::stopwatch::Stopwatch;
use crate::audio::SampleRate;
use crate::runtime::udp;
use crate::wire::audiosocket::{encode_hangup, encode_uuid};

/// Connections that are asked after at a time.
const EVENTS: usize = 1_024;

/// Callers over AudioSocket, each with a connection; from an address of its own, where the server is
/// on this machine.
pub(super) struct AudioSocketLines {
    to: SocketAddr,
    rate: SampleRate,
    lines: Ring<Box<Line>>,
    poll: Poll,
    events: Events,
    frame: Vec<u8>,
    buffer: Box<[u8]>,
    closing: usize,
    unsent: u64,
}

struct Line {
    connection: Connection,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Connecting,
    Open,
    /// Hung up, until the server closes.
    Closing,
}

impl AudioSocketLines {
    /// Callers of a server, of whom at most `span` have numbers at once.
    ///
    /// # Errors
    /// Where connections cannot be watched.
    pub(super) fn new(to: SocketAddr, rate: SampleRate, span: usize) -> Result<Self, LineError> {
        Ok(Self {
            to,
            rate,
            lines: Ring::new(span),
            poll: Poll::new().map_err(LineError::Socket)?,
            events: Events::with_capacity(EVENTS),
            frame: Vec::new(),
            buffer: vec![0; READ_BYTES].into(),
            closing: 0,
            unsent: 0,
        })
    }

    /// Begins a connection, which is there when the stream can be written.
    fn connect(&self, number: u32) -> Result<TcpStream, LineError> {
        let source = match hosts::are_of(self.to) {
            true => Some(hosts::host(number).ok_or(LineError::Addresses(number))?),
            false => None,
        };
        let connect = || -> io::Result<TcpStream> {
            let domain = Domain::for_address(self.to);
            let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            udp::tell_arrival(&socket)?;
            if let Some(source) = source {
                socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
            }
            match socket.connect(&self.to.into()) {
                Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error),
                _ => {}
            }
            let mut stream = TcpStream::from_std(socket.into());
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number as usize), interest)?;
            Ok(stream)
        };
        connect().map_err(LineError::Socket)
    }
}

/// What a connection that is not there yet is told by (`EINPROGRESS`).
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

impl Lines for AudioSocketLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        let connection = Connection::new(self.connect(number)?);
        self.lines.insert(number, Box::new(Line { connection, stage: Stage::Connecting }));
        Ok(Opened::Later)
    }

    fn send(&mut self, number: u32, _: u32, payload: &[u8]) {
        let Some(line) = self.lines.get_mut(number) else { return };
        connection::encode(self.rate, payload, &mut self.frame);
        self.unsent += u64::from(!line.connection.write(&self.frame));
    }

    fn flush(&mut self) -> u64 {
        std::mem::take(&mut self.unsent)
    }

    fn receive(
        &mut self,
        watch: &Stopwatch,
        mut take: impl FnMut(u32, Event<'_>),
    ) -> Result<(), LineError> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).map_err(LineError::Socket)?;
        for event in &self.events {
            let number = (event.token().0 & u32::MAX as usize) as u32;
            let Some(line) = self.lines.get_mut(number) else { continue };
            let ended = if line.stage != Stage::Connecting {
                let buffer = &mut self.buffer;
                line.connection.read(buffer, self.rate, watch, |event| take(number, event))
            } else if event.is_writable() {
                encode_uuid(Uuid::new_v4(), &mut self.frame);
                line.begin(&self.frame).map(|()| take(number, Event::Opened))
            } else {
                Ok(())
            };
            if let Err(error) = ended {
                if line.stage == Stage::Closing {
                    self.closing -= 1;
                } else {
                    take(number, Event::Failed(error));
                }
                self.lines.remove(number);
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, number: u32) {
        let Some(line) = self.lines.get_mut(number) else { return };
        if line.stage == Stage::Connecting {
            self.lines.remove(number);
            return;
        }
        encode_hangup(&mut self.frame);
        line.connection.write(&self.frame);
        line.stage = Stage::Closing;
        self.closing += 1;
    }

    fn is_closing(&self) -> bool {
        self.closing > 0
    }
}

impl Line {
    /// The connection is there, or could not be made: sends the stream's UUID.
    fn begin(&mut self, uuid: &[u8]) -> io::Result<()> {
        if let Some(error) = self.connection.stream.take_error()? {
            return Err(error);
        }
        self.stage = Stage::Open;
        self.connection.write(uuid);
        Ok(())
    }
}
