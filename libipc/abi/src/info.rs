//! What init tells about processes and services.

use crate::linux::Plain;

/// What `init::process` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ProcessInfo {
    /// Process id.
    pub pid: u32,
    /// Parent's process id.
    pub parent: u32,
    /// Number of its address space, as in `ThreadInfo`.
    pub space: u32,
    /// Unused, 0.
    pub pad: u32,
    /// File name of the program, padded with NUL.
    pub name: [[u8; 16]; 2],
}

/// What `init::service` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct ServiceInfo {
    /// Name, padded with NUL.
    pub name: [u8; 16],
    /// 1 if it is resident in ring 0, 0 if it is a process.
    pub resident: u32,
    /// Its process id, if it is a process.
    pub pid: u32,
    /// 0 stopped, 1 running, 2 failed.
    pub state: u32,
    /// Which instance of it runs or ran last, from 1 on; 0 for a resident one.
    pub generation: u32,
    /// When that instance was started, in nanoseconds since boot.
    pub since: u64,
    /// How the instance before ended: an exit status, or 256 + the vector of the exception that killed it.
    pub reason: u32,
    /// Unused, 0.
    pub pad: u32,
}

/// What `init::control` can do to a service.
pub mod verb {
    /// End it; callers wait until it is started again.
    pub const STOP: u32 = 0;
    /// Start it.
    pub const START: u32 = 1;
    /// End it if it runs, and start it.
    pub const RESTART: u32 = 2;
    /// End it as a fault would, without a word to it, and start it. The restart policy does not count that.
    pub const KILL: u32 = 3;
}

// SAFETY: 32-bit integers and bytes, 48 bytes, no padding.
unsafe impl Plain for ProcessInfo {}
// SAFETY: bytes and integers, 48 bytes, no padding.
unsafe impl Plain for ServiceInfo {}

const _: () = assert!(size_of::<ProcessInfo>() == 48 && size_of::<ServiceInfo>() == 48);
