//! The caller that traps: a program's side of the interface tables.
//!
//! The stubs of `parley_proto` are written against [`Caller`]; in a program each call is one `syscall`
//! with a POSIX number, which the process's call table turns into a message.

use parley_abi::msg::Words;
use parley_proto::Caller;

use crate::sys;

/// Calls that end with ETIMEDOUT after so many nanoseconds: for whoever must not wait for a server that hangs.
#[derive(Clone, Copy, Debug)]
pub struct Within(pub u64);

impl Caller for Within {
    fn invoke(&mut self, number: u16, args: Words) -> i64 {
        sys::row(number, args, sys::clock().saturating_add(self.0))
    }
}

/// Calls by the `syscall` instruction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trap;

impl Caller for Trap {
    #[inline]
    fn invoke(&mut self, number: u16, args: Words) -> i64 {
        sys::posix(number, args)
    }
}
