use super::BargeIn;
use crate::audio::Position;

/// Who has the floor, the caller or the bot: what the caller's speech does to what is played.
#[derive(Debug)]
pub(super) struct Floor {
    barge_in: BargeIn,
    /// Samples of speech that make certain that it is meant.
    confirm: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// The bot may speak.
    Free,
    /// The bot was lowered or stopped at this moment.
    Held { since: Position },
    /// The bot was silenced: what it says to the end of the caller's speech is the rest of what was
    /// thrown away, unless it has thrown that away itself.
    Taken,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    Nothing,
    /// Lower or stop what is played.
    Hold,
    /// Take that back.
    Release,
    /// Take that back, if it was done, and throw away what is played.
    Clear,
}

impl Floor {
    /// A floor that is the bot's.
    pub(super) fn new(barge_in: BargeIn, confirm: u64) -> Self {
        Self { barge_in, confirm, state: State::Free }
    }

    /// The caller speaks, while the bot does or does not.
    pub(super) fn speech_started(&mut self, now: Position, playing: bool) -> Move {
        if !playing || self.state != State::Free {
            return Move::Nothing;
        }
        match self.barge_in {
            BargeIn::Notify => Move::Nothing,
            BargeIn::AutoClear => {
                self.state = State::Taken;
                Move::Clear
            }
            BargeIn::Duck | BargeIn::Pause => {
                self.state = State::Held { since: now };
                Move::Hold
            }
        }
    }

    /// The caller has finished.
    pub(super) fn speech_ended(&mut self) -> Move {
        match std::mem::replace(&mut self.state, State::Free) {
            State::Held { .. } => Move::Release,
            State::Free | State::Taken => Move::Nothing,
        }
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Position) -> Move {
        match self.state {
            State::Held { since } if now.0.saturating_sub(since.0) >= self.confirm => {
                self.state = State::Taken;
                Move::Clear
            }
            _ => Move::Nothing,
        }
    }

    /// What is played was thrown away on somebody's wish: what comes from now on is new.
    pub(super) fn cleared(&mut self) -> Move {
        self.speech_ended()
    }

    /// Whether what comes from the bot is the rest of what was thrown away.
    pub(super) fn is_taken(&self) -> bool {
        self.state == State::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: [Position; 4] = [Position(0), Position(100), Position(200), Position(300)];

    fn floor(barge_in: BargeIn) -> Floor {
        Floor::new(barge_in, 200)
    }

    #[test]
    fn a_bot_that_is_silent_is_not_interrupted() {
        for (_, barge_in) in BargeIn::WORDS {
            let mut floor = floor(barge_in);
            assert_eq!(floor.speech_started(T[0], false), Move::Nothing);
            assert_eq!((floor.tick(T[3]), floor.is_taken()), (Move::Nothing, false));
            assert_eq!(floor.speech_ended(), Move::Nothing);
        }
    }

    #[test]
    fn notify_does_nothing_at_all() {
        let mut floor = floor(BargeIn::Notify);
        assert_eq!(floor.speech_started(T[0], true), Move::Nothing);
        assert_eq!((floor.tick(T[3]), floor.is_taken()), (Move::Nothing, false));
    }

    #[test]
    fn auto_clear_takes_the_floor_at_once_and_until_the_caller_has_finished() {
        let mut floor = floor(BargeIn::AutoClear);
        assert_eq!(floor.speech_started(T[0], true), Move::Clear);
        assert!(floor.is_taken());
        assert_eq!(floor.speech_started(T[1], true), Move::Nothing, "it is taken already");
        assert_eq!((floor.speech_ended(), floor.is_taken()), (Move::Nothing, false));
        assert_eq!(floor.speech_started(T[2], true), Move::Clear, "and again");
    }

    #[test]
    fn what_is_held_is_released_by_a_false_alarm_and_cleared_by_speech() {
        for barge_in in [BargeIn::Duck, BargeIn::Pause] {
            let mut floor = floor(barge_in);
            assert_eq!(floor.speech_started(T[1], true), Move::Hold);
            assert_eq!(floor.tick(T[2]), Move::Nothing);
            assert_eq!((floor.speech_ended(), floor.is_taken()), (Move::Release, false));
            assert_eq!(floor.tick(T[3]), Move::Nothing);
            assert_eq!(floor.speech_started(T[1], true), Move::Hold);
            assert_eq!((floor.tick(T[3]), floor.is_taken()), (Move::Clear, true));
            assert_eq!(floor.tick(T[3]), Move::Nothing);
        }
    }

    #[test]
    fn a_bot_that_clears_by_itself_has_the_floor_again() {
        let mut floor = floor(BargeIn::Pause);
        floor.speech_started(T[0], true);
        assert_eq!(floor.cleared(), Move::Release);
        floor.speech_started(T[0], true);
        floor.tick(T[3]);
        assert_eq!((floor.cleared(), floor.is_taken()), (Move::Nothing, false));
    }
}
