//! The two sub-bands' adaptive differential PCM: six bits a sample below 4 kHz, two bits above.

use super::predictor::{Predictor, saturate};
use super::tables;

/// Limits a sub-band's sample to 15 bits (sub-block LIMIT, block 6).
#[inline(always)]
pub(super) fn limit(sample: i32) -> i32 {
    sample.clamp(-16_384, 16_383)
}

/// The quantiser's scale factor: blocks 3L and 3H.
#[derive(Clone, Debug)]
struct Scale {
    /// Logarithm to base 2 in units of 1/2048: `NBL`, `NBH`.
    logarithm: i32,
    /// `DETL`, `DETH`; at least 8.
    linear: i32,
}

impl Scale {
    /// Sub-blocks LOGSCL and SCALEL, LOGSCH and SCALEH; `base` is where the band's smallest factor
    /// stands in the table.
    #[inline(always)]
    fn adapt(&mut self, multiplier: i16, limit: i32, base: i32) {
        self.logarithm = (((self.logarithm * 127) >> 7) + i32::from(multiplier)).clamp(0, limit);
        let index = (self.logarithm >> 6) + base;
        self.linear = i32::from(tables::SCALE[(index & 511).cast_unsigned() as usize]);
    }

    /// A value of the quantiser, scaled: below 2^14.
    #[inline(always)]
    fn apply(&self, value: i16) -> i16 {
        ((self.linear * i32::from(value)) >> 12) as i16
    }
}

/// The lower sub-band, of an encoder or a decoder.
#[derive(Clone, Debug)]
pub(super) struct Lower {
    scale: Scale,
    predictor: Predictor,
}

impl Default for Lower {
    fn default() -> Self {
        Self { scale: Scale { logarithm: 0, linear: 32 }, predictor: Predictor::default() }
    }
}

impl Lower {
    /// The code of a sample, 4 to 63.
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.predictor.estimate());
        let code = self.quantise(difference);
        self.update(code);
        code
    }

    /// The sample of a code's lower six bits.
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let code = code & 0x3f;
        let value = tables::LOWER[usize::from(code)];
        let sample = limit(self.predictor.estimate() + i32::from(self.scale.apply(value)));
        self.update(code);
        sample
    }

    /// Sub-block QUANTL: the first interval whose decision level, scaled, is above the magnitude.
    ///
    /// `magnitude < level * scale / 4096`, rounded down, is the same as
    /// `(magnitude + 1) * 4096 / scale <= level`, rounded up: one division instead of a search.
    #[inline(always)]
    fn quantise(&self, difference: i32) -> u8 {
        let magnitude = (difference ^ difference >> 31).cast_unsigned();
        let level = ((magnitude + 1) << 12).div_ceil(self.scale.linear.cast_unsigned());
        let level = (level as usize).min(tables::INTERVAL.len() - 1);
        tables::lower_code(tables::INTERVAL[level], difference < 0)
    }

    /// What both sides learn from a code, from its upper four bits alone.
    #[inline(always)]
    fn update(&mut self, code: u8) {
        let core = usize::from(code >> 2 & 0x0f);
        let difference = self.scale.apply(tables::LOWER_CORE[core]);
        self.scale.adapt(tables::LOWER_ADAPTATION[core], 18_432, 64);
        self.predictor.update(difference);
    }
}

/// The higher sub-band, of an encoder or a decoder.
#[derive(Clone, Debug)]
pub(super) struct Higher {
    scale: Scale,
    predictor: Predictor,
}

impl Default for Higher {
    fn default() -> Self {
        Self { scale: Scale { logarithm: 0, linear: 8 }, predictor: Predictor::default() }
    }
}

impl Higher {
    /// The code of a sample, 0 to 3.
    #[inline(always)]
    pub(super) fn encode(&mut self, sample: i32) -> u8 {
        let difference = saturate(sample - self.predictor.estimate());
        // Sub-block QUANTH. Codes by table 20: the sign, then whether the value is the smaller one.
        let magnitude = difference ^ difference >> 31;
        let small = magnitude < ((tables::Q2 * self.scale.linear) >> 12);
        let code = (u8::from(difference >= 0) << 1) | u8::from(small);
        self.update(code);
        code
    }

    /// The sample of a code's lower two bits.
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i32 {
        let estimate = self.predictor.estimate();
        limit(estimate + i32::from(self.update(code)))
    }

    /// What both sides learn from a code; answers its difference.
    #[inline(always)]
    fn update(&mut self, code: u8) -> i16 {
        let code = usize::from(code & 0x03);
        let difference = self.scale.apply(tables::HIGHER[code]);
        self.scale.adapt(tables::HIGHER_ADAPTATION[code], 22_528, 0);
        self.predictor.update(difference);
        difference
    }
}
