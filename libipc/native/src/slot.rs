//! Well-known slots of a handle table.
//!
//! Slots below [`FD_END`] are file descriptors, copied by fork and filled from below; slots above are
//! filled by whoever creates the process, and mean the same in each.

/// First slot that is not a file descriptor (and `OPEN_MAX`).
pub const FD_END: u32 = 1024;
/// One past the last slot of a table.
pub const END: u32 = 4096;

/// The process's own address space.
pub const SPACE: u32 = 1024;
/// The quota that pays for what the process creates.
pub const QUOTA: u32 = 1025;
/// A server's own endpoint, with the receive right.
pub const ENDPOINT: u32 = 1026;
/// The system object: information, logging, power, interrupts, ports, by right.
pub const SYSTEM: u32 = 1027;
/// A read-only memory object with the boot archive (init and vfs).
pub const ARCHIVE: u32 = 1028;
/// Connection to init: start programs, wait for them, services.
pub const INIT: u32 = 1029;
/// A memory object that outlives a server's process.
pub const STATE: u32 = 1030;

/// A memory object of a page where a server leaves, for init, how many requests it has served: the first eight bytes; and
/// in the next eight why it ends, if it knows.
pub const VITALS: u32 = 1031;

/// Connections to services begin here, at `SERVICE + service`, see [`service`].
pub const SERVICE: u32 = 1032;
/// First slot that a process may use as it likes.
pub const FREE: u32 = 1056;

/// Numbers of the well-known services. A service reaches its peers by them, in every placement.
pub mod service {
    /// Processes: getpid.
    pub const PROC: u8 = 0;
    /// Files and the namespace.
    pub const VFS: u8 = 1;
    /// Character devices.
    pub const CHAR: u8 = 2;
    /// Clocks and sleepers.
    pub const TIME: u8 = 3;
    /// The smallest server.
    pub const PING: u8 = 4;
    /// A second instance of ping, always in ring 3: the IPC benchmark's peer.
    pub const PEER: u8 = 5;
    /// The queue device, a driver that is loaded at run time where it is not resident.
    pub const TQUEUE: u8 = 6;
    /// How many numbers are given out.
    pub const COUNT: usize = 7;
    /// Their names, by number; also the name of the program in the boot archive under `svc/`.
    pub const NAMES: [&str; COUNT] = ["proc", "vfs", "char", "time", "ping", "peer", "tqueue"];
}

/// The slot of a well-known service.
pub const fn of_service(service: u8) -> u32 {
    SERVICE + service as u32
}
