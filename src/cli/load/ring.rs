/// Values by running numbers of which only a bounded span is in use at a time: found by arithmetic.
pub(super) struct Ring<T>(Vec<Option<(u32, T)>>);

impl<T> Ring<T> {
    /// Room for a span of so many numbers.
    pub(super) fn new(span: usize) -> Self {
        Self((0..span.next_power_of_two()).map(|_| None).collect())
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = self.place(number);
        self.0[place].as_mut().filter(|(it, _)| *it == number).map(|(_, value)| value)
    }

    /// Puts a value in, in the place of what had the same one.
    pub(super) fn insert(&mut self, number: u32, value: T) {
        let place = self.place(number);
        self.0[place] = Some((number, value));
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.place(number);
        self.0[place].take_if(|(it, _)| *it == number).map(|(_, value)| value)
    }

    fn place(&self, number: u32) -> usize {
        number as usize & (self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_own_value_and_no_older_ones() {
        let mut ring = Ring::new(5);
        ring.insert(3, "three");
        assert_eq!(ring.get_mut(3), Some(&mut "three"));
        assert_eq!(ring.get_mut(11), None);
        assert_eq!(ring.remove(11), None);
        ring.insert(11, "eleven");
        assert_eq!(ring.get_mut(3), None);
        assert_eq!(ring.remove(11), Some("eleven"));
        assert_eq!(ring.remove(11), None);
    }
}
