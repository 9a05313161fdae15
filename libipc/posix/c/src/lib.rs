//! What a C program is linked with: the shim, and the way from `_start` to `main`.
//!
//! The functions of `parley_posix::c` and the memory functions of `parley_mem` have their C names here,
//! in one static library, `libparley_c.a`. What C expects besides is below: somebody who calls `main` with the
//! arguments and ends the process with what it returns. README.md has the compiler's command line.
#![no_std]

extern crate parley_posix as _;

use core::ffi::{c_char, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use parley_rt::Args;

parley_rt::program!(begin);

/// The environment: strings `NAME=value`, and a null pointer after the last (POSIX `environ`).
#[cfg_attr(target_os = "none", unsafe(export_name = "environ"))]
pub static ENVIRON: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" {
    /// The C program.
    fn main(argc: c_int, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
}

/// Calls it. What it returns is the exit status.
fn begin(args: Args) -> i32 {
    ENVIRON.store(args.envp().cast_mut(), Ordering::Relaxed);
    // SAFETY: 1. the program defines `main` with C's signature, or with fewer arguments, which the calling
    // convention allows; 2. argc, argv and envp are what the creator of the process left on its stack.
    unsafe { main(args.len() as c_int, args.argv(), args.envp()) }
}
