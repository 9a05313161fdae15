//! The C memory functions, without `rep`, so that instruction counts mean something.
//!
//! Compilers call `memcpy` and its kin behind one's back. Under `-icount` each iteration of a `rep`
//! instruction counts as an instruction, so the usual `rep movsb` would make copies look absurdly dear;
//! vector registers are out of the question, since servers are soft-float. So these move eight bytes at
//! a time, and up to 32 bytes without any loop: both ends are loaded, both are stored, and where they
//! overlap they agree.
//!
//! They are naked functions because a compiler that sees a copying loop in Rust turns it into a call of
//! `memcpy`. On the bare target they are strong symbols that win over the weak ones of
//! `compiler_builtins`; what runs in the guest says `extern crate parley_mem as _`, but for the micro kernel: its core
//! has copies of its own for what is large, and what is left is smaller without these. On the
//! host they are ordinary functions with tests.
#![cfg_attr(not(test), no_std)]

mod compare;
mod copy;
mod fill;

pub use compare::{bcmp, memcmp, strlen};
pub use copy::{memcpy, memmove};
pub use fill::memset;
