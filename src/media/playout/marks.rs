use std::collections::VecDeque;

/// Marks that may wait; of more, the oldest is told early.
pub(super) const MAX_MARKS: usize = 256;

/// A mark that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueMark {
    /// Its name.
    pub name: String,
    /// All that was queued before it has been sent. False for one whose audio was thrown away, and
    /// for one that is told early.
    pub played: bool,
}

/// Names that stand between the samples of a queue, in order.
#[derive(Debug, Default)]
pub(super) struct Marks(VecDeque<Mark>);

#[derive(Debug)]
struct Mark {
    /// It is due when so many samples have left the queue.
    at: u64,
    name: String,
    /// It is due in any case, without its audio.
    dropped: bool,
}

impl Mark {
    fn is_due(&self, pulled: u64) -> bool {
        self.dropped || self.at <= pulled
    }
}

impl Marks {
    /// Puts one where so many samples will have left, of which `pulled` have.
    pub(super) fn push(&mut self, at: u64, name: &str, pulled: u64) {
        if let Some(oldest) = self.0.len().checked_sub(MAX_MARKS) {
            let oldest = &mut self.0[oldest];
            oldest.dropped |= oldest.at > pulled;
        }
        self.0.push_back(Mark { at, name: name.to_owned(), dropped: false });
    }

    /// Makes all due that are not, and answers their names.
    pub(super) fn drop_all(&mut self, pulled: u64) -> Vec<String> {
        let ahead = self.0.iter_mut().filter(|mark| !mark.is_due(pulled));
        ahead
            .map(|mark| {
                mark.dropped = true;
                mark.name.clone()
            })
            .collect()
    }

    /// How many are due at the queue's head.
    pub(super) fn due(&self, pulled: u64) -> usize {
        self.0.iter().take_while(|mark| mark.is_due(pulled)).count()
    }

    /// Takes the first one where it is due.
    pub(super) fn pop(&mut self, pulled: u64) -> Option<DueMark> {
        let mark = self.0.pop_front_if(|mark| mark.is_due(pulled))?;
        Some(DueMark { name: mark.name, played: !mark.dropped })
    }
}
