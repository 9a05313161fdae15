//! The contract between ring 0 and ring 3: numbers and layouts, no logic.
//!
//! The core, the servers and the programs are built from this, so a number cannot mean two things. What the
//! core knows of it is `parley-native`, and is here under the same names: [`call`] lists its system calls,
//! [`msg`] says how a message lies in the registers. [`linux`] has what the POSIX numbers and structures look
//! like, which is for servers and programs alone.
#![cfg_attr(not(test), no_std)]

pub mod info;
pub mod linux;
pub mod news;
pub mod slot;
pub mod wants;

pub use parley_native::*;
