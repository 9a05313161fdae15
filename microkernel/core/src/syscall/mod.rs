//! System calls: the two doors of ring 0, and what is behind each number.

mod ipc;
mod objects;
mod posix;
mod system;

use parley_abi::{Errno, Flags, call};

use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::Thread;
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

impl From<()> for Done {
    fn from((): ()) -> Done {
        Done::Value(0)
    }
}

/// Number of a slot. EBADF: there is none so high.
fn number(slot: u64) -> Result<u32, Errno> {
    u32::try_from(slot).map_err(|_| Errno::EBADF)
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
            call::COPY_IN => self.copy_lease(false),
            call::COPY_OUT => self.copy_lease(true),
            call::REQUESTS => self.sys_requests(),
            call::PUT_BACK => self.sys_put_back(),
            call::ROW => self.sys_row(label),
            call::REAP => Ok(Done::Value(0)),
            call::THREAD_EXIT => self.sys_thread_exit(),
            call::YIELD => self.sys_yield(),
            call::CLOCK => Ok(Done::Value(self.clock.now() as i64)),
            _ => self.dispatch_with_args(number),
        }
    }

    /// The calls that have nothing but six arguments.
    fn dispatch_with_args(&mut self, number: u16) -> Result<Done, Errno> {
        let args = &self.thread().frame.words(0);
        match number {
            call::NOTIFY => self.sys_notify(args),
            call::CANCEL => self.sys_cancel(args),
            call::HANDLE_DROP => self.sys_handle_drop(args),
            call::HANDLE_COPY => self.sys_handle_copy(args),
            call::HANDLE_GRANT => self.sys_handle_grant(args),
            call::HANDLE_MOVE => self.sys_handle_move(args),
            call::HANDLE_INFO => self.sys_handle_info(args),
            call::MINT => self.sys_mint(args),
            call::REVOKE => self.sys_revoke(args),
            call::QUOTA_CREATE => self.sys_quota_create(args),
            call::QUOTA_DESTROY => self.sys_quota_destroy(args),
            call::QUOTA_INFO => self.sys_quota_info(args),
            call::MEM_CREATE => self.sys_mem_create(args),
            call::MEM_WRITE => self.sys_mem_copy(true, args),
            call::MEM_READ => self.sys_mem_copy(false, args),
            call::SPACE_CREATE => self.sys_space_create(args),
            call::MAP => self.sys_map(args),
            call::UNMAP => self.sys_unmap(args),
            call::SPACE_TABLE => self.sys_space_table(args),
            call::SPACE_FAULTS => self.sys_space_faults(args),
            call::SPACE_NAME => self.sys_space_name(args),
            call::TABLE_CREATE => self.sys_table_create(args),
            call::THREAD_CREATE => self.sys_thread_create(args),
            call::THREAD_START => self.sys_thread_start(args),
            call::THREAD_KILL => self.sys_thread_kill(args),
            call::THREAD_PRIORITY => self.sys_thread_priority(args),
            call::SET_FS_BASE => self.sys_set_fs_base(args),
            call::ENDPOINT_CREATE => self.sys_endpoint_create(args),
            call::IRQ_CREATE => self.sys_irq_create(args),
            call::IRQ_BIND => self.sys_irq_bind(args),
            call::IRQ_ACK => self.sys_irq_ack(args),
            call::PORT_GRANT => self.sys_port_grant(args),
            call::LOG => self.sys_log(args),
            call::LOG_READ => self.sys_log_read(args),
            call::POWER => self.sys_power(args),
            call::COUNTERS => self.sys_counters(args),
            call::THREAD_INFO => self.sys_thread_info(args),
            call::MEM_INFO => self.sys_mem_info(args),
            call::CHECK => self.sys_check(args),
            call::TRACE => self.sys_trace(args),
            call::TRACE_READ => self.sys_trace_read(args),
            call::THREADS_DUMP => self.sys_threads_dump(args),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Writes a whole structure to the caller. EFAULT.
    fn give(&mut self, address: u64, bytes: &[u8]) -> Result<Done, Errno> {
        let to: Claim = self.claim(address, bytes.len() as u64);
        match to.copy_out(bytes, &mut self.leaves[0]) {
            Ok(copied) if copied.bytes == bytes.len() => Ok(Done::Value(0)),
            _ => Err(Errno::EFAULT),
        }
    }
}
