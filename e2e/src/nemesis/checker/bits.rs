//! A set of small numbers, one bit each.

/// The set.
#[derive(Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    count: u64,
}

impl Bits {
    /// Adds a number; whether it was new.
    pub(super) fn add(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Those that `other` has not.
    pub(super) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u64> + 'a {
        let other = other.words.iter().copied().chain(std::iter::repeat(0));
        let left = self.words.iter().zip(other).map(|(own, other)| own & !other);
        (0..).zip(left).flat_map(|(word, left)| {
            (0..64).filter(move |bit| left >> bit & 1 == 1).map(move |bit| word * 64 + bit)
        })
    }
}

fn place(number: u64) -> (usize, u64) {
    (usize::try_from(number / 64).expect("records fit into memory"), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn a_set_knows_what_another_has_not() {
        let (mut one, mut two) = (Bits::default(), Bits::default());
        assert!([0, 63, 64, 1000].map(|number| one.add(number)).iter().all(|is_new| *is_new));
        assert!(!one.add(64));
        assert!([64, 2000].map(|number| two.add(number)).iter().all(|is_new| *is_new));
        assert_eq!(one.without(&two).collect::<Vec<_>>(), [0, 63, 1000]);
        assert_eq!(two.without(&one).collect::<Vec<_>>(), [2000]);
        assert_eq!(one.count(), 4);
    }
}
