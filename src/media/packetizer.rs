use crate::audio::MediaFormat;
use crate::wire::rtp::{self, RtpHeader};
use crate::wire::{PayloadType, RtpTs, Seq, Ssrc};

/// Where a stream of ours begins. RFC 3550 section 5.1 wants all three at random; they are an
/// argument, so that a test can put the wraps where it wants them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacketizerSeed {
    /// Our synchronisation source.
    pub ssrc: Ssrc,
    /// First sequence number.
    pub seq: Seq,
    /// First timestamp.
    pub timestamp: RtpTs,
}

/// Puts RTP headers before payloads.
///
/// The marker bit is set at the start of a talkspurt only: on the first packet and on the first
/// one after suppressed silence (RFC 3551 section 4.1).
#[derive(Clone, Debug)]
pub struct Packetizer {
    next: RtpHeader,
}

impl Packetizer {
    /// A stream of packets in `format`.
    #[must_use]
    pub fn new(format: MediaFormat, seed: PacketizerSeed) -> Self {
        let payload_type =
            PayloadType::new(format.payload_type()).expect("a format's payload type has 7 bits");
        Self {
            next: RtpHeader {
                marker: true,
                payload_type,
                seq: seed.seq,
                timestamp: seed.timestamp,
                ssrc: seed.ssrc,
            },
        }
    }

    /// The header of the next packet.
    #[must_use]
    pub fn header(&self) -> [u8; rtp::HEADER_BYTES] {
        rtp::header_bytes(&self.next)
    }

    /// The packet is sent; the next one's samples come so many ticks later.
    pub fn sent(&mut self, ticks: u32) {
        self.next.marker = false;
        self.next.seq = self.next.seq.plus(1);
        self.next.timestamp = self.next.timestamp.plus(ticks);
    }

    /// Lets time pass without a packet: the next one begins a talkspurt.
    pub fn pause(&mut self, ticks: u32) {
        self.next.marker = true;
        self.next.timestamp = self.next.timestamp.plus(ticks);
    }

    /// Lets time pass that we owe the peer: no packet, but no talkspurt either.
    pub fn skip(&mut self, ticks: u32) {
        self.next.timestamp = self.next.timestamp.plus(ticks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::RtpPacket;

    fn packetizer() -> Packetizer {
        let seed =
            PacketizerSeed { ssrc: Ssrc(7), seq: Seq(65_535), timestamp: RtpTs(u32::MAX - 159) };
        Packetizer::new(MediaFormat::Alaw, seed)
    }

    #[test]
    fn only_the_start_of_a_talkspurt_carries_the_marker() {
        let (mut packetizer, mut markers) = (packetizer(), Vec::new());
        for n in 0..8 {
            if n == 3 || n == 4 {
                packetizer.pause(160);
                continue;
            }
            if n == 6 {
                packetizer.skip(160);
            }
            let mut out = packetizer.header().to_vec();
            out.extend_from_slice(&[0xd5; 160]);
            packetizer.sent(160);
            let packet = RtpPacket::parse(&out).unwrap();
            markers.push((packet.marker(), packet.seq().0, packet.timestamp().0));
        }
        assert_eq!(
            markers,
            [
                (true, 65_535, u32::MAX - 159),
                (false, 0, 0),
                (false, 1, 160),
                (true, 2, 640),
                (false, 3, 960),
                (false, 4, 1_120),
            ],
        );
    }
}
