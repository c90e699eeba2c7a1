//! Opus (RFC 6716), mono, over libopus by the crate `audiopus`.
//!
//! Both directions work at one of libopus' own rates, 8, 12, 16, 24 or 48 kHz: a stream is decoded
//! straight at the rate that is wanted, whatever its sender's was, and no resampler is needed. The
//! RTP clock of Opus is 48 kHz in any case (RFC 7587 section 4.1).
//!
//! libopus is the system's, as pkg-config finds it when building; [`version`] tells which one runs.
//! A newer one encodes faster, but is slower to decode: with frames of 20 ms at 16 kHz, on an AMD
//! EPYC, 1.6.1 took 31 % less time than the 1.3.1 of Debian 12 to encode at complexity 9, 2 % less
//! at 5, and twice as long to decode. `docs/dsp.md` has times.

use std::ffi::CStr;

use audiopus::coder::GenericCtl as _;
use audiopus::{Application, Bitrate, Channels, Signal, coder, ffi};
use thiserror::Error;

use crate::audio::SampleRate;
use packet::{Toc, has_redundancy};

mod packet;
#[cfg(test)]
mod tests;

/// The rates at which Opus encodes and decodes.
pub const RATES: [SampleRate; 5] = [
    SampleRate::HZ_8000,
    SampleRate::HZ_12000,
    SampleRate::HZ_16000,
    SampleRate::HZ_24000,
    SampleRate::HZ_48000,
];
/// Room for a packet, as `opus.h` recommends it.
const MAX_PACKET_BYTES: usize = 4000;
/// What is concealed at a time, in units of 2.5 ms: libopus itself does no more at once.
const LOSS_UNITS: usize = 8;
/// The same at 48 kHz, in samples.
const MAX_LOSS_SAMPLES: usize = 960;
/// Frames that are encoded, in units of 2.5 ms.
const FRAME_UNITS: [usize; 6] = [1, 2, 4, 8, 16, 24];
/// Packets of up to so many bytes need not be sent (`opus.h`, `opus_encode`).
const DTX_BYTES: usize = 2;

/// Bit rates that an encoder takes: from the least of RFC 6716 section 2.1.1 to the most that
/// libopus 1.3 uses for one channel.
pub const BITRATES_BPS: std::ops::RangeInclusive<u32> = 6_000..=300_000;
/// Complexities that an encoder takes.
pub const COMPLEXITIES: std::ops::RangeInclusive<u8> = 0..=10;

/// Why something could not be encoded, decoded or set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpusError {
    /// Opus does not work at this rate.
    #[error("{actual} is not a sample rate of Opus; allowed: 8000, 12000, 16000, 24000, 48000")]
    Rate {
        /// The rate that was given.
        actual: SampleRate,
    },
    /// [`Settings::bitrate_bps`] is out of range.
    #[error("bitrate_bps is {actual}; allowed: 6000 to 300000")]
    Bitrate {
        /// Bits per second that were given.
        actual: u32,
    },
    /// [`Settings::complexity`] is out of range.
    #[error("complexity is {actual}; allowed: 0 to 10")]
    Complexity {
        /// The complexity that was given.
        actual: u8,
    },
    /// [`Settings::expected_loss_percent`] is out of range.
    #[error("expected_loss_percent is {actual}; allowed: 0 to 100")]
    ExpectedLoss {
        /// The percentage that was given.
        actual: u8,
    },
    /// A frame of a length that Opus does not have.
    #[error("a frame of {actual} samples at {rate}; allowed: 2.5, 5, 10, 20, 40 or 60 ms")]
    FrameLength {
        /// Samples that were given.
        actual: usize,
        /// The encoder's rate.
        rate: SampleRate,
    },
    /// A packet without its first byte.
    #[error("an Opus packet needs 1 byte, have 0")]
    Empty,
    /// The second byte, which counts the frames, is missing.
    #[error("an Opus packet that counts its frames needs 2 bytes, have 1")]
    FrameCountMissing,
    /// The packet says that it has no frames.
    #[error("an Opus packet has 0 frames, at least 1 is expected")]
    NoFrames,
    /// The packet says that it lasts too long.
    #[error("an Opus packet of {actual_us} µs, at most 120000 are allowed")]
    TooLong {
        /// What its first bytes say, in microseconds.
        actual_us: usize,
    },
    /// The lengths of the frames do not fit the packet (RFC 6716 section 3.4).
    #[error("the lengths of the frames do not fit the Opus packet of {bytes} bytes")]
    Malformed {
        /// Length of the packet.
        bytes: usize,
    },
    /// libopus failed otherwise.
    #[error("libopus failed: {0}")]
    Library(audiopus::Error),
}

/// How an [`Encoder`] encodes. The application is always VoIP, the signal voice, the bit rate
/// variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Mean bits per second, 6000 to 300000.
    pub bitrate_bps: u32,
    /// Computation spent on quality, 0 to 10.
    pub complexity: u8,
    /// In-band forward error correction: packets also carry the frame before them, coarsely, for
    /// [`Decoder::recover`]. It has no effect where `expected_loss_percent` is 0 or the bit rate
    /// too low for it.
    pub fec: bool,
    /// Discontinuous transmission: hardly anything is sent during silence.
    pub dtx: bool,
    /// Packets that the path is expected to lose, 0 to 100; how much is spent on `fec`.
    pub expected_loss_percent: u8,
}

/// For the voice of a robot on a local network, by measurement with libopus 1.3.1 on wide-band
/// speech (`fixtures/speech-16k.wav`):
///
/// - 32 kbit/s: bandwidth is cheap there; 24 kbit/s lose 0.5 dB, 16 kbit/s 2 dB of SNR.
/// - Complexity 5 is within 0.1 dB of 10, which takes twice as long.
/// - Redundancy is allowed, but nothing is spent on it before a loss is expected: at 5 % it costs
///   1 dB of SNR in the packets that do arrive.
/// - Silence is sent as any other sound, so that the receiver's clock never stands still.
impl Default for Settings {
    fn default() -> Self {
        Self { bitrate_bps: 32_000, complexity: 5, fec: true, dtx: false, expected_loss_percent: 0 }
    }
}

/// Whether an encoded frame needs to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoded {
    /// It does.
    Send,
    /// It does not: the receiver conceals the gap, or fills it with comfort noise. The payload is
    /// a valid packet of one or two bytes all the same.
    Silence,
}

/// Where the audio of a lost frame came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recovery {
    /// From the packet behind it, at least in part.
    Redundancy,
    /// From [`Decoder::conceal`] alone.
    Concealment,
}

/// One stream's decoder, at a rate of its own choice.
#[derive(Debug)]
pub struct Decoder {
    inner: coder::Decoder,
    rate: SampleRate,
    /// The last packet had no SILK layer, which the redundancy of the next one would build on.
    celt_only: bool,
}

impl Decoder {
    /// A decoder whose samples have `rate`. Allocates libopus' state.
    ///
    /// # Errors
    /// [`OpusError::Rate`].
    pub fn new(rate: SampleRate) -> Result<Self, OpusError> {
        let inner =
            coder::Decoder::new(library_rate(rate)?, Channels::Mono).map_err(OpusError::Library)?;
        Ok(Self { inner, rate, celt_only: false })
    }

    /// The rate of the samples.
    #[must_use]
    pub const fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Samples that `packet` lasts at `rate`, at most 120 ms, told by its first one or two bytes
    /// (RFC 6716 section 3.1 and 3.2). Whether the rest of it is valid only decoding tells.
    ///
    /// # Errors
    /// [`OpusError`]: a rate that Opus does not have, or one variant per way to be wrong.
    pub fn packet_samples(packet: &[u8], rate: SampleRate) -> Result<usize, OpusError> {
        library_rate(rate)?;
        Ok(packet::units(packet)? * unit_samples(rate))
    }

    /// Decodes `packet` into `samples`, whose former content goes; where there is an error, it is
    /// empty afterwards. A stereo packet is mixed down.
    ///
    /// A packet without audio, as DTX sends it, yields what libopus puts into the gap. Allocates
    /// only where `samples` has less room than the packet needs; 120 ms are the most.
    ///
    /// # Errors
    /// [`OpusError`], one variant per way to be wrong. The decoder may be used further.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<i16>) -> Result<(), OpusError> {
        let decoded = Self::packet_samples(packet, self.rate).and_then(|count| {
            samples.resize(count, 0);
            match self.inner.decode(Some(packet), samples.as_mut_slice(), false) {
                Ok(count) => Ok(count),
                Err(audiopus::Error::Opus(audiopus::ErrorCode::InvalidPacket)) => {
                    Err(OpusError::Malformed { bytes: packet.len() })
                }
                Err(error) => Err(OpusError::Library(error)),
            }
        });
        samples.truncate(decoded.unwrap_or(0));
        decoded?;
        self.celt_only = Toc(packet[0]).is_celt_only();
        Ok(())
    }

    /// Fills `samples` with what libopus makes of a loss of that length: the sound before it goes
    /// on and fades. Before the first packet that is silence.
    ///
    /// The length should be a multiple of 2.5 ms. Of any other length libopus loses up to 2.5 ms
    /// more than is filled.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        let unit = unit_samples(self.rate);
        for part in samples.chunks_mut(LOSS_UNITS * unit) {
            let needed = part.len().next_multiple_of(unit);
            if part.len() == needed {
                self.lose(part);
            } else {
                let mut last = [0; MAX_LOSS_SAMPLES];
                self.lose(&mut last[..needed]);
                part.copy_from_slice(&last[..part.len()]);
            }
        }
    }

    /// Fills `samples`, which lie right before the packet `following`, from the redundancy that
    /// the packet carries (in-band FEC); then `following` itself is to be decoded.
    ///
    /// Redundancy lasts one frame of `following`. What was lost before that is concealed, and so
    /// is everything where there is no redundancy, where it lasts longer than `samples`, or where
    /// the packet is not valid.
    pub fn recover(&mut self, following: &[u8], samples: &mut [i16]) -> Recovery {
        let Some(&toc) = following.first() else {
            self.conceal(samples);
            return Recovery::Concealment;
        };
        let frame = Toc(toc).frame_units() * unit_samples(self.rate);
        if self.celt_only || !has_redundancy(following) || samples.len() < frame {
            self.conceal(samples);
            return Recovery::Concealment;
        }
        let (before, frame) = samples.split_at_mut(samples.len() - frame);
        self.conceal(before);
        if self.inner.decode(Some(following), &mut *frame, true) == Ok(frame.len()) {
            return Recovery::Redundancy;
        }
        self.conceal(frame);
        Recovery::Concealment
    }

    /// Forgets the stream: as new. Does not allocate.
    pub fn reset(&mut self) {
        self.inner.reset_state().expect("libopus resets any decoder");
        self.celt_only = false;
    }

    /// Conceals a multiple of 2.5 ms.
    fn lose(&mut self, samples: &mut [i16]) {
        if self.inner.decode(None::<&[u8]>, &mut *samples, false) != Ok(samples.len()) {
            samples.fill(0);
        }
    }
}

/// One stream's encoder.
#[derive(Debug)]
pub struct Encoder {
    inner: coder::Encoder,
    rate: SampleRate,
    settings: Settings,
    /// What libopus writes into.
    packet: Box<[u8]>,
}

impl Encoder {
    /// An encoder of samples that have `rate`. Allocates libopus' state.
    ///
    /// # Errors
    /// [`OpusError`]: the rate, or the first setting that is out of range.
    pub fn new(rate: SampleRate, settings: &Settings) -> Result<Self, OpusError> {
        let inner = library_encoder(rate, settings)?;
        let packet = vec![0; MAX_PACKET_BYTES].into_boxed_slice();
        Ok(Self { inner, rate, settings: *settings, packet })
    }

    /// The rate of the samples.
    #[must_use]
    pub const fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Encodes one frame of 2.5, 5, 10, 20, 40 or 60 ms into `payload`, whose former content goes.
    /// Frames of one stream may differ in length. With frames of 2.5 ms less than 9,600 bit/s leave
    /// no room for audio: libopus sends none then.
    ///
    /// Allocates only where `payload` has less room than the packet needs.
    ///
    /// # Errors
    /// [`OpusError::FrameLength`]; `payload` is empty then.
    pub fn encode(&mut self, frame: &[i16], payload: &mut Vec<u8>) -> Result<Encoded, OpusError> {
        payload.clear();
        self.encode_behind(frame, payload)
    }

    /// As [`Self::encode`], with the payload behind what `out` holds.
    ///
    /// # Errors
    /// As for [`Self::encode`]; `out` is as it was then.
    pub fn encode_behind(
        &mut self,
        frame: &[i16],
        out: &mut Vec<u8>,
    ) -> Result<Encoded, OpusError> {
        let unit = unit_samples(self.rate);
        if !FRAME_UNITS.iter().any(|units| units * unit == frame.len()) {
            return Err(OpusError::FrameLength { actual: frame.len(), rate: self.rate });
        }
        let bytes = self.inner.encode(frame, &mut self.packet).map_err(OpusError::Library)?;
        out.extend_from_slice(&self.packet[..bytes]);
        Ok(if bytes <= DTX_BYTES { Encoded::Silence } else { Encoded::Send })
    }

    /// Delay of encoding and decoding together, 6.5 ms, in samples of the encoder's rate: audio
    /// that goes in at `n` comes out at `n + output_delay()`.
    ///
    /// So says libopus. Measured, streams of 8, 12 and 16 kHz that are decoded at their own rate
    /// keep to it exactly; with any other pair of rates the sound is up to 0.07 ms off, for libopus
    /// resamples inside.
    #[must_use]
    pub fn output_delay(&self) -> usize {
        self.inner.lookahead().expect("libopus knows its own delay") as usize
    }

    /// Forgets the stream: as new, with the same settings. Allocates: what libopus itself resets
    /// is not all, its choice to send redundancy outlives that.
    pub fn reset(&mut self) {
        match library_encoder(self.rate, &self.settings) {
            Ok(inner) => self.inner = inner,
            // No memory: nearly as new will do.
            Err(_) => self.inner.reset_state().expect("libopus resets any encoder"),
        }
    }
}

fn library_encoder(rate: SampleRate, settings: &Settings) -> Result<coder::Encoder, OpusError> {
    let Settings { bitrate_bps, complexity, fec, dtx, expected_loss_percent } = *settings;
    let rate = library_rate(rate)?;
    if !BITRATES_BPS.contains(&bitrate_bps) {
        return Err(OpusError::Bitrate { actual: bitrate_bps });
    }
    if !COMPLEXITIES.contains(&complexity) {
        return Err(OpusError::Complexity { actual: complexity });
    }
    if expected_loss_percent > 100 {
        return Err(OpusError::ExpectedLoss { actual: expected_loss_percent });
    }
    coder::Encoder::new(rate, Channels::Mono, Application::Voip)
        .and_then(|mut encoder| {
            encoder.set_signal(Signal::Voice)?;
            encoder.set_bitrate(Bitrate::BitsPerSecond(bitrate_bps.cast_signed()))?;
            encoder.set_complexity(complexity)?;
            encoder.set_inband_fec(fec)?;
            encoder.set_packet_loss_perc(expected_loss_percent)?;
            // The crate has no method of its own for this one.
            encoder.set_encoder_ctl_request(ffi::OPUS_SET_DTX_REQUEST, i32::from(dtx))?;
            Ok(encoder)
        })
        .map_err(OpusError::Library)
}

/// The version of libopus that runs, as it tells it itself: "libopus 1.3.1".
#[must_use]
pub fn version() -> &'static str {
    // SAFETY: the function has no precondition, and answers a constant that ends in a zero byte.
    let version = unsafe { CStr::from_ptr(ffi::opus_get_version_string()) };
    version.to_str().unwrap_or_default()
}

const fn library_rate(rate: SampleRate) -> Result<audiopus::SampleRate, OpusError> {
    Ok(match rate {
        SampleRate::HZ_8000 => audiopus::SampleRate::Hz8000,
        SampleRate::HZ_12000 => audiopus::SampleRate::Hz12000,
        SampleRate::HZ_16000 => audiopus::SampleRate::Hz16000,
        SampleRate::HZ_24000 => audiopus::SampleRate::Hz24000,
        SampleRate::HZ_48000 => audiopus::SampleRate::Hz48000,
        actual => return Err(OpusError::Rate { actual }),
    })
}

/// Samples of 2.5 ms, of which every duration in Opus is a multiple.
const fn unit_samples(rate: SampleRate) -> usize {
    rate.hz() as usize / 400
}
