use std::net::SocketAddr;
use std::time::Instant;

use super::beside_audio::is_beside_audio;
use super::rtp_downlink::RtpDownlink;
use super::rtp_uplink::RtpUplink;
use super::{
    CallStats, MediaSettings, PacketizerSeed, Reception, Rejected, SourceCheck, Uplink, Verdict,
};
use crate::audio::{MediaFormat, SampleRate};
use crate::wire::RtpPacket;

/// One call's RTP, both directions.
#[derive(Debug)]
pub struct RtpLeg {
    format: MediaFormat,
    rate: SampleRate,
    peer: Option<SocketAddr>,
    source: SourceCheck,
    uplink: RtpUplink,
    candidate: Option<Box<Candidate>>,
    change: Change,
    format_told: bool,
    mismatch: Option<u8>,
    mismatch_told: bool,
    downlink: RtpDownlink,
}

/// What may be a new stream.
#[derive(Debug)]
struct Candidate {
    /// Its first packet, and when that came.
    first: Vec<u8>,
    since: Instant,
    /// The packet that confirmed it.
    second: Vec<u8>,
}

/// How far the change to a new stream has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Change {
    /// None is under way.
    None,
    /// What waits of the old stream comes first.
    Flush,
    /// The first packet of the new one is used, the second is next.
    Second,
}

impl RtpLeg {
    /// A leg in `format` of a call that began at `epoch`. Nothing is received or sent until
    /// [`Self::set_peer`].
    ///
    /// What is sent goes out in the format that the settings choose for it
    /// ([`ReturnFormat`](super::ReturnFormat)).
    ///
    /// # Panics
    /// Where the settings of Opus are out of range.
    #[must_use]
    pub fn new(
        format: MediaFormat,
        epoch: Instant,
        settings: &MediaSettings,
        seed: PacketizerSeed,
    ) -> Self {
        let rate = settings.rate_of(format);
        Self {
            format,
            rate,
            peer: None,
            source: SourceCheck::default(),
            uplink: RtpUplink::new(format, rate, epoch, settings, u64::from(seed.ssrc.0)),
            candidate: None,
            change: Change::None,
            format_told: false,
            mismatch: None,
            mismatch_told: false,
            downlink: RtpDownlink::new(format, rate, settings, seed),
        }
    }

    /// Rate of the samples of both directions.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Asks for the memory that the next packet needs, behind the leg itself.
    pub(super) fn prefetch(&self) {
        self.uplink.prefetch();
    }

    /// The address that the call is locked to.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Locks the call to an address.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        self.peer = Some(peer);
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        stats: &mut CallStats,
    ) {
        if self.peer != Some(from) {
            stats.rejected.count(Rejected::ForeignSource);
            return;
        }
        let packet = match RtpPacket::parse(datagram) {
            Ok(packet) => packet,
            Err(_) => return stats.rejected.count(Rejected::Malformed),
        };
        if let Err(reason) = self.check_payload(&packet) {
            return stats.rejected.count(reason);
        }
        match self.source.check(packet.ssrc(), packet.seq()) {
            Verdict::Accept => {
                self.drop_held(stats);
                self.uplink.accept(now, &packet, stats);
            }
            Verdict::Hold => {
                self.drop_held(stats);
                let (first, second) = (datagram.to_owned(), Vec::new());
                self.candidate = Some(Box::new(Candidate { first, since: now, second }));
            }
            Verdict::Restart => {
                stats.stream_restarts += 1;
                if let Some(candidate) = &mut self.candidate {
                    datagram.clone_into(&mut candidate.second);
                }
                self.change = Change::Flush;
                self.uplink.give_up_holes();
            }
        }
    }

    pub(super) fn poll(&mut self, now: Instant, stats: &mut CallStats) -> Option<Uplink<'_>> {
        if !self.format_told {
            self.format_told = true;
            return Some(Uplink::Format { format: self.format, rate: self.rate });
        }
        if let Some(actual) = self.mismatch.take() {
            return Some(Uplink::FormatMismatch { expected: self.format, actual });
        }
        loop {
            if self.change == Change::Second && !self.uplink.has_frame() {
                self.continue_stream(now, stats);
            }
            if self.uplink.advance(now, stats) {
                break;
            }
            if self.change == Change::Flush {
                self.begin_stream(stats);
            } else if self.uplink.noise_is_due(now) {
                break;
            } else {
                return None;
            }
        }
        Some(self.uplink.take(stats))
    }

    pub(super) fn give_up_holes(&mut self) {
        self.uplink.give_up_holes();
    }

    pub(super) fn wake(&self) -> Option<Instant> {
        self.uplink.wake()
    }

    pub(super) fn reception(&self) -> Reception {
        self.uplink.reception()
    }

    pub(super) fn send(&mut self, samples: &[i16], audible: bool, out: &mut Vec<u8>) -> bool {
        self.downlink.send(samples, audible, out)
    }

    pub(super) fn skip(&mut self, samples: usize) {
        self.downlink.skip(samples);
    }

    fn check_payload(&mut self, packet: &RtpPacket<'_>) -> Result<(), Rejected> {
        if is_beside_audio(packet.payload_type()) {
            return Ok(());
        }
        let payload_type = packet.payload_type().value();
        if !self.format.accepts_payload_type(payload_type) {
            if !self.mismatch_told {
                self.mismatch_told = true;
                self.mismatch = Some(payload_type);
            }
            return Err(Rejected::PayloadType);
        }
        if self.format.allows_payload_of(packet.payload().len()) {
            Ok(())
        } else {
            Err(Rejected::PayloadSize)
        }
    }

    /// Follows the peer to a new stream, which the held packet began.
    fn begin_stream(&mut self, stats: &mut CallStats) {
        self.uplink.restart();
        if let Some(candidate) = self.candidate.take() {
            self.take_datagram(candidate.since, &candidate.first, stats);
            self.candidate = Some(candidate);
        }
        self.change = Change::Second;
    }

    /// Takes the packet that confirmed the new stream.
    fn continue_stream(&mut self, now: Instant, stats: &mut CallStats) {
        self.change = Change::None;
        if let Some(candidate) = self.candidate.take() {
            self.take_datagram(now, &candidate.second, stats);
        }
    }

    fn take_datagram(&mut self, now: Instant, datagram: &[u8], stats: &mut CallStats) {
        let packet = RtpPacket::parse(datagram).expect("a held packet was parsed before");
        self.uplink.accept(now, &packet, stats);
    }

    /// A held packet that was not confirmed belonged to no stream of ours.
    fn drop_held(&mut self, stats: &mut CallStats) {
        if self.candidate.take().is_some() {
            stats.rejected.count(Rejected::ForeignSsrc);
        }
    }
}
