//! G.722 word for word: one sample at a time, every operation on sixteen bits and limited. What the
//! codec is compared with where no recording of another one reaches: at the limits.

use super::tables::{
    HIGHER, HIGHER_ADAPTATION, LOWER, LOWER_ADAPTATION, LOWER_CORE, Q2, Q6, QMF, SCALE, lower_code,
};

/// The standard's product of two fractions.
fn mult(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 15) as i16
}

fn sign(value: i16) -> i16 {
    value >> 15
}

/// The magnitude that is quantised: one's complement where negative.
fn magnitude(value: i16) -> i16 {
    if sign(value) == 0 { value } else { i16::MAX - (value & i16::MAX) }
}

fn limit(value: i16) -> i16 {
    value.clamp(-16_384, 16_383)
}

/// State of a sub-band, under the standard's names; index 0 is the present sample.
struct Band {
    det: i16,
    nb: i16,
    s: i16,
    sz: i16,
    a: [i16; 3],
    b: [i16; 7],
    d: [i16; 7],
    p: [i16; 3],
    r: [i16; 3],
}

impl Band {
    fn new(det: i16) -> Self {
        let (a, b, d, p, r) = ([0; 3], [0; 7], [0; 7], [0; 3], [0; 3]);
        Self { det, nb: 0, s: 0, sz: 0, a, b, d, p, r }
    }

    /// A quantiser's value, scaled.
    fn scaled(&self, value: i16) -> i16 {
        mult(self.det, value << 3)
    }

    fn adapt(&mut self, difference: i16, multiplier: i16, limit: i16, base: i16) {
        self.d[0] = difference;
        self.nb = mult(self.nb, 32_512).saturating_add(multiplier).clamp(0, limit);
        self.det = SCALE[usize::try_from((self.nb >> 6) + base).unwrap()];
        self.p[0] = self.d[0].saturating_add(self.sz);
        self.r[0] = self.s.saturating_add(self.d[0]);

        for i in 1..=6 {
            let step = if self.d[0] == 0 { 0 } else { 128 };
            let step = if sign(self.d[0]) == sign(self.d[i]) { step } else { -step };
            self.b[i] = mult(self.b[i], 32_640).saturating_add(step);
        }

        let four = self.a[1].saturating_mul(4);
        let same = sign(self.p[0]) == sign(self.p[1]);
        let gradient = if same { 0_i16.saturating_sub(four) } else { four } >> 7;
        let step = if sign(self.p[0]) == sign(self.p[2]) { 128 } else { -128 };
        let a2 = gradient.saturating_add(step).saturating_add(mult(self.a[2], 32_512));
        self.a[2] = a2.clamp(-12_288, 12_288);

        let a1 = mult(self.a[1], 32_640).saturating_add(if same { 192 } else { -192 });
        let bound = 15_360_i16.saturating_sub(self.a[2]);
        self.a[1] = a1.clamp(-bound, bound);

        self.d.rotate_right(1);
        self.p.rotate_right(1);
        self.r.rotate_right(1);
        let zero = |sum: i16, i: usize| {
            sum.saturating_add(mult(self.d[i].saturating_add(self.d[i]), self.b[i]))
        };
        self.sz = (1..=6).rev().fold(0, zero);
        let pole = |i: usize| mult(self.a[i], self.r[i].saturating_add(self.r[i]));
        self.s = pole(1).saturating_add(pole(2)).saturating_add(self.sz);
    }
}

struct Bands {
    lower: Band,
    higher: Band,
    line: [i16; 24],
}

impl Bands {
    fn new() -> Self {
        Self { lower: Band::new(32), higher: Band::new(8), line: [0; 24] }
    }

    fn adapt(&mut self, code: u8) {
        let core = usize::from(code >> 2 & 0x0f);
        let difference = self.lower.scaled(LOWER_CORE[core]);
        self.lower.adapt(difference, LOWER_ADAPTATION[core], 18_432, 64);
        let code = usize::from(code >> 6);
        let difference = self.higher.scaled(HIGHER[code]);
        self.higher.adapt(difference, HIGHER_ADAPTATION[code], 22_528, 0);
    }

    /// Sums of the filter's products over taps of even and of odd index.
    fn filter(&mut self, pair: [i16; 2]) -> [i32; 2] {
        self.line.copy_within(2.., 0);
        self.line[22..].copy_from_slice(&pair);
        let sum = |first: usize| -> i32 {
            let taps = (first..24).step_by(2);
            taps.map(|n| i32::from(self.line[n]) * i32::from(QMF[n])).sum()
        };
        [sum(0), sum(1)]
    }
}

pub(super) fn encode(samples: &[i16]) -> Vec<u8> {
    let mut bands = Bands::new();
    let encode = |pair: &[i16; 2]| {
        let [even, odd] = bands.filter(*pair);
        let el = limit(((even + odd) >> 14) as i16).saturating_sub(bands.lower.s);
        let wd = magnitude(el);
        let above = |&level: &u16| mult((level << 3).cast_signed(), bands.lower.det) > wd;
        let interval = Q6.iter().position(above).unwrap_or(Q6.len()) + 1;
        let lower = lower_code(interval as u8, el < 0);

        let eh = limit(((odd - even) >> 14) as i16).saturating_sub(bands.higher.s);
        let outer = magnitude(eh) >= mult((Q2 << 3) as i16, bands.higher.det);
        let higher = match (eh < 0, outer) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        let code = higher << 6 | lower;
        bands.adapt(code);
        code
    };
    samples.as_chunks::<2>().0.iter().map(encode).collect()
}

pub(super) fn decode(codes: &[u8]) -> Vec<i16> {
    let mut bands = Bands::new();
    let decode = |&code: &u8| {
        let value = LOWER[usize::from(code & 0x3f)];
        let lower = limit(bands.lower.s.saturating_add(bands.lower.scaled(value)));
        let value = HIGHER[usize::from(code >> 6)];
        let higher = limit(bands.higher.s.saturating_add(bands.higher.scaled(value)));
        bands.adapt(code);
        let pair = [lower.saturating_add(higher), lower.saturating_sub(higher)];
        let [even, odd] = bands.filter(pair);
        [odd, even].map(|sum| (sum >> 11).clamp(-32_768, 32_767) as i16)
    };
    codes.iter().flat_map(decode).collect()
}
