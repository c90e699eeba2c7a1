use crossbeam_queue::ArrayQueue;

/// A bounded queue out of a shard, whose items are used again: the way from a processor to its other
/// half. Neither side ever waits for the other; where nobody takes items out, the oldest goes.
pub(crate) struct Lane<T> {
    full: ArrayQueue<T>,
    empty: ArrayQueue<T>,
}

impl<T> Lane<T> {
    /// A lane in which up to `capacity` items wait, and up to `spare` more lie ready to be used
    /// again.
    ///
    /// # Panics
    /// Where one of them is 0.
    pub(crate) fn new(capacity: usize, spare: usize) -> Self {
        Self { full: ArrayQueue::new(capacity), empty: ArrayQueue::new(spare) }
    }

    /// Most items that can wait.
    pub(crate) fn capacity(&self) -> usize {
        self.full.capacity()
    }

    /// An item that was used before.
    pub(crate) fn spare(&self) -> Option<T> {
        self.empty.pop()
    }

    /// Adds an item, and gives back the oldest one where that had to go.
    pub(crate) fn push(&self, item: T) -> Option<T> {
        self.full.force_push(item)
    }

    /// The oldest item that waits.
    pub(crate) fn pop(&self) -> Option<T> {
        self.full.pop()
    }

    /// Gives an item back to be used again.
    pub(crate) fn recycle(&self, item: T) {
        // Where enough lie ready, this one's storage goes back to the allocator.
        drop(self.empty.push(item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_item_goes_and_items_come_back() {
        let lane = Lane::new(2, 1);
        assert_eq!((lane.push(1), lane.push(2), lane.push(3)), (None, None, Some(1)));
        assert_eq!((lane.pop(), lane.pop(), lane.pop()), (Some(2), Some(3), None));
        assert_eq!(lane.spare(), None);
        lane.recycle(2);
        lane.recycle(3);
        assert_eq!((lane.spare(), lane.spare()), (Some(2), None), "one lies ready");
    }
}
