//! What the short cut of a reply with bytes needs from Rust: the copy.
//!
//! (The checks before it and the switch after it are [`crate::arch::shortcut`]'s.)

use parley_abi::msg::Flags;

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::thread::Thread;

impl Core {
    /// Copies the bytes of a reply (`DATA` or `FILL` in `rax`) to `caller`, and returns what the caller's result is.
    /// `None`: the slow path copies them again, and says what is wrong.
    #[inline(always)]
    pub fn reply_bytes(&mut self, caller: Ref<Thread>, rax: u64, word: u64, address: u64, len: u64) -> Option<u64> {
        let from = self.claim(address, len);
        let copied = self.reply_data(caller, from).ok()? as u64;
        if rax >> 16 & Flags::FILL.bits() as u64 == 0 {
            return Some(copied);
        }
        (copied == len).then_some(word)
    }
}
