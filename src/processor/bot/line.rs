use std::time::Duration;

use super::{Notice, Wish};
use crate::audio::SampleRate;
use crate::event::EventKind;
use crate::processor::{PieceLine, Setup};

/// Opens lines to a bot: what the processor needs of the half that owns sockets.
pub trait OpenBot: Send + Sync {
    /// The rate of the bot's audio, both ways, for a call of this rate.
    fn rate(&self, call: SampleRate) -> SampleRate;

    /// Audio in one message to the bot.
    fn chunk(&self) -> Duration;

    /// A line for one call, whose bot speaks and hears audio of `rate`. Must not block and does not
    /// fail: what is wrong with the bot is told through the line.
    fn open(&self, setup: &Setup<'_>, rate: SampleRate) -> Box<dyn BotLine>;
}

/// Takes one call's audio and what happens in it, gives what the bot wants. Never blocks. Dropped
/// without [`BotLine::close`], the call counts as given up.
pub trait BotLine: PieceLine {
    /// Tells the bot something.
    fn tell(&mut self, media_ms: u64, notice: Notice);

    /// What the bot's side has to say.
    fn poll(&mut self) -> Option<Order>;

    /// How much of the bot's audio waits, in samples of the call: the bot is read no further where
    /// that is too much.
    fn set_queued(&mut self, samples: usize);

    /// Audio of the bot was thrown away unheard.
    fn discarded(&mut self, samples: usize);

    /// The call is over.
    fn close(self: Box<Self>);
}

/// What comes from the bot's side.
#[derive(Clone, Debug)]
pub enum Order {
    /// The bot wants something. Audio has the call's rate.
    Wish(Wish),
    /// There is a bot.
    Connected,
    /// There is none any more, for now.
    Lost,
    /// The bot has ended the conversation.
    Ended,
    /// There has been no bot for too long, and there will be none.
    GaveUp,
    /// Something is to be told as an event of the call.
    Tell(EventKind),
}
