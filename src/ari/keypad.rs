/// Digits that may wait for an answer of Asterisk's; of more, the latest are dropped.
const MAX_WAITING: usize = 256;

/// Keys that are to be pressed towards one caller, in order: one request at a time is under way, and
/// what comes meanwhile goes with the next one.
#[derive(Debug, Default)]
pub(super) struct Keypad {
    waiting: String,
    /// A request has not been answered yet.
    busy: bool,
}

impl Keypad {
    /// Takes digits; answers how many of them there was no room for.
    pub(super) fn press(&mut self, digits: &str) -> usize {
        let room = MAX_WAITING - self.waiting.len();
        self.waiting.extend(digits.chars().take(room));
        digits.len().saturating_sub(room)
    }

    /// What is to be asked for now. Tell [`Self::answered`] when that is answered.
    pub(super) fn next(&mut self) -> Option<String> {
        if self.busy || self.waiting.is_empty() {
            return None;
        }
        self.busy = true;
        Some(std::mem::take(&mut self.waiting))
    }

    /// What was asked for has been answered, well or not.
    pub(super) fn answered(&mut self) {
        self.busy = false;
    }

    /// Whether there is nothing to ask for and nothing under way.
    pub(super) fn is_idle(&self) -> bool {
        !self.busy && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_keep_their_order_and_one_request_is_under_way_at_a_time() {
        let mut keypad = Keypad::default();
        assert!(keypad.is_idle());
        assert_eq!((keypad.press("1"), keypad.next().as_deref()), (0, Some("1")));
        for digits in ["2", "34"] {
            assert_eq!((keypad.press(digits), keypad.next()), (0, None));
        }
        keypad.answered();
        assert_eq!(keypad.next().as_deref(), Some("234"));
        assert!(!keypad.is_idle());
        keypad.answered();
        assert!(keypad.is_idle() && keypad.next().is_none());
    }

    #[test]
    fn an_asterisk_that_does_not_answer_lets_no_more_wait_than_there_is_room_for() {
        let mut keypad = Keypad::default();
        keypad.press("0");
        keypad.next();
        let dropped: usize = (0..60).map(|_| keypad.press("12345")).sum();
        assert_eq!(dropped, 300 - MAX_WAITING);
        keypad.answered();
        assert_eq!(keypad.next().map(|digits| digits.len()), Some(MAX_WAITING));
    }
}
