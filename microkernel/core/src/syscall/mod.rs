//! System calls: the two doors of ring 0, and what is behind each number.

mod ipc;
mod objects;
mod posix;
mod system;

use parley_abi::Errno;
use parley_abi::call;
use parley_abi::msg::Flags;

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::thread::Thread;
use crate::uaccess::Claim;

/// How a call of the core ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// With this value in rax.
    Value(i64),
    /// With registers that are written already, now or when the caller goes on.
    Registers,
    /// Not yet: the caller makes the same call again, perhaps with other arguments. Between two steps of
    /// something long, interrupts and more urgent threads get their turn.
    Again,
}

impl Core {
    /// A system call from [`call::FIRST`] on.
    pub fn native_call(&mut self, rax: u64) {
        let caller = self.current;
        let (number, flags, label) = (rax as u16, Flags::from_bits((rax >> 16) as u16), (rax >> 32) as u32);
        let doomed = self.doomed.count;
        let done = match flags {
            Some(flags) => self.dispatch(number, flags, label),
            None => Err(Errno::EINVAL),
        };
        let done = match self.doomed.count {
            0 => done,
            // Whoever left it goes on until it is gone; others take one step, in case that one is not there to do it.
            count => self.go_on_reaping(caller, done, count > doomed || number == call::REAP),
        };
        if let Some(thread) = self.threads.get_mut(caller) {
            match done {
                Ok(Done::Registers) => {}
                Ok(Done::Value(value)) => thread.frame.rax = value as u64,
                Ok(Done::Again) => thread.frame.restart(),
                Err(errno) => thread.frame.rax = errno.negated() as u64,
            }
        }
        self.settle();
    }

    /// Takes one step with what has no handles left. The call that left it, if it has nothing else to report,
    /// goes on as `reap` until all of it is gone.
    #[cold]
    fn go_on_reaping(&mut self, caller: Ref<Thread>, done: Result<Done, Errno>, all: bool) -> Result<Done, Errno> {
        self.doomed_step();
        if !all || self.doomed.count == 0 || done != Ok(Done::Value(0)) {
            return done;
        }
        if let Some(thread) = self.threads.get_mut(caller) {
            thread.frame.number = call::REAP as u64;
        }
        Ok(Done::Again)
    }

    /// The table of the core's calls.
    #[inline]
    fn dispatch(&mut self, number: u16, flags: Flags, label: u32) -> Result<Done, Errno> {
        match number {
            call::NULL => Ok(Done::Value(0)),
            call::CALL => self.sys_call(flags, label),
            call::REPLY_RECV => self.reply_recv(flags, label),
            call::FORWARD => self.sys_forward(label),
            call::SUBMIT => self.sys_submit(flags, label),
            call::NOTIFY => self.sys_notify(),
            call::COPY_IN => self.copy_lease(false),
            call::COPY_OUT => self.copy_lease(true),
            call::CANCEL => self.sys_cancel(),
            call::REQUESTS => self.sys_requests(),
            call::PUT_BACK => self.sys_put_back(),
            call::ROW => self.sys_row(label),
            call::HANDLE_DROP => self.sys_handle_drop(),
            call::HANDLE_COPY => self.sys_handle_copy(),
            call::HANDLE_GRANT => self.sys_handle_grant(),
            call::HANDLE_MOVE => self.sys_handle_move(),
            call::HANDLE_INFO => self.sys_handle_info(),
            call::MINT => self.sys_mint(),
            call::REVOKE => self.sys_revoke(),
            call::REAP => Ok(Done::Value(0)),
            call::QUOTA_CREATE => self.sys_quota_create(),
            call::QUOTA_DESTROY => self.sys_quota_destroy(),
            call::QUOTA_INFO => self.sys_quota_info(),
            call::MEM_CREATE => self.sys_mem_create(),
            call::MEM_WRITE => self.sys_mem_copy(true),
            call::MEM_READ => self.sys_mem_copy(false),
            call::SPACE_CREATE => self.sys_space_create(),
            call::MAP => self.sys_map(),
            call::UNMAP => self.sys_unmap(),
            call::SPACE_TABLE => self.sys_space_table(),
            call::SPACE_FAULTS => self.sys_space_faults(),
            call::SPACE_NAME => self.sys_space_name(),
            call::TABLE_CREATE => self.sys_table_create(),
            call::THREAD_CREATE => self.sys_thread_create(),
            call::THREAD_START => self.sys_thread_start(),
            call::THREAD_KILL => self.sys_thread_kill(),
            call::THREAD_PRIORITY => self.sys_thread_priority(),
            call::SET_FS_BASE => self.sys_set_fs_base(),
            call::THREAD_EXIT => self.sys_thread_exit(),
            call::YIELD => self.sys_yield(),
            call::ENDPOINT_CREATE => self.sys_endpoint_create(),
            call::IRQ_CREATE => self.sys_irq_create(),
            call::IRQ_BIND => self.sys_irq_bind(),
            call::IRQ_ACK => self.sys_irq_ack(),
            call::PORT_GRANT => self.sys_port_grant(),
            call::LOG => self.sys_log(),
            call::LOG_READ => self.sys_log_read(),
            call::POWER => self.sys_power(),
            call::CLOCK => Ok(Done::Value(self.clock.now() as i64)),
            call::COUNTERS => self.sys_counters(),
            call::THREAD_INFO => self.sys_thread_info(),
            call::MEM_INFO => self.sys_mem_info(),
            call::CHECK => self.sys_check(),
            call::TRACE => self.sys_trace(),
            call::TRACE_READ => self.sys_trace_read(),
            call::THREADS_DUMP => self.sys_threads_dump(),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// The first six arguments.
    fn args(&mut self) -> [u64; 6] {
        self.thread().frame.words(0)
    }

    /// Writes a whole structure to the caller. EFAULT.
    fn give(&mut self, address: u64, bytes: &[u8]) -> Result<Done, Errno> {
        let to: Claim = self.claim(address, bytes.len() as u64);
        match to.copy_out(bytes) {
            Ok(copied) if copied.bytes == bytes.len() => Ok(Done::Value(0)),
            _ => Err(Errno::EFAULT),
        }
    }
}
