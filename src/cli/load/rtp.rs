use crate::audio::MediaFormat;
use crate::dsp::random::Random;
use crate::wire::{PayloadType, RtpHeader, RtpPacket, RtpTs, Seq, Ssrc, rtp};

use super::lines::{Answer, Event};
use std::time::Duration;

/// Expedited forwarding (RFC 3246), as a server marks its packets.
pub(super) const DSCP: u8 = 46;

/// Ticks of a frame of 20 ms, of G.711.
const FRAME_TICKS: u32 = 160;

/// What the headers of a call's packets are counted from.
const SEED: u64 = 0x10ad;

/// Writes and reads the packets of calls in one format.
pub(super) struct Packets {
    payload_type: PayloadType,
    packet: Vec<u8>,
}

impl Packets {
    pub(super) fn new(format: MediaFormat) -> Self {
        Self { payload_type: format.into(), packet: Vec::new() }
    }

    /// The packet of a call's frame.
    pub(super) fn write(&mut self, number: u32, frame: u32, payload: &[u8]) -> &[u8] {
        rtp::write(&header(number, frame, self.payload_type), payload, &mut self.packet);
        &self.packet
    }

    /// What came at `at`.
    pub(super) fn read<'a>(&self, bytes: &'a [u8], at: Duration) -> Event<'a> {
        match RtpPacket::parse(bytes) {
            Ok(packet) if packet.payload_type() == self.payload_type => {
                let (header, payload) = (Some(*packet.header()), packet.payload());
                Event::Answer(Answer { header, payload, at })
            }
            _ => Event::Foreign,
        }
    }
}

/// The header of a call's frame: where the numbers begin is chance, as RFC 3550 section 5.1 wants it,
/// but the same in every run.
fn header(number: u32, frame: u32, payload_type: PayloadType) -> RtpHeader {
    let mut random = Random(SEED ^ u64::from(number));
    let (bits, more) = (random.bits(), random.bits());
    let [ssrc, timestamp] = [bits >> 32, bits].map(|half| (half & u64::from(u32::MAX)) as u32);
    RtpHeader {
        marker: frame == 0,
        payload_type,
        seq: Seq((more & 0xffff) as u16).plus((frame & 0xffff) as u16),
        timestamp: RtpTs(timestamp).plus(frame.wrapping_mul(FRAME_TICKS)),
        ssrc: Ssrc(ssrc),
    }
}
