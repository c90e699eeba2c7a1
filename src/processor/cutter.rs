use super::{Piece, Speech};
use crate::audio::Position;

/// The way of a call's audio to the half of a processor that has a socket. Never blocks.
pub trait PieceLine: Send {
    /// An empty piece. Allocates only while the line has not had enough pieces before.
    fn piece(&mut self) -> Piece;

    /// Takes a filled piece; where the other half is too slow, the oldest one of the call is dropped
    /// and counted.
    fn push(&mut self, piece: Piece);
}

/// Cuts audio into pieces of one length, however the frames are cut that it comes in. A gap begins a
/// new piece.
#[derive(Debug)]
pub(crate) struct Cutter {
    chunk_samples: usize,
    filling: Option<Piece>,
    /// Whether the caller speaks: every piece tells it.
    speech: Speech,
}

impl Cutter {
    /// A cutter into pieces of so many samples.
    pub(crate) fn new(chunk_samples: usize) -> Self {
        Self { chunk_samples, filling: None, speech: Speech::Silent }
    }

    /// Takes samples whose first one lies at `position`.
    pub(crate) fn take(
        &mut self,
        mut position: Position,
        mut samples: &[i16],
        line: &mut dyn PieceLine,
    ) {
        while !samples.is_empty() {
            if self.filling.as_ref().is_some_and(|piece| piece.end() != position) {
                self.release(line);
            }
            let piece = self.filling.get_or_insert_with(|| empty(position, line));
            let taken = samples.len().min(self.chunk_samples - piece.samples.len());
            let (head, rest) = samples.split_at(taken);
            piece.samples.extend_from_slice(head);
            position = position.plus(taken);
            samples = rest;
            if piece.samples.len() == self.chunk_samples {
                self.release(line);
            }
        }
    }

    /// Whether the caller speaks, from now on. What came before is handed on with it at once.
    pub(crate) fn set_speech(&mut self, speech: Speech, line: &mut dyn PieceLine) {
        if speech == self.speech {
            return;
        }
        self.speech = speech;
        self.filling.get_or_insert_with(|| empty(Position::default(), line));
        self.release(line);
    }

    /// Hands on what there is, as short as it may be.
    pub(crate) fn release(&mut self, line: &mut dyn PieceLine) {
        if let Some(mut piece) = self.filling.take() {
            piece.speech = self.speech;
            line.push(piece);
        }
    }
}

fn empty(position: Position, line: &mut dyn PieceLine) -> Piece {
    let mut piece = line.piece();
    piece.restart(position);
    piece
}
