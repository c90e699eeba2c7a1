//! The codecs of RTP behind one interface: a [`Decoder`] and an [`Encoder`] per stream, of whichever
//! format.

use thiserror::Error;

use super::opus::{self, Encoded, OpusError, Recovery};
use super::{g711, g722, l16};
use crate::audio::{MediaFormat, SampleRate};

/// Why a codec cannot be made, or a payload or frame not be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CodecError {
    /// The codec has one rate only, and it is another one.
    #[error("{format} at {actual}; it has {}", format.sample_rate())]
    Rate {
        /// The format.
        format: MediaFormat,
        /// The rate that was asked for.
        actual: SampleRate,
    },
    /// A payload that is empty or has half a sample.
    #[error("a payload of {bytes} bytes is not one of {format}")]
    PayloadSize {
        /// The format.
        format: MediaFormat,
        /// Length of the payload.
        bytes: usize,
    },
    /// Opus has its own reasons.
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// Payloads → samples, for one stream.
#[derive(Debug)]
pub enum Decoder {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// 16-bit samples, big-endian, at this rate.
    L16(SampleRate),
    /// G.722.
    G722(Box<g722::Decoder>),
    /// Opus.
    Opus(opus::Decoder),
}

impl Decoder {
    /// A decoder of `format` whose samples have `rate`.
    ///
    /// # Errors
    /// [`CodecError::Rate`], or [`OpusError::Rate`] for Opus, which has several.
    pub fn new(format: MediaFormat, rate: SampleRate) -> Result<Self, CodecError> {
        check_rate(format, rate)?;
        Ok(match format {
            MediaFormat::Ulaw => Self::Ulaw,
            MediaFormat::Alaw => Self::Alaw,
            MediaFormat::Slin(rate) => Self::L16(rate),
            MediaFormat::G722 => Self::G722(Box::default()),
            MediaFormat::Opus => Self::Opus(opus::Decoder::new(rate)?),
        })
    }

    /// What it decodes.
    #[must_use]
    pub const fn format(&self) -> MediaFormat {
        match self {
            Self::Ulaw => MediaFormat::Ulaw,
            Self::Alaw => MediaFormat::Alaw,
            Self::L16(rate) => MediaFormat::Slin(*rate),
            Self::G722(_) => MediaFormat::G722,
            Self::Opus(_) => MediaFormat::Opus,
        }
    }

    /// Samples of a payload, where it tells them without being decoded.
    #[must_use]
    pub fn samples_in(&self, payload: &[u8]) -> Option<usize> {
        match self {
            Self::Ulaw | Self::Alaw => Some(payload.len()),
            Self::L16(_) => Some(payload.len() / 2),
            Self::G722(_) => Some(2 * payload.len()),
            Self::Opus(decoder) => opus::Decoder::packet_samples(payload, decoder.rate()).ok(),
        }
    }

    /// Decodes one payload into `samples`, whose former content goes. Where there is an error,
    /// `samples` is empty afterwards and the decoder may be used further.
    ///
    /// Allocates only where `samples` has less room than the payload needs.
    ///
    /// # Errors
    /// [`CodecError::PayloadSize`], and [`OpusError`] for what is no packet of Opus.
    pub fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), CodecError> {
        let (format, bytes) = (self.format(), payload.len());
        if !format.allows_payload_of(bytes) {
            samples.clear();
            return Err(CodecError::PayloadSize { format, bytes });
        }
        if let Self::Opus(decoder) = self {
            return Ok(decoder.decode(payload, samples)?);
        }
        let count = self.samples_in(payload).unwrap_or_default();
        samples.resize(count, 0);
        match self {
            Self::Ulaw => g711::ulaw_decode(payload, samples),
            Self::Alaw => g711::alaw_decode(payload, samples),
            Self::L16(_) => l16::decode_be(payload, samples),
            Self::G722(decoder) => decoder.decode(payload, samples),
            Self::Opus(_) => count,
        };
        Ok(())
    }

    /// Fills `samples`, the place of a payload that is missing. `following` is the payload right
    /// behind it, where that is here already; it is decoded afterwards as usual.
    ///
    /// Opus takes what it can from `following`, and conceals the rest in its own way; the others
    /// have no way of their own and leave silence.
    pub fn conceal(&mut self, following: Option<&[u8]>, samples: &mut [i16]) -> Recovery {
        match (self, following) {
            (Self::Opus(decoder), Some(following)) => decoder.recover(following, samples),
            (Self::Opus(decoder), None) => {
                decoder.conceal(samples);
                Recovery::Concealment
            }
            (Self::Ulaw | Self::Alaw | Self::L16(_) | Self::G722(_), _) => {
                samples.fill(0);
                Recovery::Concealment
            }
        }
    }

    /// Forgets the stream: as new.
    pub fn reset(&mut self) {
        match self {
            Self::Ulaw | Self::Alaw | Self::L16(_) => {}
            Self::G722(decoder) => **decoder = g722::Decoder::new(),
            Self::Opus(decoder) => decoder.reset(),
        }
    }
}

/// Samples → payloads, for one stream.
#[derive(Debug)]
pub enum Encoder {
    /// G.711 µ-law.
    Ulaw,
    /// G.711 A-law.
    Alaw,
    /// 16-bit samples, big-endian, at this rate.
    L16(SampleRate),
    /// G.722.
    G722(Box<g722::Encoder>),
    /// Opus.
    Opus(opus::Encoder),
}

impl Encoder {
    /// An encoder of samples that have `rate` into `format`. The settings are those of Opus; the
    /// other formats have none.
    ///
    /// # Errors
    /// [`CodecError::Rate`], or [`OpusError`] for Opus.
    pub fn new(
        format: MediaFormat,
        rate: SampleRate,
        settings: &opus::Settings,
    ) -> Result<Self, CodecError> {
        check_rate(format, rate)?;
        Ok(match format {
            MediaFormat::Ulaw => Self::Ulaw,
            MediaFormat::Alaw => Self::Alaw,
            MediaFormat::Slin(rate) => Self::L16(rate),
            MediaFormat::G722 => Self::G722(Box::default()),
            MediaFormat::Opus => Self::Opus(opus::Encoder::new(rate, settings)?),
        })
    }

    /// Encodes one frame into `payload`, whose former content goes. A last odd sample is left out
    /// by G.722. A frame without samples makes an empty payload, which is none that may be sent.
    ///
    /// Allocates only where `payload` has less room than the frame needs.
    ///
    /// # Errors
    /// [`OpusError::FrameLength`]: Opus has frames of 2.5, 5, 10, 20, 40 and 60 ms only.
    pub fn encode(&mut self, frame: &[i16], payload: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        payload.clear();
        self.encode_behind(frame, payload)
    }

    /// As [`Self::encode`], with the payload behind what `out` holds.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn encode_behind(
        &mut self,
        frame: &[i16],
        out: &mut Vec<u8>,
    ) -> Result<Encoded, CodecError> {
        let bytes = match self {
            Self::Ulaw | Self::Alaw => frame.len(),
            Self::L16(_) => 2 * frame.len(),
            Self::G722(_) => frame.len() / 2,
            Self::Opus(encoder) => return Ok(encoder.encode_behind(frame, out)?),
        };
        let begin = out.len();
        out.resize(begin + bytes, 0);
        let payload = &mut out[begin..];
        match self {
            Self::Ulaw => g711::ulaw_encode(frame, payload),
            Self::Alaw => g711::alaw_encode(frame, payload),
            Self::L16(_) => l16::encode_be(frame, payload),
            Self::G722(encoder) => encoder.encode(frame, payload),
            Self::Opus(_) => bytes,
        };
        Ok(Encoded::Send)
    }

    /// Delay of encoding and decoding together, in samples: what goes in at `n` comes out of a
    /// decoder of the same rate at `n + output_delay()`.
    #[must_use]
    pub fn output_delay(&self) -> usize {
        match self {
            Self::Ulaw | Self::Alaw | Self::L16(_) => 0,
            Self::G722(_) => g722::ROUND_TRIP_DELAY,
            Self::Opus(encoder) => encoder.output_delay(),
        }
    }

    /// Forgets the stream: as new.
    pub fn reset(&mut self) {
        match self {
            Self::Ulaw | Self::Alaw | Self::L16(_) => {}
            Self::G722(encoder) => **encoder = g722::Encoder::new(),
            Self::Opus(encoder) => encoder.reset(),
        }
    }
}

/// Opus tells by itself which rates it has.
fn check_rate(format: MediaFormat, rate: SampleRate) -> Result<(), CodecError> {
    if format == MediaFormat::Opus || format.sample_rate() == rate {
        return Ok(());
    }
    Err(CodecError::Rate { format, actual: rate })
}
