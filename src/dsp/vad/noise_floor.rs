use super::lowest::Lowest;

/// Windows of one stretch of time: 0.75 s of windows of 10 ms.
const STRETCH: u32 = 75;

/// How much of the smoothed power is that of the latest window, where that is louder and where it is
/// not: the end of speech is to be seen, however loud that was.
const LOUDER: f32 = 0.2;
const QUIETER: f32 = 0.3;

/// What is assumed of the first stretch, so that a call may begin with speech: −50 dBov.
const ASSUMED: f32 = 10_737.0;

/// Nothing quieter is told from silence: −65 dBov.
const LEAST: f32 = 339.5;

/// The level of what is always there: the lowest power of the last 2 to 3 s, for nobody speaks that
/// long without a pause.
///
/// Power is the mean square of samples, smoothed. One measurement is that of some 10 ms. The floor
/// is −65 dBov or more.
#[derive(Clone, Debug)]
pub struct NoiseFloor {
    smoothed: f32,
    lowest: Lowest,
    floor: f32,
}

impl NoiseFloor {
    /// A floor of which nothing is known.
    pub const UNKNOWN: Self = Self { smoothed: 0.0, lowest: Lowest::new(STRETCH), floor: ASSUMED };

    /// Takes the next window's power; answers by what factor the smoothed power is above the floor,
    /// 1 or more.
    pub fn excess(&mut self, power: f32) -> f32 {
        let power = power.max(LEAST);
        if self.smoothed == 0.0 {
            self.smoothed = power;
        }
        let latest = if power > self.smoothed { LOUDER } else { QUIETER };
        self.smoothed += latest * (power - self.smoothed);
        self.floor = self.lowest.push(self.smoothed);
        if self.lowest.is_first() {
            self.floor = self.floor.min(ASSUMED);
        }
        (self.smoothed / self.floor).max(1.0)
    }

    /// The floor's power.
    #[must_use]
    pub fn power(&self) -> f32 {
        self.floor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The floor in dBov after so many windows of each power in dBov.
    fn floor(windows: &[(u32, f32)]) -> f32 {
        let mut floor = NoiseFloor::UNKNOWN;
        for &(count, dbov) in windows {
            for _ in 0..count {
                floor.excess(10_f32.powf(dbov / 10.0) * 32_768.0_f32.powi(2));
            }
        }
        10.0 * (floor.power() / 32_768.0_f32.powi(2)).log10()
    }

    #[test]
    fn it_stays_with_the_noise_through_speech_and_follows_where_the_noise_changes() {
        // Smoothing has not quite forgotten the noise before.
        let close = |actual: f32, expected: f32| (actual - expected).abs() < 0.05;
        assert!(close(floor(&[(500, -40.0)]), -40.0));
        assert!(close(floor(&[(500, -40.0), (200, -20.0)]), -40.0));
        assert!(close(floor(&[(500, -40.0), (320, -30.0)]), -30.0));
        assert!(close(floor(&[(500, -40.0), (60, -50.0)]), -50.0));
        assert!(close(floor(&[(500, -90.0)]), -65.0));
    }

    #[test]
    fn a_call_that_begins_with_speech_is_above_the_floor_at_once() {
        let mut floor = NoiseFloor::UNKNOWN;
        let speech = 10_f32.powf(-2.6) * 32_768.0_f32.powi(2);
        // 24 dB above the −50 dBov that are assumed.
        assert!(floor.excess(speech) > 200.0);
    }
}
