//! Well-known slots of a handle table: those that the core knows, and those that init gives a meaning.

pub use parley_native::slot::*;

/// Connection to init: start programs, wait for them, services.
pub const INIT: u32 = 1029;
/// A memory object that outlives a server's process.
pub const STATE: u32 = 1030;

/// A memory object of a page where a server leaves, for init, how many requests it has served: the first eight bytes; and
/// in the next eight why it ends, if it knows.
pub const VITALS: u32 = 1031;

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
