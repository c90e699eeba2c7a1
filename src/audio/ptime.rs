use std::time::Duration;

use thiserror::Error;

use super::SampleRate;

/// Packet time: how much audio one frame carries (RFC 8866 section 6.4), 10 to 60 ms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ptime(u8);

/// A packet time that is not one of 10, 20, 30, 40 and 60 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("{actual_ms} ms is not a packet time; allowed: 10, 20, 30, 40, 60")]
pub struct PtimeError {
    /// The packet time that was given, in milliseconds.
    pub actual_ms: u32,
}

impl Ptime {
    /// 20 ms, what Asterisk sends.
    pub const MS_20: Self = Self(20);

    /// A packet time of `ms` milliseconds.
    ///
    /// # Errors
    /// [`PtimeError`] where `ms` is not one of 10, 20, 30, 40 and 60.
    pub const fn from_ms(ms: u32) -> Result<Self, PtimeError> {
        match ms {
            10 => Ok(Self(10)),
            20 => Ok(Self(20)),
            30 => Ok(Self(30)),
            40 => Ok(Self(40)),
            60 => Ok(Self(60)),
            actual_ms => Err(PtimeError { actual_ms }),
        }
    }

    /// The time of one frame.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    /// Samples of one frame at `rate`. Whole at every [`SampleRate`].
    #[must_use]
    pub const fn samples(self, rate: SampleRate) -> usize {
        rate.hz() as usize * self.0 as usize / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_a_whole_number_of_samples() {
        for ms in [10, 20, 30, 40, 60] {
            let ptime = Ptime::from_ms(ms).unwrap();
            for rate in SampleRate::ALL {
                assert_eq!(rate.hz() * ms % 1000, 0);
                assert_eq!(rate.duration_of(ptime.samples(rate) as u64), ptime.duration());
            }
        }
        assert_eq!(Ptime::from_ms(25), Err(PtimeError { actual_ms: 25 }));
    }
}
