//! All that was seen, as one number.

use alloc::vec::Vec;

/// A sum that each word changes all of (as FNV-1a, for words and with a rotation), and the numbers that stand for tokens.
pub struct Digest {
    sum: u64,
    tokens: Vec<u64>,
}

impl Digest {
    /// Of nothing.
    pub fn new() -> Digest {
        Digest { sum: 0xcbf2_9ce4_8422_2325, tokens: Vec::new() }
    }

    /// Adds a word.
    pub fn add(&mut self, word: u64) {
        self.sum = (self.sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    /// Adds a token: which of those that were seen it is. Its own number depends on what the machine did before.
    pub fn add_token(&mut self, token: u64) {
        let known = self.tokens.iter().position(|&known| known == token);
        let number = known.unwrap_or_else(|| {
            self.tokens.push(token);
            self.tokens.len() - 1
        });
        self.add(number as u64);
    }

    /// The number so far.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}
