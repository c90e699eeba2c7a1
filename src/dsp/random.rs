//! Chance that can be repeated.

/// SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014.
///
/// The same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of 0 or more and below 1, in steps of 2^−53.
    pub fn unit(&mut self) -> f64 {
        const STEPS: f64 = 9_007_199_254_740_992.0; // 2^53
        (self.bits() >> 11) as f64 / STEPS
    }

    /// `true` with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // The first three of the seed 1234567, as the authors' own program prints them.
        let mut random = Random(1_234_567);
        let expected =
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([random.bits(), random.bits(), random.bits()], expected);
    }

    #[test]
    fn units_fill_their_range_evenly() {
        let mut random = Random(7);
        let mut tenths = [0; 10];
        for _ in 0..100_000 {
            tenths[(random.unit() * 10.0) as usize] += 1;
        }
        // 10,000 each; the standard deviation of a count is 95.
        assert!(tenths.iter().all(|&count: &i32| (count - 10_000).abs() < 475), "{tenths:?}");
    }

    #[test]
    fn a_chance_is_what_it_is_said_to_be() {
        let mut random = Random(8);
        let hits = (0..100_000).filter(|_| random.chance(0.2)).count();
        // 20,000; the standard deviation is 126.
        assert!(hits.abs_diff(20_000) < 630, "{hits}");
        assert!(!random.chance(0.0) && random.chance(1.0));
    }
}
