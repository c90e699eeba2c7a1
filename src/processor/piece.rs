use std::time::Duration;

use crate::audio::{Position, SampleRate};

/// Shortest piece that makes sense: a packet.
pub const MIN_CHUNK: Duration = Duration::from_millis(20);

/// Longest piece.
pub const MAX_CHUNK: Duration = Duration::from_millis(200);

/// Whether the caller speaks, as far as a detector in the pipeline knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Speech {
    /// No.
    #[default]
    Silent,
    /// Yes, since this position.
    Since(Position),
}

/// Contiguous audio of the caller with its place in the call, or only word that the caller speaks
/// or does not.
///
/// Pieces are used again: the storage of `samples` is allocated once, by [`Piece::new`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Place of the first sample, at the rate that the service wants.
    pub position: Position,
    /// The samples.
    pub samples: Vec<i16>,
    /// Whether the caller speaks at the end of the piece.
    pub speech: Speech,
}

impl Piece {
    /// An empty piece with room for [`MAX_CHUNK`] at `rate`. Allocates.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        Self::with_room(rate.length_of(MAX_CHUNK))
    }

    /// An empty piece with room for so many samples. Allocates.
    #[must_use]
    pub fn with_room(samples: usize) -> Self {
        Self {
            position: Position::default(),
            samples: Vec::with_capacity(samples),
            speech: Speech::Silent,
        }
    }

    /// Empties the piece for samples from `position` on.
    pub fn restart(&mut self, position: Position) {
        self.position = position;
        self.samples.clear();
    }

    /// The position just behind the last sample.
    #[must_use]
    pub fn end(&self) -> Position {
        self.position.plus(self.samples.len())
    }
}
