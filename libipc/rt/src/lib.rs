//! Ring-3 run time: from `_start` to a server's loop.
//!
//! Everything that runs in ring 3 links it. [`program!`] and [`server!`] make a binary of a function or
//! of a service; [`sys`] has one function for each call of the core; [`serve`] is the loop that every
//! server runs. POSIX calls with their names and errors are one crate up, in `parley-posix`.
//!
//! Start reading at [`serve`], then [`sys`].
#![cfg_attr(not(test), no_std)]

extern crate alloc;
extern crate parley_mem as _;

mod archive;
mod args;
mod backtrace;
mod clock;
pub mod durable;
mod heap;
mod log;
mod panic;
mod serve;
#[doc(hidden)]
pub mod start;
pub mod state;
mod supervised;
pub mod sys;
mod trap;

pub use archive::{archive, map_archive};
pub use args::{Args, auxv};
pub use clock::now;
pub use durable::{Durable, serve_durable};
pub use heap::Heap;
pub use serve::serve;
pub use trap::{Trap, Within};

#[doc(hidden)]
pub use parley_abi::wants;

#[doc(hidden)]
pub use panic::{program_panicked, server_panicked};
