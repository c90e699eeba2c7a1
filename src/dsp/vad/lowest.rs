/// Stretches that are remembered.
const STRETCHES: usize = 4;

/// The lowest of the latest values.
#[derive(Clone, Debug)]
pub(super) struct Lowest {
    /// Of each stretch, the one at work among them.
    lowest: [f32; STRETCHES],
    at: usize,
    /// Values of a stretch, and how many the one at work has.
    length: u32,
    count: u32,
}

impl Lowest {
    /// Of at least the latest three times `length` values, and at most four times as many.
    pub(super) const fn new(length: u32) -> Self {
        Self { lowest: [f32::INFINITY; STRETCHES], at: 0, length, count: 0 }
    }

    /// Takes the next value and answers the lowest, this one among them.
    pub(super) fn push(&mut self, value: f32) -> f32 {
        if self.count == self.length {
            self.count = 0;
            self.at = (self.at + 1) % STRETCHES;
            self.lowest[self.at] = f32::INFINITY;
        }
        self.count += 1;
        self.lowest[self.at] = self.lowest[self.at].min(value);
        self.lowest.iter().fold(f32::INFINITY, |a, &b| a.min(b))
    }

    /// Whether the first stretch is not over.
    pub(super) fn is_first(&self) -> bool {
        self.at == 0 && self.lowest[1].is_infinite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_remembered_for_three_to_four_stretches() {
        for at in 0..10 {
            let mut lowest = Lowest::new(10);
            for n in 0..100 {
                let answer = lowest.push(if n == at { 1.0 } else { 2.0 });
                let age = n - at;
                if (0..30).contains(&age) {
                    assert_eq!(answer, 1.0, "{n}");
                } else if !(0..40).contains(&age) {
                    assert_eq!(answer, 2.0, "{n}");
                }
            }
        }
    }

    #[test]
    fn the_first_stretch_ends_when_it_is_full() {
        let mut lowest = Lowest::new(3);
        let first: Vec<bool> = (0..20)
            .map(|_| {
                lowest.push(0.0);
                lowest.is_first()
            })
            .collect();
        assert_eq!(first.iter().filter(|is_first| **is_first).count(), 3);
        assert!(first[..3].iter().all(|is_first| *is_first));
    }
}
