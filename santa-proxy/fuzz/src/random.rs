//! Numbers that look random and are the same every time.

/// A sequence of numbers that its seed decides.
#[derive(Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The sequence of an input, so that what is done to it depends on it alone.
    pub fn of(bytes: &[u8]) -> Self {
        let mix = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        Self::new(bytes.iter().fold(0, mix))
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.0.u8(..)
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end.max(1))
    }

    /// One of `all`, which are not none.
    pub fn one_of<'s, T: ?Sized>(&mut self, all: &[&'s T]) -> &'s T {
        all[self.below(all.len())]
    }
}
