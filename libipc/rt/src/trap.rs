//! The caller that traps: a program's side of the interface tables.
//!
//! The stubs of `parley_proto` are written against [`Caller`]; in a program each call is one `syscall`
//! with a POSIX number, which the process's call table turns into a message.

use parley_abi::msg::Words;
use parley_proto::Caller;

use crate::sys;

/// Calls by the `syscall` instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trap;

impl Caller for Trap {
    #[inline]
    fn invoke(&mut self, number: u16, args: Words) -> i64 {
        sys::posix(number, args)
    }
}
