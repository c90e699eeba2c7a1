use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use super::lines::{Answer, Event, LineError, Lines, Opened};
use super::stopwatch::Stopwatch;
use crate::audio::MediaFormat;
use crate::dsp::random::Random;
use crate::runtime::udp::{self, ReceiveBatch, SendBatch};
use crate::wire::{PayloadType, RtpHeader, RtpPacket, RtpTs, Seq, Ssrc, rtp};

/// Asked of the kernel for the socket, in each direction.
pub(super) const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Expedited forwarding (RFC 3246), as a server marks its packets.
pub(super) const DSCP: u8 = 46;

/// Address of the first caller. The others follow it.
const FIRST_HOST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// Callers that have an address.
const HOSTS: u32 = u32::from_be_bytes([127, 255, 255, 255]) - u32::from_be_bytes([127, 1, 0, 0]);

/// Batches that are read before it is time to look after what is to be sent.
const MAX_BATCHES: usize = 64;

/// What the headers of a call's packets are counted from.
const SEED: u64 = 0x10ad;

/// Callers over RTP to a server on this machine: one socket, and an address of its own for each
/// caller, all of which the loopback interface has.
pub(super) struct LoopbackLines {
    socket: UdpSocket,
    to: SocketAddr,
    payload_type: PayloadType,
    packet: Vec<u8>,
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
            payload_type: format.into(),
            packet: Vec::new(),
            sending: SendBatch::new(),
            receiving: ReceiveBatch::new(),
            unsent: 0,
        })
    }
}

impl Lines for LoopbackLines {
    fn open(&mut self, number: u32) -> Result<Opened, LineError> {
        if number < HOSTS { Ok(Opened::Now) } else { Err(LineError::Addresses(number)) }
    }

    fn send(&mut self, number: u32, frame: u32, payload: &[u8]) {
        rtp::write(&header(number, frame, self.payload_type), payload, &mut self.packet);
        let source = Ipv4Addr::from(u32::from(FIRST_HOST) + number);
        if self.sending.push_from(source, self.to, &self.packet, ()) {
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
                let Some(number) = datagram.to.and_then(number) else { continue };
                let at = datagram.arrived.map_or(now, |wall| watch.of_wall(wall, now));
                let event = match RtpPacket::parse(datagram.bytes) {
                    Ok(packet) if packet.payload_type() == self.payload_type => {
                        let (header, payload) = (Some(*packet.header()), packet.payload());
                        Event::Answer(Answer { header, payload, at })
                    }
                    _ => Event::Foreign,
                };
                take(number, event);
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    fn hang_up(&mut self, _: u32) {}

    fn is_closing(&self) -> bool {
        false
    }

    fn overruns(&self) -> u32 {
        self.receiving.overruns()
    }
}

/// The caller who has an address.
fn number(host: Ipv4Addr) -> Option<u32> {
    u32::from(host).checked_sub(FIRST_HOST.into()).filter(|number| *number < HOSTS)
}

/// The header of a call's frame: where the numbers begin is chance, as RFC 3550 wants it, but the
/// same in every run.
pub(super) fn header(number: u32, frame: u32, payload_type: PayloadType) -> RtpHeader {
    let mut random = Random(SEED ^ u64::from(number));
    let (bits, more) = (random.bits(), random.bits());
    let [first, second] = [bits >> 32, bits].map(|half| (half & u64::from(u32::MAX)) as u32);
    let first_seq = Seq((more & u64::from(u16::MAX)) as u16);
    RtpHeader {
        marker: frame == 0,
        payload_type,
        seq: first_seq.plus((frame & u32::from(u16::MAX)) as u16),
        timestamp: RtpTs(second).plus(frame.wrapping_mul(FRAME_TICKS)),
        ssrc: Ssrc(first),
    }
}

/// Ticks of a frame of 20 ms, of G.711.
const FRAME_TICKS: u32 = 160;
