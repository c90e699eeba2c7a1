use std::io;
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::time::{sleep_until, timeout};

use super::progress::Spoken;
use crate::audio::Ptime;
use crate::cli::fixture::{FRAME_SAMPLES, RATE};
use crate::runtime::Clock;

/// How long the caller listens after its last frame: longer than any round trip that passes.
const LISTEN_AFTER: Duration = Duration::from_millis(500);

/// Most samples of echo that are kept: what comes behind them is a fault of the server.
const MAX_ECHO_SAMPLES: u64 = 60 * RATE.hz() as u64;

/// How long the server may take to answer a hang-up.
const HANG_UP_LIMIT: Duration = Duration::from_secs(2);

/// Why a caller gave up.
#[derive(Debug, Error)]
pub(super) enum CallerError {
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// The server closed the connection while the caller talked.
    #[error("the server closed the connection before the caller did")]
    Closed,
    /// The server sent what it should not.
    #[error("the server sent {actual}, expected {expected}")]
    Unexpected { expected: &'static str, actual: String },
    /// The server did not end the call when it was told to.
    #[error("the call was not over {limit:?} after the hang-up")]
    NotEnded { limit: Duration },
}

/// The caller's end of one transport: frames out, frames in.
pub(super) trait Line {
    /// Sends one frame.
    async fn send(&mut self, samples: &[i16]) -> Result<(), CallerError>;

    /// Waits for a frame, puts its samples in place of what `samples` held, and answers how many
    /// samples after the first one received it begins; `None` once the server has closed.
    ///
    /// # Cancel safety
    /// Nothing is lost where it is dropped before its end.
    async fn receive(&mut self, samples: &mut Vec<i16>) -> Result<Option<u64>, CallerError>;

    /// Ends the call, and returns when the server has ended it too. What it sent until then may
    /// still wait to be received.
    async fn hang_up(&mut self) -> Result<(), CallerError>;
}

/// One packet that the caller heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Place of its first sample in the echo.
    pub(super) start: u64,
    pub(super) samples: usize,
    pub(super) at: Instant,
}

/// A call as the caller saw it.
#[derive(Debug)]
pub(super) struct Conversation {
    /// When each frame of the speech was sent.
    pub(super) sent: Vec<Instant>,
    /// By how much the latest of them missed its deadline.
    pub(super) held_up: Duration,
    /// Packets that came back.
    pub(super) heard: Vec<Heard>,
    /// Their samples, each at its place; silence where none came.
    pub(super) echo: Vec<i16>,
    /// From the first frame to the hang-up.
    pub(super) duration: Duration,
}

/// Plays `speech` into `line`, a frame each 20 ms on absolute deadlines, and notes what comes back
/// until the server has ended the call.
pub(super) async fn converse(
    line: &mut impl Line,
    speech: &[i16],
    clock: Clock,
    spoken: &Spoken,
) -> Result<Conversation, CallerError> {
    let start = clock.now();
    let mut ear = Ear { clock, heard: Vec::new(), echo: Vec::new(), frame: Vec::new() };
    let mut sent = Vec::with_capacity(speech.len() / FRAME_SAMPLES);
    let mut held_up = Duration::ZERO;
    let mut due = start;
    for frame in speech.chunks(FRAME_SAMPLES) {
        ear.listen(line, due).await?;
        let now = clock.now();
        held_up = held_up.max(now.saturating_duration_since(due));
        sent.push(now);
        line.send(frame).await?;
        spoken.add(Ptime::MS_20.duration());
        due += Ptime::MS_20.duration();
    }
    ear.listen(line, clock.now() + LISTEN_AFTER).await?;
    let duration = clock.now().saturating_duration_since(start);
    let not_ended = |_| CallerError::NotEnded { limit: HANG_UP_LIMIT };
    timeout(HANG_UP_LIMIT, line.hang_up()).await.map_err(not_ended)??;
    timeout(HANG_UP_LIMIT, ear.drain(line)).await.map_err(not_ended)??;
    let Ear { heard, echo, .. } = ear;
    Ok(Conversation { sent, held_up, heard, echo, duration })
}

struct Ear {
    clock: Clock,
    heard: Vec<Heard>,
    echo: Vec<i16>,
    frame: Vec<i16>,
}

impl Ear {
    async fn listen(&mut self, line: &mut impl Line, until: Instant) -> Result<(), CallerError> {
        loop {
            tokio::select! {
                biased;
                received = line.receive(&mut self.frame) => {
                    let start = received?.ok_or(CallerError::Closed)?;
                    self.note(start)?;
                }
                () = sleep_until(until.into()) => return Ok(()),
            }
        }
    }

    async fn drain(&mut self, line: &mut impl Line) -> Result<(), CallerError> {
        while let Some(start) = line.receive(&mut self.frame).await? {
            self.note(start)?;
        }
        Ok(())
    }

    fn note(&mut self, start: u64) -> Result<(), CallerError> {
        let end = start.saturating_add(self.frame.len() as u64);
        let place = usize::try_from(start).ok().filter(|_| end <= MAX_ECHO_SAMPLES);
        let place = place.ok_or_else(|| CallerError::Unexpected {
            expected: "audio of the last minute",
            actual: format!("samples {start} to {end}"),
        })?;
        let samples = self.frame.len();
        self.echo.resize(self.echo.len().max(place + samples), 0);
        self.echo[place..place + samples].copy_from_slice(&self.frame);
        self.heard.push(Heard { start, samples, at: self.clock.now() });
        Ok(())
    }
}
