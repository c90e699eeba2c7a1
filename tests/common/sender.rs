use sidetone::audio::MediaFormat;
use sidetone::dsp::{g711, l16};
use sidetone::wire::rtp::{self, RtpHeader};
use sidetone::wire::{PayloadType, RtpTs, Seq, Ssrc};

/// The bits that a test stream has at a place, and hardly at any other.
pub(crate) fn noise(place: u64) -> u16 {
    let mixed = (place ^ 0x5bf0_3635).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40 & 0xffff) as u16
}

/// The sample that a test stream of `format` has at `place` once it is decoded.
///
/// # Panics
/// For codecs with memory, whose samples depend on more than their place.
pub(crate) fn sample(format: MediaFormat, place: u64) -> i16 {
    let code = [(noise(place) & 0xff) as u8];
    let mut sample = [0];
    match format {
        MediaFormat::Ulaw => g711::ulaw_decode(&code, &mut sample),
        MediaFormat::Alaw => g711::alaw_decode(&code, &mut sample),
        MediaFormat::Slin(_) => return noise(place).cast_signed(),
        MediaFormat::G722 | MediaFormat::Opus => panic!("{format} has a memory"),
    };
    sample[0]
}

/// A peer that sends RTP. Its samples tell their places in its stream.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) format: MediaFormat,
    pub(crate) ssrc: u32,
    pub(crate) seq: u16,
    pub(crate) ts: u32,
    /// Place in the stream of the next sample.
    pub(crate) place: u64,
    /// Samples of one packet.
    pub(crate) samples: usize,
}

impl Sender {
    /// A sender of packets of 20 ms.
    pub(crate) fn new(format: MediaFormat) -> Self {
        let samples = format.sample_rate().hz() as usize / 50;
        Self { format, ssrc: 0x1234_5678, seq: 100, ts: 5_000, place: 0, samples }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let places = self.place..self.place + self.samples as u64;
        let payload: Vec<u8> = match self.format {
            MediaFormat::Slin(_) => {
                let samples: Vec<i16> = places.map(|place| sample(self.format, place)).collect();
                let mut payload = vec![0; 2 * samples.len()];
                l16::encode_be(&samples, &mut payload);
                payload
            }
            _ => places.map(|place| (noise(place) & 0xff) as u8).collect(),
        };
        self.carry(&payload, self.samples as u64)
    }

    /// The next packet, with this payload of so many ticks of the format's clock.
    pub(crate) fn carry(&mut self, payload: &[u8], ticks: u64) -> Vec<u8> {
        let packet = self.write(self.format.payload_type(), payload);
        self.seq = self.seq.wrapping_add(1);
        self.pause(ticks);
        packet
    }

    /// The next packet, of another payload type and beside the audio.
    pub(crate) fn side(&mut self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let packet = self.write(payload_type, payload);
        self.seq = self.seq.wrapping_add(1);
        packet
    }

    /// Lets the time of so many samples pass without a packet.
    pub(crate) fn pause(&mut self, samples: u64) {
        self.ts = self.ts.wrapping_add((samples & 0xffff_ffff) as u32);
        self.place += samples;
    }

    fn write(&self, payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let header = RtpHeader {
            marker: false,
            payload_type: PayloadType::new(payload_type).expect("a payload type has 7 bits"),
            seq: Seq(self.seq),
            timestamp: RtpTs(self.ts),
            ssrc: Ssrc(self.ssrc),
        };
        let mut packet = Vec::new();
        rtp::write(&header, payload, &mut packet);
        packet
    }
}
