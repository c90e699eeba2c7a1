use crate::call::Destination;

/// What a bot wants of its call.
#[derive(Clone, PartialEq, Debug)]
pub enum Wish {
    /// Let the caller hear this, behind all that waits; at the rate that was agreed on.
    Audio(Vec<i16>),
    /// Tell when everything sent up to now has been played.
    Mark(String),
    /// Throw away what waits.
    Clear,
    /// Stop playing; keep what waits.
    Pause,
    /// Go on playing.
    Resume,
    /// Play a file or tones, behind all that waits.
    Play {
        /// As the player understands it: a file's name below its root, or `tone:…`.
        source: String,
        /// Again and again, until a clear.
        looped: bool,
    },
    /// Press keys towards the caller.
    SendDtmf(String),
    /// End the call.
    Hangup {
        /// Only when all that waits has been played.
        after_playout: bool,
    },
    /// Send the caller on in Asterisk's dialplan.
    Transfer(Destination),
    /// Switch a processor of the call's pipeline on or off.
    Processor {
        /// Its name in the pipeline.
        name: String,
        /// On, or off.
        on: bool,
    },
}

impl Wish {
    /// The wish by its name, as refusals tell it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Audio(_) => "audio",
            Self::Mark(_) => "mark",
            Self::Clear => "clear",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Play { .. } => "play",
            Self::SendDtmf(_) => "send_dtmf",
            Self::Hangup { .. } => "hangup",
            Self::Transfer(_) => "transfer",
            Self::Processor { .. } => "processor",
        }
    }
}
