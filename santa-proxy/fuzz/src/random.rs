//! Numbers that look random and are the same every time.

/// A sequence of numbers that its seed decides (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The sequence of an input, so that what is done to it depends on it alone.
    pub fn of(bytes: &[u8]) -> Self {
        let mix = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
        Self(bytes.iter().fold(0, mix))
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.number().checked_rem(end as u64).map_or(0, |number| number as usize)
    }

    /// One of `all`, which are not none.
    pub fn one_of<'s, T: ?Sized>(&mut self, all: &[&'s T]) -> &'s T {
        all[self.below(all.len())]
    }
}
