//! The numbers of ITU-T G.722 (11/88), as they are printed there, and what follows from them.

/// Coefficients `H0` to `H23` of both quadrature mirror filters, times 2^13 (table 11).
pub(super) const QMF: [i16; 24] = [
    3, -11, -11, 53, 12, -156, 32, 362, -210, -805, 951, 3876, 3876, 951, -805, -210, 362, 32,
    -156, 12, 53, -11, -11, 3,
];

/// Decision levels `Q6` of the lower band's quantiser, 1 to 29 (table 14).
pub(super) const Q6: [u16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Output values `QQ6` of 60 levels, 1 to 30 (table 14).
const QQ6: [i16; 30] = [
    17, 54, 91, 130, 170, 211, 254, 300, 347, 396, 447, 501, 558, 618, 682, 750, 822, 899, 982,
    1072, 1170, 1279, 1399, 1535, 1689, 1873, 2088, 2376, 2738, 3101,
];

/// Output values `QQ4` of 15 levels, 0 to 7 (table 14).
const QQ4: [i16; 8] = [0, 150, 323, 530, 786, 1121, 1612, 2557];

/// Multipliers `WL` of the lower band's scale factor, 0 to 7 (table 14).
const WL: [i16; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];

/// The decision level `Q2` of the higher band's quantiser (table 14).
pub(super) const Q2: i32 = 564;

/// Output values by the higher band's code: `QQ2` (table 14) under the codes of table 20.
pub(super) const HIGHER: [i16; 4] = [-926, -202, 926, 202];

/// Multipliers by the higher band's code: `WH` (table 14) under the codes of table 20.
pub(super) const HIGHER_ADAPTATION: [i16; 4] = [798, -214, 798, -214];

/// 2^11 times 2 to the power of n/32: `ILB` (table 15).
const ILB: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// Output values by all six bits of the lower band's code (table 18).
pub(super) static LOWER: [i16; 64] = lower();
/// Output values by the upper four bits of the lower band's code (table 17): what adapts, on both
/// sides, rests on these alone.
pub(super) static LOWER_CORE: [i16; 16] = lower_core();
/// Multipliers by the upper four bits of the lower band's code (table 17).
pub(super) static LOWER_ADAPTATION: [i16; 16] = lower_adaptation();
/// The linear scale factor by the upper nine bits of the logarithmic one.
pub(super) static SCALE: [i16; 512] = scale();
/// Interval of the lower band's quantiser, 1 to 30, by the normalised difference.
pub(super) static INTERVAL: [u8; Q6[28] as usize + 2] = interval();

/// The lower band's code of an interval, 1 to 30 (table 16).
#[inline]
pub(super) const fn lower_code(interval: u8, negative: bool) -> u8 {
    match (negative, interval) {
        (false, _) => 62 - interval,
        (true, 1 | 2) => 64 - interval,
        (true, _) => 34 - interval,
    }
}

const fn lower() -> [i16; 64] {
    // A decoder takes the codes that no encoder sends, 0 to 3, as the smallest negative value.
    let mut table = [-QQ6[0]; 64];
    let mut interval = 1;
    while interval <= 30 {
        let value = QQ6[interval as usize - 1];
        table[lower_code(interval, false) as usize] = value;
        table[lower_code(interval, true) as usize] = -value;
        interval += 1;
    }
    table
}

/// Magnitude `IL4` and sign of a code's upper four bits (table 17).
const fn core(code: usize) -> (usize, bool) {
    match code {
        0 | 15 => (0, false),
        1..=7 => (8 - code, true),
        _ => (15 - code, false),
    }
}

const fn lower_core() -> [i16; 16] {
    let mut table = [0; 16];
    let mut code = 0;
    while code < 16 {
        let (magnitude, negative) = core(code);
        table[code] = if negative { -QQ4[magnitude] } else { QQ4[magnitude] };
        code += 1;
    }
    table
}

const fn lower_adaptation() -> [i16; 16] {
    let mut table = [0; 16];
    let mut code = 0;
    while code < 16 {
        table[code] = WL[core(code).0];
        code += 1;
    }
    table
}

const fn scale() -> [i16; 512] {
    let mut table = [0; 512];
    // Eleven octaves of 32 steps. Index 352, where both bands' logarithm is limited, is the first of
    // the twelfth; what is above it is not reached.
    let mut index = 0;
    while index < 352 {
        table[index] = ILB[index % 32] >> (10 - index / 32) << 2;
        index += 1;
    }
    while index < 512 {
        table[index] = ILB[0] << 3;
        index += 1;
    }
    table
}

const fn interval() -> [u8; Q6[28] as usize + 2] {
    let mut table = [0; Q6[28] as usize + 2];
    let mut interval = 1;
    let mut level = 0;
    while level < table.len() {
        if interval < 30 && level > Q6[interval as usize - 1] as usize {
            interval += 1;
        }
        table[level] = interval;
        level += 1;
    }
    table
}

// The limit of the scale factor, 4 times the last entry of the standard's table.
const _: () = assert!(SCALE[352] == 16_384);
