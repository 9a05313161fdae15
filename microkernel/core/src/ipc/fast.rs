//! What the short cut of a reply with bytes needs from Rust: the copy.
//!
//! (The checks before it and the switch after it are [`crate::arch::shortcut`]'s.)

use parley_abi::msg::Flags;

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::thread::Thread;
use crate::uaccess::{Claim, copy_short};

impl Core {
    /// Copies the bytes of a reply (`DATA` or `FILL` in `rax`) to `caller`, and returns what the caller's result is.
    /// `None`: the slow path copies them again, and says what is wrong.
    #[inline(always)]
    pub fn reply_bytes(&mut self, caller: Ref<Thread>, rax: u64, word: u64, address: u64, len: u64) -> Option<u64> {
        let from = self.claim(address, len);
        let copied = match self.copy_plain_read(caller, from) {
            Some(copied) => copied,
            None => self.reply_data(caller, from).ok()? as u64,
        };
        if rax >> 16 & Flags::FILL.bits() as u64 == 0 {
            return Some(copied);
        }
        (copied == len).then_some(word)
    }

    /// The common case: the caller's buffer is that of a `read`, and the bytes are few.
    #[inline(always)]
    fn copy_plain_read(&mut self, caller: Ref<Thread>, from: Claim) -> Option<u64> {
        let thread = self.threads.peek(caller);
        if !thread.request.row.is_plain_read() {
            return None;
        }
        let [address, len] = thread.buffer();
        let to = Claim { root: thread.root, address, len };
        let copied = copy_short(from, to, &mut self.leaves)?;
        self.count_copy(copied);
        Some(copied.bytes as u64)
    }
}
