//! What the core says about the machine, and how long things may take.

use parley_abi::Errno;
use parley_abi::call::MemInfo;
use parley_abi::msg::Deadline;
use parley_rt::sys;

/// A millisecond in nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;

/// A deadline far enough for anything that works at all.
pub fn soon() -> Deadline {
    within(2000)
}

/// A deadline `milliseconds` from now.
pub fn within(milliseconds: u64) -> Deadline {
    sys::clock() + milliseconds * MILLISECOND
}

/// Pages, threads, spaces and connections of the machine.
pub fn mem_info() -> Result<MemInfo, Errno> {
    let mut info = MemInfo::default();
    sys::mem_info(&mut info)?;
    Ok(info)
}

/// A core call with any arguments at all: its raw result.
///
/// # Safety
/// What the call does, if it succeeds, breaks none of Rust's rules.
pub unsafe fn core_call(number: u16, [rdi, rsi, rdx, r10, r8, r9]: [u64; 6]) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { sys::raw(u64::from(number), rdi, [rsi, rdx, r10, r8, r9, 0], 0, parley_abi::msg::POLL).rax as i64 }
}
