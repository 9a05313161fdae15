//! One interface table a service: the first thing to read.
//!
//! [`tables`] holds them: number, name, arguments, buffers, errors, and whether a row is answered at
//! once. The `service!` macro ([`table`]) derives from a table the trait that a server implements, the
//! dispatcher, the caller's stub, the rows of the call table that the core interprets, and the list
//! that traces and the reference page are made of. [`seam`] is all that a server sees of the world
//! around it, whatever side of the system-call boundary it was placed on.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod arg;
pub mod calltable;
#[macro_use]
mod table;
pub mod tables;

pub use arg::{Caller, In, InOf, Out, OutOf, Text};
pub use parley_seam::{self as seam, Cx, Host, Outcome, ROOT, RowSink, Service};
pub use table::Method;
pub use tables::{chardev, file, init, ping, process, time, vfs};

/// Major number of the devices of the driver tqueue: from a device's number the VFS knows whom to ask to open it.
pub const TQUEUE_MAJOR: u32 = 240;

/// The service that has the devices with this number: those of loadable drivers have majors of their own.
pub const fn driver_of(device: u64) -> u8 {
    match parley_abi::linux::major(device) {
        TQUEUE_MAJOR => parley_abi::slot::service::TQUEUE,
        _ => parley_abi::slot::service::CHAR,
    }
}

/// In the badge of a connection to init: whoever holds it may control services. init gives it to the shell.
pub const CONTROL: u64 = 1 << 31;

/// The badge of process `pid`'s connection to a service.
pub const fn root_badge(pid: u32, parent: u32) -> u64 {
    ROOT | (parent as u64 & 0x7fff_ffff) << 32 | pid as u64
}
