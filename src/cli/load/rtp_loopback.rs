use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use super::hosts;
use super::lines::{Event, LineError, Lines, Opened};
use super::rtp::{DSCP, Packets};
use super::stopwatch::Stopwatch;
use crate::audio::MediaFormat;
use crate::runtime::udp::{self, ReceiveBatch, SendBatch};

/// Asked of the kernel for the socket, in each direction.
pub(super) const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Batches that are read before it is time to look after what is to be sent.
pub(super) const MAX_BATCHES: usize = 64;

/// Callers over RTP to a server on this machine: one socket, and an address of its own for each
/// caller.
pub(super) struct LoopbackLines {
    socket: UdpSocket,
    to: SocketAddr,
    packets: Packets,
    sending: SendBatch<()>,
    receiving: ReceiveBatch,
    unsent: u64,
}

impl LoopbackLines {
    /// Callers of a server on the loopback interface.
    ///
    /// # Errors
    /// Where there is no socket.
    pub(super) fn new(to: SocketAddr, format: MediaFormat) -> Result<Self, LineError> {
        let socket = udp::bind(Ipv4Addr::UNSPECIFIED.into(), 0, SOCKET_BUFFER_BYTES, DSCP)
            .and_then(|socket| {
                udp::tell_local_address(&socket)?;
                udp::tell_arrival(&socket)?;
                Ok(socket)
            })
            .map_err(LineError::Socket)?;
        Ok(Self {
            socket,
            to,
            packets: Packets::new(format),
            sending: SendBatch::new(),
            receiving: ReceiveBatch::new(),
            unsent: 0,
        })
    }
}

impl Lines for LoopbackLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        hosts::host(number).map(|_| Opened::Now).ok_or(LineError::Addresses(number))
    }

    fn send(&mut self, number: u32, frame: u32, payload: &[u8]) {
        let Some(source) = hosts::host(number) else { return };
        let packet = self.packets.write(number, frame, payload);
        if self.sending.push_from(source, self.to, packet, ()) {
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
        for _ in 0..MAX_BATCHES {
            let more = match self.receiving.receive(self.socket.as_fd()) {
                Ok(more) => more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(LineError::Socket(error)),
            };
            let now = watch.now();
            for datagram in self.receiving.iter().filter(|datagram| datagram.from == self.to) {
                let Some(number) = datagram.to.and_then(hosts::number) else { continue };
                let at = datagram.arrived.map_or(now, |wall| watch.of_wall(wall, now));
                take(number, self.packets.read(datagram.bytes, at));
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, _: u32) {}

    fn overruns(&self) -> u64 {
        self.receiving.overruns()
    }
}
