use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use super::switchboard::{Desk, News};
use super::{Exchange, Switchboard, SwitchboardError};
use crate::audio::MediaFormat;
use crate::call::Transport;
use crate::cli::load::lines::{Event, LineError, Lines, Opened};
use crate::cli::load::ring::Ring;
use crate::cli::load::rtp::{DSCP, Packets};
use crate::cli::load::rtp_loopback::{MAX_BATCHES, SOCKET_BUFFER_BYTES};
use crate::cli::load::stopwatch::Stopwatch;
use crate::runtime::Clock;
use crate::runtime::udp::{self, ReceiveBatch, SendBatch};

/// Callers over RTP whose calls an Asterisk makes: one socket; Asterisk has a port for each of them.
pub(in crate::cli::load) struct RelayedLines {
    socket: UdpSocket,
    desk: Desk,
    /// Where Asterisk has its end of each call.
    peers: Ring<SocketAddr>,
    numbers: HashMap<SocketAddr, u32>,
    packets: Packets,
    sending: SendBatch<()>,
    receiving: ReceiveBatch,
    unsent: u64,
}

impl RelayedLines {
    /// Callers of whom at most `span` have numbers at once.
    ///
    /// # Errors
    /// Where there is no socket, or Asterisk cannot be had.
    pub(in crate::cli::load) fn start(
        exchange: Exchange,
        format: MediaFormat,
        span: usize,
        clock: Clock,
    ) -> Result<(Switchboard, Self), SwitchboardError> {
        let bind = || -> io::Result<_> {
            let socket = udp::bind(exchange.local, 0, SOCKET_BUFFER_BYTES, DSCP)?;
            udp::tell_arrival(&socket)?;
            let port = socket.local_addr()?.port();
            Ok((socket, port))
        };
        let (socket, port) = bind().map_err(SwitchboardError::Socket)?;
        let (switchboard, desk) =
            Switchboard::start(exchange, Transport::Rtp, format, port, clock)?;
        let lines = Self {
            socket,
            desk,
            peers: Ring::new(span),
            numbers: HashMap::new(),
            packets: Packets::new(format),
            sending: SendBatch::new(),
            receiving: ReceiveBatch::new(),
            unsent: 0,
        };
        Ok((switchboard, lines))
    }

    fn forget(&mut self, number: u32) {
        if let Some(peer) = self.peers.remove(number) {
            self.numbers.remove(&peer);
        }
    }
}

impl Lines for RelayedLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        self.desk.begin(number);
        Ok(Opened::Later)
    }

    fn send(&mut self, number: u32, frame: u32, payload: &[u8]) {
        let Some(peer) = self.peers.get_mut(number).copied() else { return };
        let packet = self.packets.write(number, frame, payload);
        if self.sending.push(peer, packet, ()) {
            self.sending.send(self.socket.as_fd(), |()| self.unsent += 1);
        }
    }

    fn flush(&mut self) -> u64 {
        self.sending.send(self.socket.as_fd(), |()| self.unsent += 1);
        std::mem::take(&mut self.unsent)
    }

    fn receive(
        &mut self,
        watch: &Stopwatch,
        mut take: impl FnMut(u32, Event<'_>),
    ) -> Result<(), LineError> {
        while let Some(news) = self.desk.news() {
            match news {
                News::Up { number, peer } => {
                    let peer = peer.expect("an external channel over RTP tells its address");
                    self.peers.insert(number, peer);
                    self.numbers.insert(peer, number);
                    take(number, Event::Opened);
                }
                News::Failed { number, error } => {
                    self.forget(number);
                    take(number, Event::Failed(io::Error::other(error)));
                }
                News::Over(over) => return Err(over.into()),
            }
        }
        for _ in 0..MAX_BATCHES {
            let more = match self.receiving.receive(self.socket.as_fd()) {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // A port of Asterisk's that is closed already (ICMP) is told by its events.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(LineError::Socket(error)),
            };
            let now = watch.now();
            for datagram in self.receiving.iter() {
                let Some(number) = self.numbers.get(&datagram.from) else { continue };
                let at = datagram.arrived.map_or(now, |wall| watch.of_wall(wall, now));
                take(*number, self.packets.read(datagram.bytes, at));
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, number: u32) {
        self.forget(number);
        self.desk.end(number);
    }

    fn overruns(&self) -> u64 {
        self.receiving.overruns()
    }
}
