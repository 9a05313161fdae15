//! POSIX numbers: the row of the process's call table says what they mean.

use parley_abi::call::FIRST;
use parley_abi::slot::FD_END;
use parley_abi::{Errno, Op, Rights, kind};

use super::Done;
use crate::arch::entry::Posix;
use crate::ipc::call::Sent;
use crate::kernel::Core;
use crate::log::Level;
use crate::object::{Connection, Handle, How, Kind, NOTHING, Packed, RESERVED};

impl Core {
    /// A system call below `call::FIRST`, which waits until `deadline` at most.
    pub fn posix_call(&mut self, number: u16, deadline: u64) -> Posix {
        let table = self.spaces.peek(self.current_space()).table;
        let row = self.tables.get(table).and_then(|table| table.row(number)).unwrap_or_default();
        let result = match row.op() {
            Op::Send => return self.send_row(row.slot(), 0, row, deadline),
            Op::SendTo => {
                let slot = self.thread().frame.args[0];
                return self.send_row(slot, 1, row, deadline);
            }
            Op::Drop => self.close(),
            Op::Copy => self.dup(),
            Op::CopyTo => self.dup2(),
            Op::Yield => {
                self.yield_now();
                return Posix::SWITCHED;
            }
            Op::Reflect => {
                let program = &mut self.thread().frame.rip;
                return Posix::of(core::mem::replace(program, row.label().into()) as i64);
            }
            Op::None => self.unknown(number),
        };
        let result = result.unwrap_or_else(Errno::negated);
        if self.resched { self.leave_with(result) } else { Posix::of(result) }
    }

    /// `row`: a POSIX call with a deadline.
    pub(super) fn sys_row(&mut self, number: u32) -> Result<Done, Errno> {
        let deadline = self.thread().frame.r14;
        let number = u16::try_from(number).ok().filter(|&number| number < FIRST).ok_or(Errno::ENOSYS)?;
        match self.posix_call(number, deadline) {
            Posix { result, switched: 0 } => Ok(Done::Value(result)),
            _ => Ok(Done::Registers),
        }
    }

    fn send_row(&mut self, slot: u64, first: u8, row: Packed, deadline: u64) -> Posix {
        match self.send(slot, How::in_registers(Kind::Posix, first), row, deadline) {
            Ok(Sent::Waiting) => {
                self.settle();
                Posix::SWITCHED
            }
            Ok(Sent::Answered(result)) => self.leave_with(result),
            Err(errno) => self.leave_with(errno.negated()),
        }
    }

    /// The result is known, but somebody else may go first.
    fn leave_with(&mut self, result: i64) -> Posix {
        let caller = self.current;
        self.thread().frame.rax = result as u64;
        self.settle();
        if self.current == caller { Posix::of(result) } else { Posix::SWITCHED }
    }

    /// ENOSYS, and one line in the log for each number.
    #[inline(always)]
    fn unknown(&mut self, number: u16) -> Result<i64, Errno> {
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

    /// `close`. EBADF.
    #[inline(always)]
    pub fn close(&mut self) -> Result<i64, Errno> {
        let fd = self.descriptor(0)?;
        self.drop_handle(self.current_space(), fd)?;
        Ok(0)
    }

    fn dup(&mut self) -> Result<i64, Errno> {
        let (fd, space) = (self.descriptor(0)?, self.current_space());
        let mut handle = self.open_handle(fd)?;
        handle.close_on_exec = false;
        let slot = self.spaces[space].handles.free_descriptor()?;
        self.install(space, slot, handle)?;
        Ok(slot as i64)
    }

    fn dup2(&mut self) -> Result<i64, Errno> {
        let (from, to, space) = (self.descriptor(0)?, self.descriptor(1)?, self.current_space());
        let mut handle = self.open_handle(from)?;
        if from == to {
            return Ok(to as i64);
        }
        handle.close_on_exec = false;
        self.prepare_slot(space, to)?;
        match self.spaces[space].handles.get(to).map_or(NOTHING, |old| old.kind) {
            NOTHING => {}
            RESERVED => return Err(Errno::EBUSY),
            _ => self.drop_handle(space, to)?,
        }
        self.install(space, to, handle)?;
        Ok(to as i64)
    }

    /// A descriptor that can be copied. EBADF.
    fn open_handle(&mut self, fd: u32) -> Result<Handle, Errno> {
        let handle = self.handle(self.current_space(), fd)?;
        handle.object::<Connection>(kind::CONNECTION, Rights::empty())?;
        Ok(handle)
    }
}
