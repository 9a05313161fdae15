//! The core's half of the contract: numbers and layouts that ring 0 itself has to know. No logic, but for how both
//! search [`text`].
//!
//! [`call`] lists the core's own system calls, [`msg`] how a message lies in the registers, [`row`] what the
//! core makes of a POSIX number. Servers and programs see this through `parley-abi`, which adds what the core
//! does not know: Linux's numbers and structures. Ring 0 cannot name one of those.
#![cfg_attr(not(test), no_std)]

pub mod boot;
pub mod call;
pub mod counters;
pub mod errno;
pub mod exception;
pub mod msg;
mod plain;
pub mod row;
pub mod slot;
pub mod text;
pub mod trace;

pub use call::{Rights, STATE_NAMES, State, kind, prot};
pub use counters::Counters;
pub use errno::Errno;
pub use msg::{Flags, POLL, Token, WORDS, Words, event};
pub use plain::Plain;
pub use row::{LEASES, LeaseRow, Op, ROWS, Row, Shape};

/// Bytes in a page, the unit of every mapping and of every quota.
pub const PAGE: usize = 4096;

/// First address above what ring 3 may map. The last page below the canonical hole stays free, so that
/// `sysret` can never be given a non-canonical return address (Intel SDM, SYSRET).
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// First address ring 3 may map: page zero stays unmapped so that null pointers fault.
pub const USER_START: u64 = 0x1000;
/// A path, its terminating NUL included, is at most this long (Linux `PATH_MAX`).
pub const PATH_MAX: usize = 4096;
