//! One function for each call of the core.
//!
//! The reference is [`parley_abi::call`]: it lists meaning, arguments and errors of each; what is said
//! here is only what Rust adds. `Err` holds the errno that the core returned.

mod ipc;
mod machine;
mod memory;
mod object;
mod thread;

use core::arch::asm;
use parley_abi::Errno;
use parley_abi::call::{NULL, ROW};
use parley_abi::msg::{Deadline, Flags, Words, pack};

pub use ipc::{
    Event, Prepared, Reply, With, call, call_lending, cancel, copy_in, copy_out, forgotten, forward, mint, notify,
    put_back, reply, reply_recv, requests, revoke, submit,
};
pub use machine::{
    POWER_OFF, RESET, check, clock, counters, irq_ack, irq_bind, irq_create, log, log_read, mem_info, port_grant,
    power, thread_info, threads_dump, trace, trace_read,
};
pub use memory::{map, mem_create, mem_read, mem_write, quota_create, quota_destroy, quota_info, space_create, unmap};
pub use object::{
    LOWEST_FREE, endpoint_create, handle_copy, handle_drop, handle_grant, handle_info, handle_move, space_faults,
    space_name, space_table, space_threads, table_create,
};
pub use thread::{
    NewThread, set_fs_base, thread_capped, thread_create, thread_exit, thread_kill, thread_priority, thread_start,
    yield_now,
};

/// The registers that a call can change, after it.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// Status, label or event.
    pub rax: u64,
    /// rsi, rdx, r10, r8, r9, r12.
    pub words: Words,
    /// A token or cookie.
    pub r13: u64,
    /// A badge, of what is closed.
    pub r14: u64,
    /// A badge.
    pub r15: u64,
}

/// The bare instruction, with every register that the message layout of [`parley_abi::msg`] uses.
///
/// # Safety
/// The call must not break Rust's rules: buffers named in the words must be valid for what the call
/// does with them, and memory that Rust uses must not be unmapped or overwritten.
#[inline(always)]
pub unsafe fn raw(number_and_flags: u64, rdi: u64, words: Words, r13: u64, mut r14: u64) -> Registers {
    let [mut rsi, mut rdx, mut r10, mut r8, mut r9, mut r12] = words;
    let (mut rax, mut token, badge) = (number_and_flags, r13, 0u64);
    let mut r15 = badge;
    // SAFETY: 1. the core changes no register that is not listed here; 2. what it does to memory is the
    // caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax, inlateout("rdi") rdi => _, inlateout("rsi") rsi, inlateout("rdx") rdx,
            inlateout("r10") r10, inlateout("r8") r8, inlateout("r9") r9, inlateout("r12") r12,
            inlateout("r13") token, inlateout("r14") r14, inlateout("r15") r15,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    Registers { rax, words: [rsi, rdx, r10, r8, r9, r12], r13: token, r14, r15 }
}

/// A call that changes only rax, rcx and r11, as all POSIX calls.
///
/// # Safety
/// As [`raw`].
#[inline(always)]
unsafe fn plain(number: u16, args: Words) -> i64 {
    let [rdi, rsi, rdx, r10, r8, r9] = args;
    let mut rax = i64::from(number);
    // SAFETY: 1. the core changes no other register; 2. memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax, in("rdi") rdi, in("rsi") rsi, in("rdx") rdx,
            in("r10") r10, in("r8") r8, in("r9") r9,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    rax
}

/// One of the core's own calls, with the errno taken out.
///
/// Calls that take long are restarted from where they were, with what is left in their argument
/// registers, so these are not relied on afterwards.
///
/// # Safety
/// As [`raw`].
#[inline(always)]
unsafe fn checked(number: u16, args: Words) -> Result<u64, Errno> {
    let [rdi, rsi, rdx, r10, r8, r9] = args;
    let mut rax = i64::from(number);
    // SAFETY: 1. the core changes no other register; 2. memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax, inlateout("rdi") rdi => _, inlateout("rsi") rsi => _, inlateout("rdx") rdx => _,
            inlateout("r10") r10 => _, inlateout("r8") r8 => _, inlateout("r9") r9 => _,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    without_errno(rax).map(|value| value as u64)
}

/// [`Errno::check`], with the common case in line.
#[inline(always)]
fn without_errno(value: i64) -> Result<i64, Errno> {
    #[cold]
    fn failed(value: i64) -> Result<i64, Errno> {
        Errno::check(value)
    }
    if (-4095..0).contains(&value) { failed(value) } else { Ok(value) }
}

/// A call of the process's call table: a POSIX number with what goes into rdi rsi rdx r10 r8 r9.
/// Returns what a Linux system call would: a result, or a negated errno.
///
/// Safe because the stubs of `parley_proto`, which give it typed buffers, are its only intended users,
/// and no row of a call table lets a server write anywhere but into the buffers that the row names.
#[inline(always)]
pub fn posix(number: u16, args: Words) -> i64 {
    // SAFETY: the stubs put only addresses of live buffers into the words, borrowed as the row uses them.
    unsafe { plain(number, args) }
}

/// As [`posix`], with a deadline. Errors beside the call's own: see [`ROW`].
pub fn row(number: u16, args: Words, deadline: Deadline) -> i64 {
    let [rdi, words @ ..] = args;
    let [a, b, c, d, e] = words;
    // SAFETY: as for `posix`.
    unsafe { raw(pack(ROW, Flags::empty(), number.into()), rdi, [a, b, c, d, e, 0], 0, deadline) }.rax as i64
}

/// Does nothing: what entering and leaving ring 0 costs.
#[inline(always)]
pub fn null() -> i64 {
    // SAFETY: the call touches no memory.
    unsafe { plain(NULL, [0; 6]) }
}
