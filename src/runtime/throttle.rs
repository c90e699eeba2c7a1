use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that pass in one period.
const LINES: u32 = 5;

const PERIOD: Duration = Duration::from_secs(10);

/// Keeps a log readable when the same thing goes wrong a thousand times.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    until: Option<Instant>,
    passed: u32,
    held_back: u64,
}

impl Throttle {
    /// Whether a line may be logged at `now`; if so, how many before it were held back.
    pub(crate) fn pass(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.until.is_none_or(|until| now >= until) {
            window.until = Some(now + PERIOD);
            window.passed = 0;
        }
        if window.passed < LINES {
            window.passed += 1;
            return Some(std::mem::take(&mut window.held_back));
        }
        window.held_back += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::epoch;

    #[test]
    fn a_few_lines_pass_and_the_rest_is_counted() {
        let (throttle, start) = (Throttle::default(), epoch());
        let passed = (0..1_000).filter(|_| throttle.pass(start).is_some()).count();
        assert_eq!(passed, LINES as usize);
        assert_eq!(throttle.pass(start + PERIOD), Some(1_000 - u64::from(LINES)));
        assert_eq!(throttle.pass(start + PERIOD), Some(0));
    }
}
