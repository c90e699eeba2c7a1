use std::collections::VecDeque;

use super::jitter::Stored;
use crate::audio::{MediaFormat, Position, SampleRate};
use crate::dsp::codec::{CodecError, Decoder};
use crate::dsp::comfort_noise::ComfortNoise;
use crate::dsp::conceal::Concealer;
use crate::dsp::opus::Recovery;
use crate::wire::ComfortNoisePayload;

/// Joins that are remembered: of the holes of the latest seconds on a bad network.
const JOINS: usize = 8;

/// The beginning of a frame as it was received, before it was joined to what was made up.
#[derive(Debug, Default)]
struct Join {
    position: Position,
    samples: Vec<i16>,
}

/// Payloads → samples of one stream, and samples in the place of payloads that are missing.
#[derive(Debug)]
pub(super) struct Repair {
    decoder: Decoder,
    /// Conceals what the codec has no way of its own for.
    concealer: Option<Concealer>,
    /// The beginning of the frame in hand, where it was joined.
    head: Vec<i16>,
    rest: Box<Rest>,
}

/// What packets do not need that come in order and one after the other.
#[derive(Debug)]
struct Rest {
    format: MediaFormat,
    rate: SampleRate,
    /// Decodes what came late, beside the stream that the other decoder follows.
    late_decoder: Option<Decoder>,
    /// `None` before the sender told what its noise is like.
    noise: Option<ComfortNoise>,
    noise_seed: u64,
    joins: VecDeque<Join>,
}

impl Repair {
    /// For a stream of `format` whose samples have `rate`. `seed` is that of its comfort noise.
    ///
    /// # Panics
    /// Where the rate of Opus is out of range.
    pub(super) fn new(format: MediaFormat, rate: SampleRate, seed: u64) -> Self {
        let has_its_own = format == MediaFormat::Opus;
        let rest = Rest {
            format,
            rate,
            late_decoder: None,
            noise: None,
            noise_seed: seed,
            joins: VecDeque::new(),
        };
        Self {
            decoder: decoder(format, rate),
            concealer: (!has_its_own).then(|| Concealer::new(rate)),
            head: Vec::new(),
            rest: Box::new(rest),
        }
    }

    /// Asks for the memory that the next payload needs, behind what lies in here.
    pub(super) fn prefetch(&self) {
        if let Some(concealer) = &self.concealer {
            concealer.prefetch();
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
            self.head.clear();
            let joined = concealer.join_samples().min(samples.len());
            self.head.extend_from_slice(&samples[..joined]);
            concealer.receive(samples);
        }
        Ok(())
    }

    /// The frame that was decoded last lies there, in its full length.
    pub(super) fn placed(&mut self, position: Position) {
        if self.head.is_empty() {
            return;
        }
        let joins = &mut self.rest.joins;
        let full = joins.len() == JOINS;
        let mut join = if full { joins.pop_front() } else { None }.unwrap_or_default();
        join.position = position;
        join.samples.clear();
        join.samples.extend_from_slice(&self.head);
        joins.push_back(join);
    }

    /// Samples of a packet that waits, where they can be told and are any.
    pub(super) fn samples_in(&self, packet: &Stored) -> Option<usize> {
        self.decoder.samples_in(&packet.payload).filter(|samples| *samples > 0)
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

    /// Decodes a payload whose place, from `position` on, was given up. Behind its samples come those
    /// that the next frame began with before it was joined to what was made up for this one.
    pub(super) fn decode_late(
        &mut self,
        payload: &[u8],
        position: Position,
        samples: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        let Rest { format, rate, late_decoder, joins, .. } = &mut *self.rest;
        let decoder = late_decoder.get_or_insert_with(|| decoder(*format, *rate));
        // What it decoded before lies somewhere else.
        decoder.reset();
        decoder.decode(payload, samples)?;
        let end = position.plus(samples.len());
        if let Some(join) = joins.iter().find(|join| join.position == end) {
            samples.extend_from_slice(&join.samples);
        }
        Ok(())
    }

    /// What comfort noise is like from now on.
    pub(super) fn set_noise(&mut self, payload: ComfortNoisePayload<'_>) {
        let Rest { noise, noise_seed, .. } = &mut *self.rest;
        let noise = noise.get_or_insert_with(|| ComfortNoise::new(*noise_seed));
        noise.set(payload.level_dbov, payload.reflection);
    }

    /// Fills `samples` with comfort noise: silence where the sender told of none.
    pub(super) fn fill_with_noise(&mut self, samples: &mut [i16]) {
        match &mut self.rest.noise {
            Some(noise) => noise.fill(samples),
            None => samples.fill(0),
        }
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
        self.rest.joins.clear();
    }
}

fn decoder(format: MediaFormat, rate: SampleRate) -> Decoder {
    Decoder::new(format, rate).expect("the rate of Opus is in range")
}
