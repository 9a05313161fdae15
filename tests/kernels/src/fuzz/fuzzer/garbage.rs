//! Steps without sense: core calls with any number and any words.

use parley_abi::call::{FIRST, THREAD_EXIT};
use parley_abi::msg::POLL;
use parley_abi::{USER_END, slot};

use super::Fuzzer;

/// Numbers tried from [`FIRST`] on: all that exist, and some that do not.
const NUMBERS: u64 = 80;
/// Pointers that lead nowhere.
const NOWHERE: [u64; 9] = [
    0,
    0x10,
    0x7000_0000_0000,
    USER_END,
    USER_END - 1,
    1 << 47,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
    u64::MAX,
];

impl Fuzzer {
    pub(super) fn garbage(&mut self) {
        let number = u64::from(FIRST) + self.random.below(NUMBERS);
        if number == u64::from(THREAD_EXIT) && self.random.below(8) > 0 {
            return;
        }
        let flags = if self.random.below(4) == 0 { self.random.next() & 0xffff_ffff_ffff_0000 } else { 0 };
        let handle = self.word();
        let words = core::array::from_fn(|_| self.word());
        let token = self.word();
        self.call(number | flags, handle, words, token, POLL);
    }

    /// A word that is plausible in one of several ways, or not at all.
    pub(super) fn word(&mut self) -> u64 {
        let value = self.random.next();
        match self.random.below(8) {
            0 => value % 8,
            1 => u64::from(slot::SPACE) + value % 80,
            2 => value % u64::from(slot::END + 8),
            3 => 0x40_0000 + value % 0x12_0000,
            4 => USER_END.wrapping_sub(2048).wrapping_add(value % 4096),
            5 => self.nowhere(),
            6 => self.buffer(),
            _ => value,
        }
    }

    /// An address at which nothing is.
    pub(super) fn nowhere(&mut self) -> u64 {
        self.random.of(&NOWHERE)
    }
}
