//! POSIX numbers: the row of the process's call table says what they mean.

use parley_abi::Errno;
use parley_abi::call::{Rights, kind};
use parley_abi::row::Op;
use parley_abi::slot::FD_END;

use crate::ipc::call::Sent;
use crate::kernel::Core;
use crate::log::Level;
use crate::mem::slab::Ref;
use crate::object::connection::Connection;
use crate::object::handle::{Handle, NOTHING, RESERVED};
use crate::object::table::Packed;
use crate::object::thread::{How, Kind, Thread};

impl Core {
    /// A system call below `call::FIRST`. The result, or `None` if another thread is current now and the
    /// result has been or will be stored.
    #[inline(always)]
    pub fn posix_call(&mut self, number: u16) -> Option<i64> {
        let caller = self.current;
        let table = self.spaces.peek(self.current_space()).table;
        let row = self.tables.get(table).and_then(|table| table.row(number)).unwrap_or_default();
        let sent = match row.op() {
            Op::SendTo => self.send_row(self.threads.peek(caller).frame.args[0], 1, row),
            Op::Send => self.send_row(row.slot(), 0, row),
            other => self.handle_call(other, number),
        };
        let result = match sent {
            Ok(Sent::Answered(result)) => result,
            Err(errno) => errno.negated(),
            Ok(Sent::Waiting) => {
                if self.resched {
                    self.settle();
                }
                return None;
            }
        };
        if !self.resched {
            return Some(result);
        }
        self.leave_with(caller, result)
    }

    /// Sends the message of a row: to a waiting server at once, to anybody else in full.
    #[inline(always)]
    fn send_row(&mut self, slot: u64, first: u8, row: Packed) -> Result<Sent, Errno> {
        let at: Ref<Connection> = self.object(slot, kind::CONNECTION, Rights::CALL)?;
        let connection = self.connections.get(at).ok_or(Errno::ESTALE)?;
        let (endpoint, badge) = (connection.endpoint, connection.badge);
        let how = How::in_registers(Kind::Posix, first);
        match self.hand_over(endpoint, badge, how, row) {
            Some(()) => Ok(Sent::Waiting),
            None => self.send_to(endpoint, badge, how, row, 0),
        }
    }

    /// Rows that are operations of the core itself.
    #[inline(never)]
    fn handle_call(&mut self, op: Op, number: u16) -> Result<Sent, Errno> {
        match op {
            Op::Drop => self.close(),
            Op::Copy => self.dup(),
            Op::CopyTo => self.dup2(),
            Op::Yield => {
                self.thread().frame.rax = 0;
                self.yield_now();
                Ok(Sent::Waiting)
            }
            Op::None | Op::Send | Op::SendTo => self.unknown(number),
        }
    }

    /// The result is known, but somebody else may go first.
    #[cold]
    fn leave_with(&mut self, caller: Ref<Thread>, result: i64) -> Option<i64> {
        if let Some(thread) = self.threads.get_mut(caller) {
            thread.frame.rax = result as u64;
        }
        self.settle();
        (self.current == caller).then_some(result)
    }

    /// ENOSYS, and one line in the log for each number.
    #[inline(always)]
    fn unknown(&mut self, number: u16) -> Result<Sent, Errno> {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if self.unknown_calls[word] & bit == 0 {
            self.unknown_calls[word] |= bit;
            self.report_unknown(number);
        }
        Err(Errno::ENOSYS)
    }

    #[cold]
    fn report_unknown(&mut self, number: u16) {
        self.log(Level::Info, format_args!("system call {number} is not implemented"));
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
    fn open_handle(&mut self, fd: u32) -> Result<Handle, Errno> {
        let handle = self.handle(self.current_space(), fd)?;
        handle.object::<Connection>(kind::CONNECTION, Rights::empty())?;
        Ok(handle)
    }
}
