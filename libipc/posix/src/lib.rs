//! The libc-like shim: POSIX calls, in Rust and in C.
//!
//! Names, semantics and error numbers are POSIX's (IEEE Std 1003.1); what each call does beyond that is
//! said in the tables of `parley_proto`, from which the stubs here are derived. A call is one `syscall`
//! instruction: the process's call table turns it into a message, or into one of the core's own
//! operations on handles.
//!
//! The Rust functions return `Result`; [`mod@c`] has the same calls with the C ABI, -1 and `errno`,
//! declared in `include/parley.h`. [`print!`] and [`println!`] write to the descriptors.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod c;
mod file;
mod print;
mod process;
mod time;

pub use file::{
    close, dup, dup2, fstat, getdents, lseek, mkdir, open, poll, pread, pwrite, read, rename, rmdir, stat, unlink,
    write, write_all,
};
#[doc(hidden)]
pub use print::print as __print;
pub use print::{Output, STDERR, STDOUT};
pub use process::{control, exit, getpid, getppid, process, report, sched_yield, service, shutdown, spawn, swap, wait};
pub use time::{clock_gettime, gettimeofday, nanosleep, time};
