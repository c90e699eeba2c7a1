use serde::Serialize;

/// How full the queue is, for whoever fills it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueLevel {
    /// It has come to its high water: wait.
    High,
    /// It has fallen to its low water again: go on.
    Low,
}

/// When the filler of a queue is to wait, and when to go on; in samples.
#[derive(Debug)]
pub(super) struct Watermarks {
    low: usize,
    high: usize,
    told: QueueLevel,
}

impl Watermarks {
    /// At most `low` is little, `high` or more is enough.
    pub(super) fn new(low: usize, high: usize) -> Self {
        Self { low, high, told: QueueLevel::Low }
    }

    /// What `queued` has reached since the other one was told.
    pub(super) fn pass(&mut self, queued: usize) -> Option<QueueLevel> {
        let level = match self.told {
            QueueLevel::Low if queued >= self.high => QueueLevel::High,
            QueueLevel::High if queued <= self.low => QueueLevel::Low,
            _ => return None,
        };
        self.told = level;
        Some(level)
    }
}
