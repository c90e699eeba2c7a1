use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use super::lines::{Event, LineError, Lines, Opened};
use super::ring::Ring;
use super::rtp::{DSCP, Packets};
use super::stopwatch::Stopwatch;
use crate::audio::MediaFormat;
use crate::runtime::udp::{self, ReceiveBatch};

/// Asked of the kernel for each socket, in each direction: seconds of a call.
const SOCKET_BUFFER_BYTES: usize = 128 << 10;

/// Sockets that are asked after at a time.
const EVENTS: usize = 1_024;

/// Callers over RTP to a server elsewhere: a socket for each of them, on a port of its own.
pub(super) struct ConnectedLines {
    to: SocketAddr,
    sockets: Ring<UdpSocket>,
    poll: Poll,
    events: Events,
    packets: Packets,
    receiving: ReceiveBatch,
    unsent: u64,
}

impl ConnectedLines {
    /// Callers of a server anywhere, of whom at most `span` have numbers at once.
    ///
    /// # Errors
    /// Where sockets cannot be watched.
    pub(super) fn new(to: SocketAddr, format: MediaFormat, span: usize) -> Result<Self, LineError> {
        Ok(Self {
            to,
            sockets: Ring::new(span),
            poll: Poll::new().map_err(LineError::Socket)?,
            events: Events::with_capacity(EVENTS),
            packets: Packets::new(format),
            receiving: ReceiveBatch::new(),
            unsent: 0,
        })
    }

    fn connect(&self, number: u32) -> io::Result<UdpSocket> {
        let any: IpAddr = match self.to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = udp::bind(any, 0, SOCKET_BUFFER_BYTES, DSCP)?;
        udp::tell_arrival(&socket)?;
        socket.connect(self.to)?;
        let mut socket = UdpSocket::from_std(socket);
        self.poll.registry().register(&mut socket, Token(number as usize), Interest::READABLE)?;
        Ok(socket)
    }
}

impl Lines for ConnectedLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        let socket = self.connect(number).map_err(LineError::Socket)?;
        self.sockets.insert(number, socket);
        Ok(Opened::Now)
    }

    fn send(&mut self, number: u32, frame: u32, payload: &[u8]) {
        let Some(socket) = self.sockets.get_mut(number) else { return };
        self.unsent += u64::from(socket.send(self.packets.write(number, frame, payload)).is_err());
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
            let Some(socket) = self.sockets.get_mut(number) else { continue };
            loop {
                let more = match self.receiving.receive(socket.as_fd()) {
                    Ok(more) => more,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => {
                        self.sockets.remove(number);
                        take(number, Event::Failed(error));
                        break;
                    }
                };
                let now = watch.now();
                for datagram in self.receiving.iter() {
                    let at = datagram.arrived.map_or(now, |wall| watch.of_wall(wall, now));
                    take(number, self.packets.read(datagram.bytes, at));
                }
                if !more {
                    break;
                }
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, number: u32) {
        self.sockets.remove(number);
    }
}
