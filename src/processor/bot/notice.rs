use crate::call::EndReason;
use crate::processor::Piece;
use crate::processor::stt::Transcript;

/// One thing for the bot, in the order in which it happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Told {
    /// The caller's audio, at the rate that the bot wants.
    Audio(Piece),
    /// Something happened.
    Notice {
        /// When: since the call's start.
        media_ms: u64,
        /// What.
        notice: Notice,
    },
}

impl Told {
    /// Whether it makes sense to a bot that was not there when it happened: what the caller said and
    /// did does, what became of another connection's audio does not.
    pub(super) fn outlives_connection(&self) -> bool {
        let Self::Notice { notice, .. } = self else { return true };
        matches!(
            notice,
            Notice::SpeechStarted { .. }
                | Notice::SpeechEnded { .. }
                | Notice::Dtmf { .. }
                | Notice::Transcript(_)
                | Notice::Stop { .. }
        )
    }
}

/// What a bot is told of its call, besides the audio.
#[derive(Clone, PartialEq, Debug)]
pub enum Notice {
    /// The caller began to speak.
    SpeechStarted {
        /// When: since the call's start.
        at_ms: u64,
    },
    /// The caller stopped.
    SpeechEnded {
        /// When: since the call's start.
        at_ms: u64,
    },
    /// The caller pressed a key.
    Dtmf {
        /// `0` to `9`, `*`, `#`, `A` to `D`.
        digit: char,
        /// How long, where that is known.
        duration_ms: Option<u64>,
    },
    /// A recogniser of the pipeline heard something.
    Transcript(Box<Transcript>),
    /// A mark of the bot's was reached, or will not be.
    Mark {
        /// Its name.
        name: String,
        /// All audio before it has been sent to the caller.
        played: bool,
    },
    /// Something became of what the bot plays.
    Playback {
        /// What.
        state: PlaybackState,
        /// How much of the playback the caller has really been sent.
        played_ms: u64,
        /// How much was thrown away.
        discarded_ms: u64,
    },
    /// So much of the bot's audio waits that it is to wait, too.
    Xoff {
        /// How much.
        queued_ms: u64,
    },
    /// The bot may go on.
    Xon {
        /// How much waits.
        queued_ms: u64,
    },
    /// Figures, from time to time.
    Stats {
        /// Audio of the caller that the bot was sent on this connection.
        sent_ms: u64,
        /// Audio of the caller that the bot was too slow for.
        dropped_ms: u64,
        /// Audio that came from the bot on this connection.
        received_ms: u64,
        /// Audio of the bot that waits.
        queued_ms: u64,
    },
    /// A wish of the bot's cannot be done.
    Refused {
        /// The wish, by its name.
        wish: &'static str,
        /// Why not, in a sentence.
        reason: String,
    },
    /// The call is over: the last notice.
    Stop {
        /// Why.
        reason: EndReason,
    },
}

/// What became of a playback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaybackState {
    /// All of it was sent.
    Done,
    /// It was thrown away, and who wanted that.
    Cleared(ClearReason),
    /// It was lowered or stopped, because the caller speaks.
    Held,
    /// It goes on as before: the caller said next to nothing.
    Resumed,
}

/// Who wanted a playback to be thrown away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClearReason {
    /// The bot, or another processor.
    Asked,
    /// The caller spoke over it.
    BargeIn,
}
