//! Leases: the caller's buffers, lent to the server while the caller waits.
//!
//! Nothing is prepared when a request is sent. Where a buffer lies follows from the row and from the
//! caller's registers, which are in its thread block until it goes on.

use parley_abi::{Errno, Rights, Shape, Token, kind};

use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Endpoint, Kind, Packed, Thread};
use crate::syscall::Done;
use crate::uaccess::{Claim, Side, copy_between};

use super::reply::MOST_BYTES;

/// Buffer `number` of a row whose words begin at register `first` of the thread that calls it. EACCES: there is none, or
/// not for this direction.
#[inline(always)]
pub fn lent(thread: &Thread, row: Packed, first: u8, number: u64, write: bool) -> Result<Claim, Errno> {
    if number > 1 {
        return Err(Errno::EACCES);
    }
    let (shape, word, size) = row.lease(number);
    let allowed = match shape {
        Shape::None => false,
        Shape::Read | Shape::ReadFixed | Shape::Text => !write,
        Shape::Write | Shape::WriteFixed => write,
    };
    if !allowed {
        return Err(Errno::EACCES);
    }
    let at = first as usize + word;
    let len = match shape {
        Shape::Read | Shape::Write => thread.frame.args[at + 1],
        _ => size,
    };
    let claim = Claim::new(thread.root, thread.frame.args[at], len);
    Ok(Claim { text: shape == Shape::Text, ..claim })
}

impl Core {
    /// Buffer `number` of a request. EACCES: there is none, or not for this direction.
    #[inline(always)]
    pub fn lease(&self, caller: Ref<Thread>, number: u64, write: bool) -> Result<Claim, Errno> {
        let thread = self.threads.peek(caller);
        if thread.request.how.kind == Kind::Fault {
            return self.whole_space(thread, number, write);
        }
        lent(thread, thread.request.row, thread.request.how.first, number, write)
    }

    fn whole_space(&self, thread: &Thread, number: u64, write: bool) -> Result<Claim, Errno> {
        if number != 0 || write {
            return Err(Errno::EACCES);
        }
        Ok(Claim::new(thread.root, 0, parley_abi::USER_END))
    }

    /// The first buffer that may be written: where reply data goes.
    #[inline(always)]
    pub fn writable_lease(&self, caller: Ref<Thread>) -> Result<Claim, Errno> {
        let number = !self.threads.peek(caller).request.row.is_written(0) as u64;
        self.lease(caller, number, true)
    }

    /// The system calls `copy_in` and `copy_out`.
    pub fn copy_lease(&mut self, write: bool) -> Result<Done, Errno> {
        let [endpoint, token, buffer, number, offset, len, _] = self.thread().frame.args;
        let endpoint: Ref<Endpoint> = self.object(endpoint, kind::ENDPOINT, Rights::RECEIVE)?;
        let caller = self.awaiting(endpoint, Token(token))?;
        let theirs = self.lease(caller, number, write)?.part(offset, len);
        let mine = self.claim(buffer, len);
        let [my_leaf, their_leaf] = &mut self.leaves;
        let (mine, theirs) = ((mine, my_leaf), (theirs, their_leaf));
        let (from, to, their_side) = if write { (mine, theirs, Side::To) } else { (theirs, mine, Side::From) };
        let copied = copy_between(from, to, MOST_BYTES);
        let copied = copied.map_err(|side| if side == their_side { Errno::EFAULT } else { Errno::EINVAL })?;
        self.count_copy(copied);
        Ok(Done::Value(copied.bytes as i64))
    }
}
