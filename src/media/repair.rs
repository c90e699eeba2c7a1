use crate::audio::{MediaFormat, SampleRate};
use crate::dsp::codec::{CodecError, Decoder};
use crate::dsp::comfort_noise::ComfortNoise;
use crate::dsp::conceal::Concealer;
use crate::dsp::opus::Recovery;
use crate::wire::ComfortNoisePayload;

/// Payloads → samples of one stream, and samples in the place of payloads that are missing.
#[derive(Debug)]
pub(super) struct Repair {
    format: MediaFormat,
    rate: SampleRate,
    decoder: Decoder,
    /// Conceals what the codec has no way of its own for.
    concealer: Option<Concealer>,
    /// Decodes what came late, beside the stream that `decoder` follows.
    late_decoder: Option<Decoder>,
    noise: ComfortNoise,
}

impl Repair {
    /// For a stream of `format` whose samples have `rate`. `seed` is that of its comfort noise.
    ///
    /// # Panics
    /// Where the rate of Opus is out of range.
    pub(super) fn new(format: MediaFormat, rate: SampleRate, seed: u64) -> Self {
        let has_its_own = format == MediaFormat::Opus;
        Self {
            format,
            rate,
            decoder: decoder(format, rate),
            concealer: (!has_its_own).then(|| Concealer::new(rate)),
            late_decoder: None,
            noise: ComfortNoise::new(seed),
        }
    }

    /// Decodes the payload that is next. Behind a loss, its beginning is joined to what was made up.
    pub(super) fn decode(
        &mut self,
        payload: &[u8],
        samples: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        self.decoder.decode(payload, samples)?;
        if let Some(concealer) = &mut self.concealer {
            concealer.receive(samples);
        }
        Ok(())
    }

    /// Fills the place of a missing payload. `following` is the one right behind it, where that is
    /// here already.
    pub(super) fn conceal(&mut self, following: Option<&[u8]>, samples: &mut [i16]) -> Recovery {
        let recovery = self.decoder.conceal(following, samples);
        if let Some(concealer) = &mut self.concealer {
            concealer.conceal(samples);
        }
        recovery
    }

    /// Decodes a payload whose place was given up.
    pub(super) fn decode_late(
        &mut self,
        payload: &[u8],
        samples: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        let (format, rate) = (self.format, self.rate);
        let decoder = self.late_decoder.get_or_insert_with(|| decoder(format, rate));
        // What it decoded before lies somewhere else.
        decoder.reset();
        decoder.decode(payload, samples)
    }

    /// What comfort noise is like from now on.
    pub(super) fn set_noise(&mut self, payload: ComfortNoisePayload<'_>) {
        self.noise.set(payload.level_dbov, payload.reflection);
    }

    /// Fills `samples` with comfort noise.
    pub(super) fn fill_with_noise(&mut self, samples: &mut [i16]) {
        self.noise.fill(samples);
        if let Some(concealer) = &mut self.concealer {
            concealer.receive(samples);
        }
    }

    /// Forgets the stream: another one begins.
    pub(super) fn reset(&mut self) {
        self.decoder.reset();
        if let Some(concealer) = &mut self.concealer {
            concealer.reset();
        }
    }
}

fn decoder(format: MediaFormat, rate: SampleRate) -> Decoder {
    Decoder::new(format, rate).expect("the rate of Opus is in range")
}
