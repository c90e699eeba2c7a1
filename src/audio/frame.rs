use serde::Serialize;

use super::SampleRate;

/// Where a sample lies in a call: samples since the call's start, at the call's rate.
///
/// Both directions of a call count from the same zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct Position(pub u64);

impl Position {
    /// The position `samples` later.
    #[must_use]
    pub const fn plus(self, samples: usize) -> Self {
        Self(self.0.saturating_add(samples as u64))
    }
}

/// Which way audio goes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Caller → bot.
    Uplink,
    /// Bot → caller.
    Downlink,
}

/// Where a frame's samples come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Received (uplink) or queued by a processor (downlink). The first 4 ms behind what was made up
    /// are cross-faded with that, and a frame whose length was changed with itself.
    Real,
    /// Made up for a packet that had not arrived in time.
    Concealed,
    /// Made up while the sender is silent, after the noise that it told of (RFC 3389).
    ComfortNoise,
    /// Nothing was there to play.
    Silence,
}

/// A piece of mono 16-bit audio with its place in the call.
///
/// A view: the samples belong to the engine, live for one call of the chain, and may be changed
/// in place for the processors that follow.
#[derive(Debug)]
pub struct AudioFrame<'a> {
    /// The samples, as many as the peer packs into one frame: mostly 20 ms, never none.
    pub samples: &'a mut [i16],
    /// Rate of the samples.
    pub rate: SampleRate,
    /// Place of the first sample.
    pub position: Position,
    /// Where the samples come from.
    pub origin: Origin,
}

impl AudioFrame<'_> {
    /// The position just behind the last sample.
    #[must_use]
    pub fn end(&self) -> Position {
        self.position.plus(self.samples.len())
    }
}
