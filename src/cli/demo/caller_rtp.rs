use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::caller::{CallerError, Line};
use super::probe::Served;
use crate::audio::MediaFormat;
use crate::call::{EndReason, Transport};
use crate::cli::fixture::FRAME_SAMPLES;
use crate::dsp::g711;
use crate::runtime::MediaHandle;
use crate::wire::{ExtTs, PayloadType, RtpHeader, RtpPacket, RtpTs, Seq, Ssrc, TsExtender, rtp};

/// Format of the call.
pub(super) const FORMAT: MediaFormat = MediaFormat::Ulaw;

/// Longer than any packet that a server of ours sends.
const DATAGRAM_BYTES: usize = 2_048;

/// How long packets that the server says it has sent are waited for after the call.
const WAIT_FOR_MISSING: Duration = Duration::from_millis(500);
/// How long after the call the server is given to send more than it says.
const WAIT_FOR_SURPLUS: Duration = Duration::from_millis(20);

/// Sequence number and timestamp of the first packet: both wrap within the speech, because a call
/// of 22 minutes does that too.
const FIRST_SEQ: Seq = Seq(u16::MAX - 100);
const FIRST_TIMESTAMP: RtpTs = RtpTs(u32::MAX - 150 * FRAME_SAMPLES as u32);

/// A caller over RTP, as Asterisk's UnicastRTP is one. RTP has no hang-up: what ARI does in
/// earnest, a call to [`MediaHandle`] does here.
pub(super) struct RtpCaller {
    socket: UdpSocket,
    next: RtpHeader,
    packet: Vec<u8>,
    codes: Vec<u8>,
    buffer: Box<[u8]>,
    received: u64,
    ts: TsExtender,
    first_heard: Option<ExtTs>,
    server: MediaHandle,
    reports: UnboundedReceiver<Served>,
    served: Option<Served>,
}

impl RtpCaller {
    /// A caller on a port of its own that sends to `to`.
    pub(super) async fn new(
        to: SocketAddr,
        server: MediaHandle,
        reports: UnboundedReceiver<Served>,
    ) -> Result<Self, CallerError> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(to).await?;
        Ok(Self {
            socket,
            next: RtpHeader {
                marker: true,
                payload_type: PayloadType::from(FORMAT),
                seq: FIRST_SEQ,
                timestamp: FIRST_TIMESTAMP,
                ssrc: Ssrc(0x51de_704e),
            },
            packet: Vec::new(),
            codes: Vec::new(),
            buffer: vec![0; DATAGRAM_BYTES].into(),
            received: 0,
            ts: TsExtender::new(),
            first_heard: None,
            server,
            reports,
            served: None,
        })
    }

    /// The call as the server saw it; there once [`Line::hang_up`] has succeeded.
    pub(super) fn into_served(self) -> Option<Served> {
        self.served
    }
}

impl Line for RtpCaller {
    async fn send(&mut self, samples: &[i16]) -> Result<(), CallerError> {
        self.codes.resize(samples.len(), 0);
        g711::ulaw_encode(samples, &mut self.codes);
        rtp::write(&self.next, &self.codes, &mut self.packet);
        self.next.marker = false;
        self.next.seq = self.next.seq.plus(1);
        self.next.timestamp = self.next.timestamp.plus(FRAME_SAMPLES as u32);
        self.socket.send(&self.packet).await?;
        Ok(())
    }

    async fn receive(&mut self, samples: &mut Vec<i16>) -> Result<Option<u64>, CallerError> {
        let length = match &self.served {
            None => self.socket.recv(&mut self.buffer).await?,
            // The call is over, but the kernel may hold its last packets back for a while.
            Some(served) => {
                let missing = served.stats.packets_sent > self.received;
                let limit = if missing { WAIT_FOR_MISSING } else { WAIT_FOR_SURPLUS };
                let Ok(length) = timeout(limit, self.socket.recv(&mut self.buffer)).await else {
                    return Ok(None);
                };
                length?
            }
        };
        self.received += 1;
        let packet = RtpPacket::parse(&self.buffer[..length]).map_err(|error| {
            CallerError::Unexpected { expected: "an RTP packet", actual: error.to_string() }
        })?;
        if packet.payload_type() != PayloadType::from(FORMAT) {
            return Err(CallerError::Unexpected {
                expected: "payload type 0",
                actual: format!("payload type {}", packet.payload_type().value()),
            });
        }
        samples.resize(packet.payload().len(), 0);
        g711::ulaw_decode(packet.payload(), samples);
        let at = self.ts.extend(packet.timestamp());
        let first = *self.first_heard.get_or_insert(at);
        u64::try_from(at.since(first)).map(Some).map_err(|_| CallerError::Unexpected {
            expected: "audio behind its first packet",
            actual: format!("audio {} samples before it", first.since(at)),
        })
    }

    async fn hang_up(&mut self) -> Result<(), CallerError> {
        for call in self.server.calls() {
            if call.transport == Transport::Rtp {
                self.server.end(call.id, EndReason::Requested);
            }
        }
        self.served = self.reports.recv().await;
        Ok(())
    }
}
