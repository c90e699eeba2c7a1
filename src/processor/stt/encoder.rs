use super::opus_stream::OpusStream;
use crate::dsp::l16;

/// Makes the messages of one connection out of samples.
#[derive(Debug)]
pub(super) enum Encoder {
    /// 16 bits, little-endian.
    Linear16,
    /// A byte for each sample, as this function of `dsp::g711` writes them.
    G711(fn(&[i16], &mut [u8]) -> usize),
    /// Opus, which has a state.
    Opus(OpusStream),
}

/// Audio as a message.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// Silence behind the audio, which makes the message as long as messages are.
    pub(super) padding_samples: usize,
}

impl Encoder {
    /// A message of these samples, at most as many as fit. Allocates.
    pub(super) fn encode(&mut self, samples: &[i16]) -> Encoded {
        let bytes = match self {
            Self::Linear16 => {
                let mut bytes = vec![0; samples.len() * 2];
                l16::encode_le(samples, &mut bytes);
                bytes
            }
            Self::G711(encode) => {
                let mut bytes = vec![0; samples.len()];
                encode(samples, &mut bytes);
                bytes
            }
            Self::Opus(stream) => return stream.encode(samples),
        };
        Encoded { bytes, padding_samples: 0 }
    }

    /// A message of silence that brings what the encoder holds back of the samples before, where it
    /// holds any back. Allocates.
    pub(super) fn flush(&mut self) -> Option<Encoded> {
        match self {
            Self::Linear16 | Self::G711(_) => None,
            Self::Opus(stream) => stream.flush(),
        }
    }

    /// By how many samples what a decoder puts out is later than what was encoded.
    pub(super) fn delay_samples(&self) -> usize {
        match self {
            Self::Linear16 | Self::G711(_) => 0,
            Self::Opus(stream) => stream.delay_samples(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::audio::SampleRate;
    use crate::processor::stt::Encoding;

    #[test]
    fn samples_go_out_as_the_service_wants_them() {
        let encode = |encoding: Encoding, samples: &[i16]| {
            let mut encoder = encoding.encoder(SampleRate::HZ_44100);
            let encoded = encoder.encode(samples);
            assert_eq!((encoded.padding_samples, encoder.delay_samples()), (0, 0));
            assert!(encoder.flush().is_none());
            encoded.bytes
        };
        assert_eq!(encode(Encoding::Linear16, &[1, -2]), [1, 0, 0xfe, 0xff]);
        assert_eq!(encode(Encoding::Mulaw, &[0, 32_767, -32_768]), [0xff, 0x80, 0x00]);
        assert_eq!(encode(Encoding::Alaw, &[0, 32_767, -32_768]), [0xd5, 0xaa, 0x2a]);
    }
}
