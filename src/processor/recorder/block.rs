use crate::audio::{Direction, Position, SampleRate};

/// Most audio in one [`Block`], in milliseconds.
pub const BLOCK_MS: u32 = 200;

/// Which stream of frames a [`Block`] was collected from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Track {
    /// The caller's audio as processors heard it, concealed frames included.
    Uplink,
    /// Frames of the caller's audio that came after their place had been concealed.
    Late,
    /// What was sent to the caller.
    Downlink,
}

impl Track {
    /// Every track, in the order of their indices.
    pub const ALL: [Self; 3] = [Self::Uplink, Self::Late, Self::Downlink];

    /// The side of the recording that the track belongs to.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match self {
            Self::Uplink | Self::Late => Direction::Uplink,
            Self::Downlink => Direction::Downlink,
        }
    }
}

/// Up to [`BLOCK_MS`] of contiguous samples of one track, with their place in the call.
///
/// Blocks are used again: the storage of `samples` is allocated once, by [`Block::new`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where the samples come from.
    pub track: Track,
    /// Place of the first sample.
    pub position: Position,
    /// The samples.
    pub samples: Vec<i16>,
}

impl Block {
    /// An empty block with room for [`BLOCK_MS`] at `rate`. Allocates.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        Self {
            track: Track::Uplink,
            position: Position(0),
            samples: Vec::with_capacity(Self::room(rate)),
        }
    }

    /// Most samples in one block at `rate`.
    #[must_use]
    pub const fn room(rate: SampleRate) -> usize {
        (rate.hz() * BLOCK_MS / 1000) as usize
    }

    /// Empties the block for samples of `track` from `position` on.
    pub fn restart(&mut self, track: Track, position: Position) {
        self.track = track;
        self.position = position;
        self.samples.clear();
    }

    /// The position just behind the last sample.
    #[must_use]
    pub fn end(&self) -> Position {
        self.position.plus(self.samples.len())
    }
}
