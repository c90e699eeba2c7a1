use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};
use uuid::Uuid;

use super::hosts;
use super::lines::{Answer, Event, LineError, Lines, Opened};
use super::ring::Ring;
use super::stopwatch::Stopwatch;
use crate::audio::SampleRate;
use crate::runtime::udp;
use crate::wire::audiosocket::{Kind, encode_hangup, encode_uuid};
use crate::wire::{AudioSocketFrame, FrameDecoder};

/// Connections that are asked after at a time.
const EVENTS: usize = 1_024;

/// Bytes of a stream that are read at once: a second of audio at 8 kHz.
const READ_BYTES: usize = 16 << 10;

/// Callers over AudioSocket, each with a connection; from an address of its own, where the server is
/// on this machine.
pub(super) struct AudioSocketLines {
    to: SocketAddr,
    rate: SampleRate,
    connections: Ring<Box<Connection>>,
    poll: Poll,
    events: Events,
    frame: Vec<u8>,
    buffer: Box<[u8]>,
    closing: usize,
    unsent: u64,
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
    decoder: FrameDecoder,
    /// The rest of a frame of which the kernel took a part.
    rest: Vec<u8>,
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
            connections: Ring::new(span),
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
        let connection = Connection {
            stream: self.connect(number)?,
            stage: Stage::Connecting,
            decoder: FrameDecoder::new(FrameDecoder::MAX_FRAME_BYTES),
            rest: Vec::new(),
        };
        self.connections.insert(number, Box::new(connection));
        Ok(Opened::Later)
    }

    fn send(&mut self, number: u32, _: u32, payload: &[u8]) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let length = u16::try_from(payload.len()).expect("20 ms have at most 7680 bytes");
        self.frame.clear();
        self.frame.push(Kind::Audio(self.rate).byte());
        self.frame.extend_from_slice(&length.to_be_bytes());
        self.frame.extend_from_slice(payload);
        self.unsent += u64::from(!connection.write(&self.frame));
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
            let Some(connection) = self.connections.get_mut(number) else { continue };
            let ended = if connection.stage != Stage::Connecting {
                connection.read(&mut self.buffer, self.rate, watch, |event| take(number, event))
            } else if event.is_writable() {
                encode_uuid(Uuid::new_v4(), &mut self.frame);
                connection.begin(&self.frame).map(|()| take(number, Event::Opened))
            } else {
                Ok(())
            };
            if let Err(error) = ended {
                if connection.stage == Stage::Closing {
                    self.closing -= 1;
                } else {
                    take(number, Event::Failed(error));
                }
                self.connections.remove(number);
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        if connection.stage == Stage::Connecting {
            self.connections.remove(number);
            return;
        }
        encode_hangup(&mut self.frame);
        connection.write(&self.frame);
        connection.stage = Stage::Closing;
        self.closing += 1;
    }

    fn is_closing(&self) -> bool {
        self.closing > 0
    }

    fn overruns(&self) -> u32 {
        0
    }
}

impl Connection {
    /// The connection is there, or could not be made: sends the stream's UUID.
    fn begin(&mut self, uuid: &[u8]) -> io::Result<()> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        self.stage = Stage::Open;
        self.write(uuid);
        Ok(())
    }

    /// Writes a frame at once; false where the server does not read, and the frame is dropped.
    fn write(&mut self, frame: &[u8]) -> bool {
        if !self.rest.is_empty() {
            let sent = self.stream.write(&self.rest).unwrap_or(0);
            self.rest.drain(..sent);
            if !self.rest.is_empty() {
                return false;
            }
        }
        match self.stream.write(frame) {
            Ok(sent) => {
                self.rest.extend_from_slice(&frame[sent..]);
                true
            }
            // Where the connection is broken, that is read, too.
            Err(_) => false,
        }
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// Where the connection is over.
    fn read(
        &mut self,
        buffer: &mut [u8],
        rate: SampleRate,
        watch: &Stopwatch,
        mut take: impl FnMut(Event<'_>),
    ) -> io::Result<()> {
        loop {
            let (length, arrived) = match udp::read_stream(self.stream.as_fd(), buffer) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = watch.now();
            let at = arrived.map_or(now, |wall| watch.of_wall(wall, now));
            let mut bytes = &buffer[..length];
            while !bytes.is_empty() {
                let taken = self.decoder.feed(bytes);
                bytes = &bytes[taken..];
                self.decode(rate, at, &mut take)?;
            }
            // A stream that gave less than there was room for is empty (epoll(7)).
            if length < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Hands on the frames that are whole.
    fn decode(
        &mut self,
        rate: SampleRate,
        at: Duration,
        take: &mut impl FnMut(Event<'_>),
    ) -> io::Result<()> {
        loop {
            match self.decoder.next() {
                Ok(None) => return Ok(()),
                Ok(Some(AudioSocketFrame::Audio { rate: actual, payload })) if actual == rate => {
                    take(Event::Answer(Answer { header: None, payload, at }));
                }
                // So begins a server that does not know the call's rate yet.
                Ok(Some(AudioSocketFrame::Audio { payload, .. }))
                    if payload.iter().all(|byte| *byte == 0) => {}
                Ok(Some(AudioSocketFrame::Hangup)) => {
                    return Err(io::Error::other("the server hung up"));
                }
                // The bare loop sends it back.
                Ok(Some(AudioSocketFrame::Uuid(_))) => {}
                Err(error) if error.is_fatal() => return Err(io::Error::other(error)),
                Ok(Some(_)) | Err(_) => take(Event::Foreign),
            }
        }
    }
}
