use std::collections::HashMap;

use crate::audio::SampleRate;
use crate::cli::fixture;
use crate::dsp::random::Random;
use crate::dsp::resample::{Quality, Resampler};
use crate::dsp::{g711, l16};

/// Most bytes by which a place in the speech is found; no two places share them.
const MOST_KEY_BYTES: usize = 32;

/// Longest run of silence that the speech may hold, in samples: a longer one in an echo is the
/// server's.
pub(super) const SILENCE_SAMPLES: usize = 16;

/// Peak of the noise that lies under the speech, three steps of A-law: −61 dBFS, as quiet as a line.
const NOISE_PEAK: i16 = 48;
const NOISE_SEED: u64 = 0x51de_70e5;

/// How samples are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    Ulaw,
    Alaw,
    /// 16 bit, little-endian.
    Slin,
    /// The same, of such samples as µ-law has: it comes through that as it is.
    SlinOfUlaw,
}

/// What every caller says, again and again, as it is on the wire.
///
/// A little noise lies under it, so that no place of it is silent and none is like another: an echo
/// tells by itself which part of the speech it is.
pub(super) struct Speech {
    rate: SampleRate,
    encoding: Encoding,
    /// The speech, twice.
    bytes: Vec<u8>,
    samples: u64,
    /// Where each key that is there once begins, in samples.
    places: HashMap<Key, u64>,
    silence: [u8; 2],
}

impl Encoding {
    /// Bytes of a sample.
    pub(super) const fn width(self) -> usize {
        match self {
            Self::Ulaw | Self::Alaw => 1,
            Self::Slin | Self::SlinOfUlaw => 2,
        }
    }

    /// Bytes by which a place is found: of µ-law samples 16, of those that tell more, fewer.
    const fn key_bytes(self) -> usize {
        match self {
            Self::Ulaw | Self::Alaw | Self::Slin => 16,
            Self::SlinOfUlaw => MOST_KEY_BYTES,
        }
    }

    fn encode(self, samples: &[i16]) -> Vec<u8> {
        let mut bytes = vec![0; samples.len() * self.width()];
        let mut again = vec![0; samples.len()];
        match self {
            // Encoded twice: the code of what a server hears is the one that it sends back.
            Self::Ulaw => {
                g711::ulaw_encode(samples, &mut bytes);
                g711::ulaw_decode(&bytes, &mut again);
                g711::ulaw_encode(&again, &mut bytes);
            }
            Self::Alaw => {
                g711::alaw_encode(samples, &mut bytes);
                g711::alaw_decode(&bytes, &mut again);
                g711::alaw_encode(&again, &mut bytes);
            }
            Self::Slin => {
                l16::encode_le(samples, &mut bytes);
            }
            Self::SlinOfUlaw => {
                g711::ulaw_decode(&Self::Ulaw.encode(samples), &mut again);
                l16::encode_le(&again, &mut bytes);
            }
        }
        bytes
    }
}

impl Speech {
    /// The fixture of speech at `rate`.
    pub(super) fn new(encoding: Encoding, rate: SampleRate) -> Self {
        let mut samples = fixture::speech();
        if rate != fixture::RATE {
            let mut resampled = Vec::new();
            let mut resampler = Resampler::new(fixture::RATE, rate, Quality::Voice);
            resampler.process(&samples, &mut resampled);
            samples = resampled;
        }
        let mut noise = Random(NOISE_SEED);
        for sample in &mut samples {
            let peak = f64::from(NOISE_PEAK);
            let added = ((2.0 * noise.unit() - 1.0) * peak).round() as i16;
            *sample = sample.saturating_add(added);
        }
        Self::of(encoding, rate, &samples)
    }

    fn of(encoding: Encoding, rate: SampleRate, samples: &[i16]) -> Self {
        let bytes = encoding.encode(samples).repeat(2);
        let mut places = HashMap::new();
        let mut twice = Vec::new();
        let width = encoding.width();
        for place in 0..samples.len() {
            let key = key(encoding, &bytes[place * width..]).expect("the second time is behind");
            if places.insert(key, place as u64).is_some() {
                twice.push(key);
            }
        }
        for key in twice {
            places.remove(&key);
        }
        let mut silence = [0; 2];
        silence[..width].copy_from_slice(&encoding.encode(&[0]));
        Self { rate, encoding, bytes, samples: samples.len() as u64, places, silence }
    }

    /// Bytes of a sample.
    pub(super) fn width(&self) -> usize {
        self.encoding.width()
    }

    /// Samples of one packet, 20 ms.
    pub(super) fn frame_samples(&self) -> u64 {
        u64::from(self.rate.hz() / 50)
    }

    /// Samples until it begins again.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// `samples` of the speech from `place` on, at most as many as it has.
    pub(super) fn at(&self, place: u64, samples: usize) -> &[u8] {
        let width = self.width();
        let from = (place % self.samples) as usize * width;
        &self.bytes[from..from + samples.min(self.samples as usize) * width]
    }

    /// Which place of the speech `bytes` begin with.
    pub(super) fn place_of(&self, bytes: &[u8]) -> Option<u64> {
        self.places.get(&key(self.encoding, bytes)?).copied()
    }

    /// Samples by which a place is found.
    pub(super) fn key_samples(&self) -> usize {
        self.encoding.key_bytes() / self.width()
    }

    /// How many samples of silence `bytes` begin with.
    pub(super) fn silence_at(&self, bytes: &[u8]) -> usize {
        let width = self.width();
        bytes.chunks_exact(width).take_while(|sample| **sample == self.silence[..width]).count()
    }
}

/// Bytes by which a place is found, with zeros behind them.
type Key = [u8; MOST_KEY_BYTES];

fn key(encoding: Encoding, bytes: &[u8]) -> Option<Key> {
    let head = bytes.get(..encoding.key_bytes())?;
    let mut key = [0; MOST_KEY_BYTES];
    key[..head.len()].copy_from_slice(head);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_speech() -> impl Iterator<Item = Speech> {
        let of = |encoding| Speech::new(encoding, SampleRate::HZ_8000);
        let wide = Speech::new(Encoding::Slin, SampleRate::HZ_16000);
        let narrow = [Encoding::Ulaw, Encoding::Alaw, Encoding::Slin, Encoding::SlinOfUlaw];
        narrow.into_iter().map(of).chain([wide])
    }

    #[test]
    fn every_place_is_known_by_its_own_bytes() {
        for speech in every_speech() {
            let hz = u64::from(speech.rate.hz());
            assert!(speech.samples().abs_diff(hz * 496 / 100) < hz / 50, "five seconds");
            for place in 0..speech.samples() {
                let frame = speech.at(place, 160);
                assert_eq!(speech.place_of(frame), Some(place), "{:?}", speech.encoding);
            }
        }
    }

    #[test]
    fn no_place_is_silent() {
        for speech in every_speech() {
            let longest =
                (0..speech.samples()).map(|place| speech.silence_at(speech.at(place, 160))).max();
            assert!(longest < Some(SILENCE_SAMPLES), "{longest:?} in {:?}", speech.encoding);
            let silence = speech.encoding.encode(&[0; 160]);
            assert_eq!(speech.silence_at(&silence), 160);
        }
    }

    #[test]
    fn an_echo_has_the_codes_of_what_was_sent() {
        let mut samples = vec![0; 160];
        let mut codes = vec![0; 160];
        for place in (0..39_000).step_by(160) {
            let ulaw = Speech::new(Encoding::Ulaw, SampleRate::HZ_8000);
            g711::ulaw_decode(ulaw.at(place, 160), &mut samples);
            g711::ulaw_encode(&samples, &mut codes);
            assert_eq!(codes, ulaw.at(place, 160));
            let alaw = Speech::new(Encoding::Alaw, SampleRate::HZ_8000);
            g711::alaw_decode(alaw.at(place, 160), &mut samples);
            g711::alaw_encode(&samples, &mut codes);
            assert_eq!(codes, alaw.at(place, 160));
            // Linear samples, through µ-law.
            let slin = Speech::new(Encoding::SlinOfUlaw, SampleRate::HZ_8000);
            l16::decode_le(slin.at(place, 160), &mut samples);
            g711::ulaw_encode(&samples, &mut codes);
            let mut again = vec![0; 160];
            g711::ulaw_decode(&codes, &mut again);
            assert_eq!(again, samples);
        }
    }

    #[test]
    fn it_begins_again_behind_its_end() {
        let speech = Speech::new(Encoding::Ulaw, SampleRate::HZ_8000);
        let end = speech.samples();
        let across = speech.at(end - 80, 160);
        assert_eq!(across[..80], *speech.at(end - 80, 80));
        assert_eq!(across[80..], *speech.at(0, 80));
        assert_eq!(speech.at(3 * end + 7, 160), speech.at(7, 160));
    }
}
