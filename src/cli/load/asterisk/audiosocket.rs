use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use uuid::Uuid;

use super::switchboard::{Desk, News};
use super::{Exchange, Switchboard, SwitchboardError};
use crate::audio::{MediaFormat, SampleRate};
use crate::call::Transport;
use crate::cli::load::connection::{self, Connection, READ_BYTES};
use crate::cli::load::lines::{Event, LineError, Lines, Opened};
use crate::cli::load::ring::Ring;
use crate::cli::load::stopwatch::Stopwatch;
use crate::runtime::{Clock, udp};

/// Connections that are asked after at a time.
const EVENTS: usize = 1_024;

/// The listener among the events, and connections that have not told whose they are; others are told
/// by their call's number.
const LISTENER: Token = Token(usize::MAX - 1);
const NAMELESS: usize = 1 << 40;

/// Callers over AudioSocket whose calls an Asterisk makes: it connects to us, once for each of them.
pub(in crate::cli::load) struct AcceptedLines {
    listener: TcpListener,
    desk: Desk,
    rate: SampleRate,
    lines: Ring<Box<Line>>,
    /// Whose connection a stream's UUID makes it.
    numbers: HashMap<Uuid, u32>,
    nameless: HashMap<usize, Connection>,
    accepted: usize,
    poll: Poll,
    events: Events,
    frame: Vec<u8>,
    buffer: Box<[u8]>,
    unsent: u64,
}

struct Line {
    uuid: Uuid,
    /// Its channels are in their bridge.
    is_up: bool,
    connection: Option<Connection>,
}

impl AcceptedLines {
    /// Callers of whom at most `span` have numbers at once.
    ///
    /// # Errors
    /// Where there is no socket, or Asterisk cannot be had.
    pub(in crate::cli::load) fn start(
        exchange: Exchange,
        rate: SampleRate,
        span: usize,
        clock: Clock,
    ) -> Result<(Switchboard, Self), SwitchboardError> {
        let listen = || -> io::Result<_> {
            let mut listener = TcpListener::bind(SocketAddr::new(exchange.local, 0))?;
            let poll = Poll::new()?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let port = listener.local_addr()?.port();
            Ok((listener, poll, port))
        };
        let (listener, poll, port) = listen().map_err(SwitchboardError::Socket)?;
        let format = MediaFormat::Slin(rate);
        let (switchboard, desk) =
            Switchboard::start(exchange, Transport::AudioSocket, format, port, clock)?;
        let lines = Self {
            listener,
            desk,
            rate,
            lines: Ring::new(span),
            numbers: HashMap::new(),
            nameless: HashMap::new(),
            accepted: 0,
            poll,
            events: Events::with_capacity(EVENTS),
            frame: Vec::new(),
            buffer: vec![0; READ_BYTES].into(),
            unsent: 0,
        };
        Ok((switchboard, lines))
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            udp::tell_arrival(&stream)?;
            let key = NAMELESS + self.accepted;
            self.accepted += 1;
            self.poll.registry().register(&mut stream, Token(key), Interest::READABLE)?;
            self.nameless.insert(key, Connection::new(stream));
        }
    }

    /// Learns whose a connection is; answers the number of a call that is there with it.
    fn identify(&mut self, key: usize) -> io::Result<Option<u32>> {
        let Some(mut connection) = self.nameless.remove(&key) else { return Ok(None) };
        let uuid = match connection.read_uuid() {
            Ok(Some(uuid)) => uuid,
            Ok(None) => {
                self.nameless.insert(key, connection);
                return Ok(None);
            }
            // Whoever it was: a call without its connection does not come up.
            Err(_) => return Ok(None),
        };
        let Some(number) = self.numbers.get(&uuid).copied() else { return Ok(None) };
        let Some(line) = self.lines.get_mut(number) else { return Ok(None) };
        let stream: &mut TcpStream = &mut connection.stream;
        let token = Token(number as usize);
        self.poll.registry().reregister(stream, token, Interest::READABLE)?;
        line.connection = Some(connection);
        Ok(line.is_up.then_some(number))
    }

    fn forget(&mut self, number: u32) {
        if let Some(line) = self.lines.remove(number) {
            self.numbers.remove(&line.uuid);
        }
    }

    /// Takes what Asterisk has done.
    fn take_news(&mut self, take: &mut impl FnMut(u32, Event<'_>)) -> Result<(), LineError> {
        while let Some(news) = self.desk.news() {
            match news {
                News::Up { number, .. } => {
                    let Some(line) = self.lines.get_mut(number) else { continue };
                    line.is_up = true;
                    if line.connection.is_some() {
                        take(number, Event::Opened);
                    }
                }
                News::Failed { number, error } => {
                    self.forget(number);
                    take(number, Event::Failed(io::Error::other(error)));
                }
                News::Over(over) => return Err(over.into()),
            }
        }
        Ok(())
    }
}

impl Lines for AcceptedLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        let uuid = self.desk.begin(number).uuid();
        self.numbers.insert(uuid, number);
        self.lines.insert(number, Box::new(Line { uuid, is_up: false, connection: None }));
        Ok(Opened::Later)
    }

    fn send(&mut self, number: u32, _: u32, payload: &[u8]) {
        let Some(line) = self.lines.get_mut(number) else { return };
        let Some(connection) = &mut line.connection else { return };
        connection::encode(self.rate, payload, &mut self.frame);
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
        self.take_news(&mut take)?;
        self.poll.poll(&mut self.events, Some(Duration::ZERO)).map_err(LineError::Socket)?;
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(key) = event.token();
            if event.token() == LISTENER {
                self.accept().map_err(LineError::Socket)?;
                continue;
            }
            if key >= NAMELESS {
                if let Some(number) = self.identify(key).map_err(LineError::Socket)? {
                    take(number, Event::Opened);
                }
                continue;
            }
            let number = (key & u32::MAX as usize) as u32;
            let Some(line) = self.lines.get_mut(number) else { continue };
            let Some(connection) = &mut line.connection else { continue };
            let is_up = line.is_up;
            let read = connection.read(&mut self.buffer, self.rate, watch, |event| {
                // Before that it is Asterisk's own silence.
                if is_up {
                    take(number, event);
                }
            });
            if let Err(error) = read {
                self.hang_up(number);
                take(number, Event::Failed(error));
            }
        }
        std::mem::swap(&mut self.events, &mut events);
        Ok(())
    }

    fn hang_up(&mut self, number: u32) {
        self.forget(number);
        self.desk.end(number);
    }
}
