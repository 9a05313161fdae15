//! Threads.

use parley_abi::Errno;
use parley_abi::call::{
    HANDLE_COPY, Rights, SET_FS_BASE, THREAD_CREATE, THREAD_EXIT, THREAD_KILL, THREAD_PRIORITY, THREAD_START, YIELD,
};

use super::{LOWEST_FREE, checked, plain};

/// How a thread begins.
#[derive(Clone, Copy, Debug)]
pub struct NewThread {
    /// First instruction.
    pub entry: u64,
    /// Stack pointer.
    pub stack: u64,
    /// What rdi holds.
    pub argument: u64,
    /// 0 to 31, at most the creator's.
    pub priority: u8,
}

/// Creates a stopped thread in `space`, paid by `quota`; returns its slot. Errors: see [`THREAD_CREATE`].
///
/// # Safety
/// If `space` is this process's own, entry and stack are what a Rust thread needs.
pub unsafe fn thread_create(space: u32, quota: u32, new: NewThread) -> Result<u32, Errno> {
    let NewThread { entry, stack, argument, priority } = new;
    let args = [u64::from(space), u64::from(quota), entry, stack, argument, u64::from(priority)];
    // SAFETY: the caller's promise.
    unsafe { checked(THREAD_CREATE, args) }.map(|slot| slot as u32)
}

/// Starts a thread. Errors: see [`THREAD_START`].
pub fn thread_start(thread: u32) -> Result<(), Errno> {
    // SAFETY: whoever created the thread promised that it may run.
    unsafe { checked(THREAD_START, [u64::from(thread), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Stops a thread for good. Errors: see [`THREAD_KILL`].
pub fn thread_kill(thread: u32) -> Result<(), Errno> {
    // SAFETY: a thread that stops breaks no rule of Rust's.
    unsafe { checked(THREAD_KILL, [u64::from(thread), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Sets a thread's priority, at most the ceiling of its handle. Errors: see [`THREAD_PRIORITY`].
pub fn thread_priority(thread: u32, priority: u8) -> Result<(), Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(THREAD_PRIORITY, [u64::from(thread), u64::from(priority), 0, 0, 0, 0]) }.map(drop)
}

/// Copies a thread's handle; with the copy the thread gets no priority above `ceiling`, 0 to 31. Errors: see
/// [`HANDLE_COPY`].
pub fn thread_capped(thread: u32, ceiling: u8) -> Result<u32, Errno> {
    let keep = u64::from(Rights::all().bits()) | (u64::from(ceiling) + 1) << 8;
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(HANDLE_COPY, [u64::from(thread), LOWEST_FREE, keep, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Sets the FS base of the calling thread, where its thread-local storage begins. Errors: see
/// [`SET_FS_BASE`].
///
/// # Safety
/// Nothing uses thread-local storage at the old base any more.
pub unsafe fn set_fs_base(base: u64) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { checked(SET_FS_BASE, [base, 0, 0, 0, 0, 0]) }.map(drop)
}

/// Ends the calling thread.
pub fn thread_exit() -> ! {
    loop {
        // SAFETY: the call does not come back; a thread that stops breaks no rule of Rust's.
        unsafe { plain(THREAD_EXIT, [0; 6]) };
    }
}

/// Lets other threads of the same priority run.
pub fn yield_now() {
    // SAFETY: the call touches no memory of ours.
    unsafe { plain(YIELD, [0; 6]) };
}
