//! The thinking half of direct-boot: plans a Limine hand-over, touches no machine.
//!
//! Everything here is safe code over byte slices, so that `cargo test` proves it on the host. The other half, the
//! binary's `bare` module, enters from QEMU, lends physical memory to this library and jumps to the kernel.
//!
//! Start reading at [`boot::prepare`]: it is the whole boot as a list.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod answers;
pub mod archive;
pub mod arena;
pub mod boot;
pub mod clock;
pub mod error;
pub mod image;
pub mod memory;
pub mod paging;
pub mod protocol;
pub mod pvh;
pub mod requests;

#[cfg(test)]
mod fixture;

pub use error::BootError;

/// Size of the smallest page, the unit of every allocation, in bytes.
pub const PAGE: u64 = 4096;

/// `value` rounded down to a page boundary.
#[must_use]
pub const fn page_down(value: u64) -> u64 {
    value & !(PAGE - 1)
}

/// `value` rounded up to a page boundary, or `None` where that overflows.
#[must_use]
pub const fn page_up(value: u64) -> Option<u64> {
    value.checked_next_multiple_of(PAGE)
}
