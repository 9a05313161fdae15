//! System calls, as far as the shim makes any.
//!
//! Not those of `libipc/rt`: that has a heap and statics, and the shim may have neither.

use core::arch::asm;

use parley_abi::call::{CLOCK, HANDLE_DROP, MEM_CREATE, MEM_READ, MEM_WRITE};
use parley_abi::linux::nr;
use parley_abi::{Errno, slot};

/// Any call, with its errno taken out.
///
/// # Safety
/// What the call does to memory breaks no rule of Rust's.
unsafe fn call(number: u16, args: [u64; 4]) -> Result<u64, Errno> {
    let [rdi, rsi, rdx, r10] = args;
    let mut rax = i64::from(number);
    // SAFETY: 1. the core changes no register beside these; 2. memory is the caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") rax, inlateout("rdi") rdi => _, inlateout("rsi") rsi => _, inlateout("rdx") rdx => _,
            inlateout("r10") r10 => _, inlateout("r8") 0u64 => _, inlateout("r9") 0u64 => _,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    Errno::check(rax).map(|value| value as u64)
}

/// Makes a POSIX call, or one of the core's, that reads and writes no memory of the program.
pub fn plain(number: u16, args: [u64; 2]) -> Result<u64, Errno> {
    // SAFETY: the callers below, and `ready`, `changes` and `await_change` of `parley_proto`, take numbers only.
    unsafe { call(number, [args[0], args[1], 0, 0]) }
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    plain(CLOCK, [0; 2]).unwrap_or(0)
}

/// Which of `events` hold for a descriptor: the row `ready` of `file`.
pub fn ready(fd: u64, events: u32) -> Result<u64, Errno> {
    plain(nr::READY, [fd, events.into()])
}

/// The row `changes` of `time`.
pub fn changes() -> Result<u64, Errno> {
    plain(nr::CHANGES, [0; 2])
}

/// The row `await_change` of `time`; true: time was up.
pub fn await_change(seen: u64, until: u64) -> Result<bool, Errno> {
    plain(nr::AWAIT_CHANGE, [seen, until]).map(|late| late == 1)
}

/// Ends the thread.
#[cfg(target_os = "none")]
pub fn end_thread() -> ! {
    loop {
        let _ = plain(parley_abi::call::THREAD_EXIT, [0; 2]);
    }
}

/// Memory between the program's and the shim's own: the core copies to and from it, and says so if the program's is not there.
pub struct Copy(u64);

impl Copy {
    /// Room for so many bytes. ENOMEM.
    pub fn new(bytes: u64) -> Result<Copy, Errno> {
        let pages = bytes.div_ceil(parley_abi::PAGE as u64);
        plain(MEM_CREATE, [slot::QUOTA.into(), pages]).map(Copy)
    }

    /// Copies from the program. EFAULT.
    pub fn fetch(&self, at: u64, from: u64, bytes: u64) -> Result<(), Errno> {
        // SAFETY: the core only reads the program's memory.
        unsafe { call(MEM_WRITE, [self.0, at, from, bytes]) }.map(drop)
    }

    /// Copies to the program. EFAULT.
    pub fn store(&self, at: u64, to: u64, bytes: u64) -> Result<(), Errno> {
        // SAFETY: the program asked for that memory to be written.
        unsafe { call(MEM_READ, [self.0, at, to, bytes]) }.map(drop)
    }

    /// Reads values.
    pub fn read<T: parley_abi::linux::Plain>(&self, at: u64, into: &mut [T]) -> Result<(), Errno> {
        let bytes = size_of_val(into) as u64;
        // SAFETY: the core writes into `into` only, which is borrowed exclusively and may hold any bytes.
        unsafe { call(MEM_READ, [self.0, at, into.as_mut_ptr().expose_provenance() as u64, bytes]) }.map(drop)
    }

    /// Writes values.
    pub fn write<T: parley_abi::linux::Plain>(&self, at: u64, from: &[T]) -> Result<(), Errno> {
        let bytes = size_of_val(from) as u64;
        // SAFETY: the core only reads `from`, which is borrowed.
        unsafe { call(MEM_WRITE, [self.0, at, from.as_ptr().expose_provenance() as u64, bytes]) }.map(drop)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = plain(HANDLE_DROP, [self.0, 0]);
    }
}
