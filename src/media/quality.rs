//! How good a call is, as telephony counts it: the E-model of ITU-T G.107 (06/2015), from delay and
//! loss. It is a narrow-band model: 93.2 is the best R there is, and no better codec raises it.

use std::time::Duration;

use crate::audio::MediaFormat;

/// The default values of G.107 clause 7.7, in its own names and units (dB, dBm0p).
mod default {
    pub(super) const SLR: f64 = 8.0;
    pub(super) const RLR: f64 = 2.0;
    pub(super) const OLR: f64 = SLR + RLR;
    pub(super) const STMR: f64 = 15.0;
    pub(super) const LSTR: f64 = 18.0;
    pub(super) const DS: f64 = 3.0;
    pub(super) const TELR: f64 = 65.0;
    pub(super) const WEPL: f64 = 110.0;
    pub(super) const NC: f64 = -70.0;
    pub(super) const NFOR: f64 = -64.0;
    pub(super) const PS: f64 = 35.0;
    pub(super) const PR: f64 = 35.0;
    /// One quantising distortion unit: one pair of G.711 coders.
    pub(super) const QDU: f64 = 1.0;
    /// Sensitivity to delay, and the least delay that is perceived, in ms.
    pub(super) const S_T: f64 = 1.0;
    pub(super) const M_T: f64 = 100.0;
}

/// What a codec, with its concealment, does to speech (ITU-T G.113 Appendix I).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Equipment {
    /// Equipment impairment factor Ie: the loss of R without a lost packet.
    pub ie: f64,
    /// Packet-loss robustness factor Bpl, above 0: the greater, the less a lost packet matters.
    pub bpl: f64,
}

impl Equipment {
    /// G.711 whose lost packets are silence.
    pub const G711: Self = Self { ie: 0.0, bpl: 4.3 };
    /// G.711 whose lost packets are concealed: the figure is for G.711 Appendix I.
    pub const G711_PLC: Self = Self { ie: 0.0, bpl: 25.1 };

    /// The factors of `format`, with or without concealment of lost packets.
    ///
    /// `None` where G.113 has none on the narrow-band scale: linear samples, Opus, and G.722, whose
    /// factors are those of the wide-band model (G.107.1), another scale.
    #[must_use]
    pub const fn of(format: MediaFormat, concealed: bool) -> Option<Self> {
        match (format, concealed) {
            (MediaFormat::Ulaw | MediaFormat::Alaw, false) => Some(Self::G711),
            (MediaFormat::Ulaw | MediaFormat::Alaw, true) => Some(Self::G711_PLC),
            (MediaFormat::G722 | MediaFormat::Opus | MediaFormat::Slin(_), _) => None,
        }
    }
}

/// What the E-model says of a call.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quality {
    /// Transmission rating factor R: 93.2 at best; below 50 is not recommended (G.109). It may be
    /// less than 0.
    pub r: f64,
    /// Estimated mean opinion score of a conversation, 1 to 4.5 (G.107 Annex B).
    pub mos_cqe: f64,
}

/// The E-model with all that is not given at its default.
///
/// `delay` is one way, mouth to ear, in the same measure both ways. `loss` is the share of packets
/// lost, 0 to 1. `burst_ratio` is that of [`LossRuns`](super::LossRuns), 1 for independent losses;
/// G.107 vouches for more than 2 only where less than 2 % are lost. What is outside of its range is
/// put right to the nearer end; what is no number counts as 0 lost, or as a ratio of 1.
#[must_use]
pub fn quality(equipment: Equipment, delay: Duration, loss: f64, burst_ratio: f64) -> Quality {
    let basic = basic_signal_to_noise();
    let delay_ms = delay.as_secs_f64() * 1_000.0;
    let r = basic
        - simultaneous_impairment(basic, delay_ms)
        - delay_impairment(basic, delay_ms)
        - effective_equipment_impairment(equipment, loss, burst_ratio);
    Quality { r, mos_cqe: mos_of(r) }
}

/// MOS-CQE of an R (G.107 Annex B).
#[must_use]
pub fn mos_of(r: f64) -> f64 {
    if r <= 0.0 {
        return 1.0;
    }
    if r >= 100.0 {
        return 4.5;
    }
    // Below 6.5 the polynomial dips under the worst score.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// No: the sum of all noises at the 0 dBr point (equations 7-3 to 7-7).
fn noise() -> f64 {
    use default::*;
    let room_of_sender = PS - SLR - DS - 100.0 + 0.004 * (PS - OLR - DS - 14.0).powi(2);
    let effective_room = PR + 10.0 * (1.0 + power((10.0 - LSTR) / 10.0)).log10();
    let room_of_receiver = RLR - 121.0 + effective_room + 0.008 * (effective_room - 35.0).powi(2);
    let floor = NFOR + RLR;
    let sum: f64 =
        [NC, room_of_sender, room_of_receiver, floor].iter().map(|level| power(level / 10.0)).sum();
    10.0 * sum.log10()
}

/// Ro (equation 7-2).
fn basic_signal_to_noise() -> f64 {
    15.0 - 1.5 * (default::SLR + noise())
}

/// Is = Iolr + Ist + Iq (equations 7-8 to 7-17).
fn simultaneous_impairment(basic: f64, delay_ms: f64) -> f64 {
    use default::*;
    let x = OLR + 0.2 * (64.0 + noise() - RLR);
    let too_loud = 20.0 * (root_of_sum(x / 8.0, 8.0) - x / 8.0);

    let echo = (-delay_ms / 4.0).exp() * power(-TELR / 10.0);
    let masking = -10.0 * (power(-STMR / 10.0) + echo).log10();
    let sidetone = 12.0 * root_of_sum((masking - 13.0) / 6.0, 8.0)
        - 28.0 * root_of_sum((masking + 1.0) / 19.4, 35.0)
        - 13.0 * root_of_sum((masking - 3.0) / 33.0, 13.0)
        + 29.0;

    let q = 37.0 - 15.0 * QDU.log10();
    let g = 1.07 + 0.258 * q + 0.0602 * q * q;
    let y = (basic - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
    let z = 46.0 / 30.0 - g / 40.0;
    let quantising = 15.0 * (1.0 + power(y) + power(z)).log10();

    too_loud + sidetone + quantising
}

/// Id = Idte + Idle + Idd (equations 7-18 to 7-28): echo to the talker, echo to the listener, and
/// delay as such. T = Ta = the delay, Tr is twice that.
fn delay_impairment(basic: f64, delay_ms: f64) -> f64 {
    use default::*;
    // With the default STMR, between 9 and 20 dB, sidetone changes nothing here.
    let talker = if delay_ms < 1.0 {
        0.0
    } else {
        let loudness = TELR - 40.0 * ((1.0 + delay_ms / 10.0) / (1.0 + delay_ms / 150.0)).log10()
            + 6.0 * (-0.3 * delay_ms * delay_ms).exp();
        let rating = 80.0 + 2.5 * (loudness - 14.0);
        let distance = -1.5 * (noise() - RLR) - rating;
        (distance / 2.0 + (distance * distance / 4.0 + 100.0).sqrt() - 1.0)
            * (1.0 - (-delay_ms).exp())
    };

    let rating = 10.5 * (WEPL + 7.0) * (2.0 * delay_ms + 1.0).powf(-0.25);
    let distance = basic - rating;
    let listener = distance / 2.0 + (distance * distance / 4.0 + 169.0).sqrt();

    talker + listener + absolute_delay_impairment(delay_ms)
}

/// Idd (equations 7-27 and 7-28).
fn absolute_delay_impairment(delay_ms: f64) -> f64 {
    use default::*;
    if delay_ms <= M_T {
        return 0.0;
    }
    let x = (delay_ms / M_T).log2();
    25.0 * (root_of_sum(x, 6.0 * S_T) - 3.0 * root_of_sum(x / 3.0, 6.0 * S_T) + 2.0)
}

/// Ie-eff (equation 7-29).
fn effective_equipment_impairment(equipment: Equipment, loss: f64, burst_ratio: f64) -> f64 {
    let Equipment { ie, bpl } = equipment;
    let percent = if loss.is_nan() { 0.0 } else { loss.clamp(0.0, 1.0) * 100.0 };
    let burst_ratio = if burst_ratio.is_nan() { 1.0 } else { burst_ratio.max(f64::MIN_POSITIVE) };
    if percent == 0.0 {
        return ie;
    }
    ie + (95.0 - ie) * percent / (percent / burst_ratio + bpl)
}

/// (1 + x^n)^(1/n), the shape of most impairments.
fn root_of_sum(x: f64, n: f64) -> f64 {
    (1.0 + x.powf(n)).powf(1.0 / n)
}

fn power(exponent: f64) -> f64 {
    10_f64.powf(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::SampleRate;

    fn ms(delay: u64) -> Duration {
        Duration::from_millis(delay)
    }

    /// R of G.711 without loss.
    fn r_at(delay: u64) -> f64 {
        quality(Equipment::G711, ms(delay), 0.0, 1.0).r
    }

    #[test]
    fn all_defaults_give_the_rating_of_the_recommendation() {
        // G.107 clause 7.7: R = 93.2 with all defaults.
        let best = quality(Equipment::G711, Duration::ZERO, 0.0, 1.0);
        assert!((best.r - 93.2).abs() < 0.05, "{best:?}");
        // Its parts, by flent's `mos_score`: No, and Is with the default sidetone.
        assert!((noise() + 61.179_214).abs() < 1e-6);
        let basic = basic_signal_to_noise();
        assert!((simultaneous_impairment(basic, 0.0) - 1.413_568).abs() < 1e-6);
        // The score of that, to the two digits that are published.
        assert!((best.mos_cqe - 4.41).abs() < 0.005, "{best:?}");
    }

    #[test]
    fn scores_are_those_of_the_table_of_annex_b() {
        // G.107 Table B.1, the lower limits of its categories of satisfaction; the table has 4.03
        // where its formula gives 4.024.
        for (r, mos) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!((mos_of(r) - mos).abs() < 0.0061, "{r}: {}", mos_of(r));
        }
        assert_eq!((mos_of(-3.0), mos_of(0.0), mos_of(3.0)), (1.0, 1.0, 1.0));
        assert_eq!((mos_of(100.0), mos_of(f64::INFINITY)), (4.5, 4.5));
    }

    #[test]
    fn a_score_never_falls_as_the_rating_grows() {
        let scores: Vec<f64> = (-100..=1_100).map(|r| mos_of(f64::from(r) / 10.0)).collect();
        assert!(scores.is_sorted());
    }

    #[test]
    fn delay_costs_what_is_known_of_it() {
        // By the same `mos_score` (equations 7-18 to 7-28 at their defaults, which its authors checked
        // against the ITU-T's own calculator).
        for (delay, r) in
            [(0, 93.21), (50, 91.76), (100, 90.66), (150, 89.54), (200, 85.80), (400, 62.25)]
        {
            assert!((r_at(delay) - r).abs() < 0.01, "{delay} ms: {}", r_at(delay));
        }
        // Cole and Rosenbluth, "Voice over IP performance monitoring", ACM CCR 31(2), 2001, fit two
        // lines to the curve, which bends where these meet.
        for delay in [50_u32, 100, 150, 200, 300, 400] {
            let delay_ms = f64::from(delay);
            let lines = 0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0);
            let lost = 93.36 - r_at(delay.into());
            let room = if delay <= 150 { 0.5 } else { 3.2 };
            assert!((lost - lines).abs() < room, "{delay} ms: {lost}, {lines}");
        }
    }

    #[test]
    fn delay_as_such_counts_from_a_hundred_milliseconds() {
        assert_eq!(absolute_delay_impairment(100.0), 0.0);
        // By hand: X = 2 at 400 ms; 25 × ((1 + 2⁶)^⅙ − 3 (1 + (2/3)⁶)^⅙ + 2).
        assert!((absolute_delay_impairment(400.0) - 24.07).abs() < 0.01);
        let costs: Vec<f64> =
            (0..2_000).map(|delay| absolute_delay_impairment(f64::from(delay))).collect();
        assert!(costs.is_sorted());
    }

    #[test]
    fn losses_cost_what_the_formula_says() {
        let lost = |equipment, loss, ratio| r_at(20) - quality(equipment, ms(20), loss, ratio).r;
        // 95 × 2 / (2 + 4.3), and with concealment 95 × 2 / (2 + 25.1).
        assert!((lost(Equipment::G711, 0.02, 1.0) - 30.16).abs() < 0.01);
        assert!((lost(Equipment::G711_PLC, 0.02, 1.0) - 7.01).abs() < 0.01);
        // In bursts twice as long as independent ones: 95 × 2 / (2/2 + 25.1).
        assert!((lost(Equipment::G711_PLC, 0.02, 2.0) - 7.28).abs() < 0.01);
    }

    #[test]
    fn codecs_without_a_figure_have_none() {
        for format in MediaFormat::ALL {
            let has = matches!(format, MediaFormat::Ulaw | MediaFormat::Alaw);
            assert_eq!(Equipment::of(format, true).is_some(), has, "{format}");
        }
        assert_eq!(Equipment::of(MediaFormat::Slin(SampleRate::HZ_8000), false), None);
        assert_eq!(Equipment::of(MediaFormat::Ulaw, true), Some(Equipment::G711_PLC));
        assert_eq!(Equipment::of(MediaFormat::Alaw, false), Some(Equipment::G711));
    }

    #[test]
    fn any_input_gives_a_score() {
        for delay in [Duration::ZERO, ms(1), ms(100_000), Duration::MAX] {
            for loss in [f64::NAN, -1.0, 0.0, 0.5, 1.0, f64::INFINITY] {
                for ratio in [f64::NAN, f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY] {
                    let quality = quality(Equipment::G711_PLC, delay, loss, ratio);
                    assert!(quality.r.is_finite(), "{delay:?} {loss} {ratio}: {quality:?}");
                    assert!((1.0..=4.5).contains(&quality.mos_cqe));
                }
            }
        }
    }
}
