//! POSIX numbers: the row of the process's call table says what they mean.

use parley_abi::Errno;
use parley_abi::call::{Rights, kind};
use parley_abi::row::{Op, Row};
use parley_abi::slot::FD_END;

use crate::ipc::call::Sent;
use crate::kernel::Core;
use crate::log::Level;
use crate::object::connection::Connection;
use crate::object::handle::{NOTHING, RESERVED};
use crate::object::thread::{Kind, Request};

impl Core {
    /// A system call below `call::FIRST`. The result, or `None` if another thread is current now and the
    /// result has been or will be stored.
    #[inline(always)]
    pub fn posix_call(&mut self, number: u16) -> Option<i64> {
        let caller = self.current;
        let table = self.spaces[self.current_space()].table;
        let row = self.tables.get(table).and_then(|table| table.row(number)).unwrap_or(Row::NONE);
        let sent = match row.op {
            Op::SendTo => {
                let slot = self.thread().frame.args[0];
                self.send(slot, request(&row, 1), 0)
            }
            Op::Send => self.send(row.slot as u64, request(&row, 0), 0),
            Op::None => self.unknown(number),
            Op::Drop => self.close(),
            Op::Copy => self.dup(),
            Op::CopyTo => self.dup2(),
            Op::Yield => Ok(Sent::Answered(0)),
        };
        let result = match sent {
            Ok(Sent::Answered(result)) => result,
            Err(errno) => errno.negated(),
            Ok(Sent::Waiting) => {
                self.settle();
                return None;
            }
        };
        if row.op != Op::Yield && !self.resched {
            return Some(result);
        }
        self.leave_with(caller, result, row.op == Op::Yield)
    }

    /// The result is known, but somebody else may go first.
    fn leave_with(
        &mut self,
        caller: crate::mem::slab::Ref<crate::object::thread::Thread>,
        result: i64,
        yields: bool,
    ) -> Option<i64> {
        if let Some(thread) = self.threads.get_mut(caller) {
            thread.frame.rax = result as u64;
        }
        if yields {
            self.yield_now();
        }
        self.settle();
        (self.current == caller).then_some(result)
    }

    /// ENOSYS, and one line in the log for each number.
    fn unknown(&mut self, number: u16) -> Result<Sent, Errno> {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if self.unknown_calls[word] & bit == 0 {
            self.unknown_calls[word] |= bit;
            self.log(Level::Info, format_args!("system call {number} is not implemented"));
        }
        Err(Errno::ENOSYS)
    }

    /// The descriptor in rdi or rsi. EBADF.
    fn descriptor(&mut self, argument: usize) -> Result<u32, Errno> {
        let fd = self.thread().frame.args[argument] as u32;
        if fd < FD_END { Ok(fd) } else { Err(Errno::EBADF) }
    }

    fn close(&mut self) -> Result<Sent, Errno> {
        let fd = self.descriptor(0)?;
        self.drop_handle(self.current_space(), fd)?;
        Ok(Sent::Answered(0))
    }

    fn dup(&mut self) -> Result<Sent, Errno> {
        let (fd, space) = (self.descriptor(0)?, self.current_space());
        let mut handle = self.open_handle(fd)?;
        handle.close_on_exec = false;
        let slot = self.spaces[space].handles.free_descriptor()?;
        self.install(space, slot, handle)?;
        Ok(Sent::Answered(slot as i64))
    }

    fn dup2(&mut self) -> Result<Sent, Errno> {
        let (from, to, space) = (self.descriptor(0)?, self.descriptor(1)?, self.current_space());
        let mut handle = self.open_handle(from)?;
        if from == to {
            return Ok(Sent::Answered(to as i64));
        }
        handle.close_on_exec = false;
        self.prepare_slot(space, to)?;
        match self.spaces[space].handles.get(to).map_or(NOTHING, |old| old.kind) {
            NOTHING => {}
            RESERVED => return Err(Errno::EBUSY),
            _ => self.drop_handle(space, to)?,
        }
        self.install(space, to, handle)?;
        Ok(Sent::Answered(to as i64))
    }

    /// A descriptor that can be copied. EBADF.
    fn open_handle(&mut self, fd: u32) -> Result<crate::object::handle::Handle, Errno> {
        let handle = self.handle(self.current_space(), fd)?;
        handle.object::<Connection>(kind::CONNECTION, Rights::empty())?;
        Ok(handle)
    }
}

/// The request that a row makes; `first` is the first register that is a word.
#[inline(always)]
fn request(row: &Row, first: u8) -> Request {
    Request {
        kind: Kind::Posix,
        first,
        accepts: row.opens != 0,
        label: row.label,
        badge: 0,
        leases: row.leases,
        stored: None,
        reserved: None,
    }
}
