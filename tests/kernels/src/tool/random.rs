//! Numbers that look random and are the same in every run.

/// A generator (G. Marsaglia, "Xorshift RNGs", 2003).
pub struct Random(u64);

impl Random {
    /// A generator that gives the numbers of `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    /// The next message.
    pub fn words(&mut self) -> [u64; 6] {
        core::array::from_fn(|_| self.next())
    }
}
