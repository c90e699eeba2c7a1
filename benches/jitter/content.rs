//! What the packets of a trace carry: speech, in which every sample can be told from all others.
//!
//! G.711 for our leg: the lowest bit of each code is drawn by the sample's place in the stream, so
//! that a run of some thirty samples lies at one place only. Floats for the crate `neteq`: the lower
//! 16 bits of the mantissa are the sample's place. Either changes the speech by less than a
//! thousandth of its level, or a step of G.711.

use std::path::Path;

use sidetone::dsp::g711;
use sidetone::dsp::random::Random;
use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpTs, Seq, Ssrc};

use crate::trace::{PACKET, Sent};

/// Samples after which the places in the floats begin again.
pub(crate) const PLACES: u32 = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 16;

/// The least that a float is, so that it has a mantissa: a third of a step of 16 bits.
const LEAST: f32 = 1e-5;

/// Speech, over and over.
#[derive(Debug)]
pub(crate) struct Content {
    codes: Vec<u8>,
    floats: Vec<f32>,
}

/// A file of `fixtures/` at 8 kHz.
pub(crate) fn speech() -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/speech-8k.wav");
    let samples: Result<_, _> = hound::WavReader::open(path).unwrap().into_samples().collect();
    samples.unwrap()
}

impl Content {
    pub(crate) fn new() -> Self {
        let mut samples = speech();
        samples.truncate(samples.len() / PACKET * PACKET);
        let mut codes = vec![0; samples.len()];
        g711::ulaw_encode(&samples, &mut codes);
        let floats = samples.iter().map(|&sample| f32::from(sample) / 32_768.0);
        let floats = floats.map(|value| if value.abs() < LEAST { LEAST } else { value });
        Self { codes, floats: floats.collect() }
    }

    /// What a packet carries as µ-law.
    pub(crate) fn codes(&self, packet: usize) -> [u8; PACKET] {
        let start = packet * PACKET % self.codes.len();
        let mut codes: [u8; PACKET] =
            self.codes[start..start + PACKET].try_into().expect("whole packets");
        let mut random = Random(packet as u64);
        for group in codes.chunks_mut(64) {
            let drawn = random.bits();
            for (n, code) in group.iter_mut().enumerate() {
                *code = *code & !1 | (drawn >> n & 1) as u8;
            }
        }
        codes
    }

    /// The same, decoded.
    pub(crate) fn samples(&self, packet: usize) -> [i16; PACKET] {
        let mut samples = [0; PACKET];
        g711::ulaw_decode(&self.codes(packet), &mut samples);
        samples
    }

    /// What a packet carries as floats that tell their places.
    pub(crate) fn floats(&self, packet: usize) -> impl Iterator<Item = f32> {
        let first = packet * PACKET;
        (first..first + PACKET).map(|place| {
            let bits = self.floats[place % self.floats.len()].to_bits();
            f32::from_bits(bits & !(PLACES - 1) | place as u32 & (PLACES - 1))
        })
    }

    /// A packet on the wire.
    pub(crate) fn datagram(&self, packet: usize, sent: &Sent, out: &mut Vec<u8>) {
        out.clear();
        let header = RtpHeader {
            marker: sent.marker,
            payload_type: PayloadType::new(0).expect("µ-law's"),
            seq: Seq((packet & 0xffff) as u16),
            timestamp: RtpTs((sent.media & 0xffff_ffff) as u32),
            ssrc: Ssrc(0x5eed),
        };
        rtp::write(&header, &self.codes(packet), out);
    }
}

/// The place that a float tells, of [`PLACES`].
pub(crate) fn place_of(value: f32) -> u32 {
    value.to_bits() & (PLACES - 1)
}
