use proptest::prelude::*;

use super::*;

/// The rates between which speech is resampled.
const RATES: [SampleRate; 7] = [
    SampleRate::HZ_8000,
    SampleRate::HZ_12000,
    SampleRate::HZ_16000,
    SampleRate::HZ_24000,
    SampleRate::HZ_32000,
    SampleRate::HZ_44100,
    SampleRate::HZ_48000,
];

fn pairs(rates: &[SampleRate]) -> impl Iterator<Item = (SampleRate, SampleRate)> {
    rates.iter().flat_map(move |&from| rates.iter().map(move |&to| (from, to)))
}

/// Full-scale noise.
fn noise(samples: usize, seed: u32) -> Vec<i16> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) as u16).cast_signed()
    };
    (0..samples).map(next).collect()
}

fn whole(resampler: &mut Resampler, input: &[i16]) -> Vec<i16> {
    let mut output = Vec::new();
    resampler.process(input, &mut output);
    output
}

#[test]
fn an_impulse_peaks_at_exactly_the_output_delay() {
    for quality in [Quality::Voice, Quality::High] {
        for (from, to) in pairs(&SampleRate::ALL) {
            let mut resampler = Resampler::new(from, to, quality);
            let delay = resampler.output_delay();
            let inputs = (delay + 200) * from.hz() as usize / to.hz() as usize + 2;
            let mut input = vec![0; inputs];
            input[0] = i16::MAX;
            let mut output = Vec::new();
            resampler.process_to_f32(&input, &mut output);
            let peak = (0..output.len()).max_by(|&a, &b| output[a].total_cmp(&output[b])).unwrap();
            assert_eq!(peak, delay, "{from} to {to}, {quality:?}");
            // Symmetric about it: linear phase.
            for distance in 1..delay.min(40) {
                let (before, after) = (output[delay - distance], output[delay + distance]);
                // Samples have 16 bits.
                assert!((before - after).abs() < 1e-4, "{from} to {to}: {before} {after}");
            }
        }
    }
}

#[test]
fn the_delay_is_that_of_the_documentation() {
    for (quality, periods) in [(Quality::Voice, 26.0), (Quality::High, 100.0)] {
        for (from, to) in pairs(&RATES).filter(|(from, to)| from != to) {
            let delay = Resampler::new(from, to, quality).output_delay() as f64;
            let documented = periods * f64::from(to.hz()) / f64::from(from.min(to).hz());
            assert!((documented - 1.0..=documented).contains(&delay), "{from} to {to}: {delay}");
        }
    }
}

#[test]
fn every_level_gives_the_same_bits() {
    for quality in [Quality::Voice, Quality::High] {
        for (from, to) in pairs(&SampleRate::ALL) {
            // No multiple of the loops' widths, so that their ends are met too.
            let input = noise(487, 1);
            let at = |level| {
                let mut resampler = Resampler::with_level(from, to, quality, level);
                let samples = whole(&mut resampler, &input);
                resampler.reset();
                let mut floats = Vec::new();
                resampler.process_to_f32(&input, &mut floats);
                (samples, floats)
            };
            let expected = at(Level::Baseline);
            for level in Level::available() {
                assert_eq!(at(level), expected, "{from} to {to}, {quality:?}, {level:?}");
            }
        }
    }
}

#[test]
fn the_loops_are_the_sum_of_the_definition() {
    for (from, to) in pairs(&RATES).filter(|(from, to)| from != to) {
        for quality in [Quality::Voice, Quality::High] {
            let bank = bank(from, to, quality);
            let input = noise(1_500, 3);
            let mut output = Vec::new();
            Resampler::new(from, to, quality).process(&input, &mut output);
            for (m, &actual) in output.iter().enumerate().step_by(7) {
                let tick = m * bank.down;
                let newest = tick / bank.up;
                let mut sum = 0.0;
                for layer in &bank.layers {
                    let taps = layer.phase(tick % bank.up).iter().rev();
                    let products = taps.zip(input[..=newest].iter().rev());
                    let part: i64 = products.map(|(&t, &x)| i64::from(t) * i64::from(x)).sum();
                    sum += part as f64 / f64::from(1_u32 << layer.shift);
                }
                let expected = (sum / f64::from(1_u32 << design::SUM_BITS))
                    .clamp(f64::from(i16::MIN), f64::from(i16::MAX));
                // Rounded to whole samples. The last bits of each segment are cut off: up to 20
                // units of 2^-13. One unit of one coefficient is worth several samples.
                let error = (f64::from(actual) - expected).abs();
                assert!(error < 0.503, "{from} to {to}, {m}: {actual} {expected}");
            }
        }
    }
}

#[test]
fn a_constant_stays_what_it_is() {
    for (from, to) in pairs(&SampleRate::ALL) {
        for (value, quality) in [
            (i16::MIN, Quality::Voice),
            (-1, Quality::High),
            (12_345, Quality::Voice),
            (i16::MAX, Quality::High),
        ] {
            let mut resampler = Resampler::new(from, to, quality);
            let output = whole(&mut resampler, &vec![value; 12_000]);
            let settled = 2 * resampler.output_delay();
            assert!(output[settled..].iter().all(|&s| s == value), "{from} to {to}: {value}");
        }
    }
}

#[test]
fn an_overshoot_is_limited_and_does_not_wrap() {
    for (from, to) in pairs(&RATES) {
        // The filter overshoots a square wave's edges.
        let square: Vec<i16> =
            (0..4000).map(|n| if n / 50 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut resampler = Resampler::new(from, to, Quality::Voice);
        let output = whole(&mut resampler, &square);
        let delay = resampler.output_delay();
        let middle = |half: usize| (25 + 50 * half) * to.hz() as usize / from.hz() as usize;
        for half in 0..16 {
            let level = output[delay + middle(half)];
            let expected = if half % 2 == 0 { 1 } else { -1 };
            assert!(i32::from(level) * expected > 25_000, "{from} to {to}: {level}");
        }
    }
}

#[test]
fn output_comes_as_soon_as_its_time_has_come() {
    for (from, to) in pairs(&SampleRate::ALL) {
        let mut resampler = Resampler::new(from, to, Quality::Voice);
        let (mut output, mut made) = (Vec::new(), 0);
        for inputs in 1..=200_usize {
            let promised = resampler.output_len(1);
            resampler.process(&[1], &mut output);
            assert_eq!(output.len(), promised);
            made += output.len();
            let due = (inputs * to.hz() as usize).div_ceil(from.hz() as usize);
            assert_eq!(made, due, "{from} to {to} after {inputs}");
        }
    }
}

#[test]
fn after_a_reset_all_is_as_at_the_start() {
    for (from, to) in pairs(&RATES) {
        let input = noise(333, 7);
        let mut resampler = Resampler::new(from, to, Quality::High);
        let first = whole(&mut resampler, &input);
        resampler.reset();
        assert_eq!(whole(&mut resampler, &input), first, "{from} to {to}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn how_the_stream_is_cut_does_not_matter(
        from in prop::sample::select(&SampleRate::ALL[..]),
        to in prop::sample::select(&SampleRate::ALL[..]),
        high: bool,
        seed: u32,
        cuts in prop::collection::vec(0_usize..400, 1..12),
    ) {
        let quality = if high { Quality::High } else { Quality::Voice };
        let input = noise(cuts.iter().sum(), seed);
        let expected = whole(&mut Resampler::new(from, to, quality), &input);
        let mut resampler = Resampler::new(from, to, quality);
        let (mut rest, mut pieces) = (&input[..], Vec::new());
        for cut in cuts {
            let (piece, after) = rest.split_at(cut);
            pieces.extend(whole(&mut resampler, piece));
            rest = after;
        }
        prop_assert_eq!(pieces, expected);
    }
}
