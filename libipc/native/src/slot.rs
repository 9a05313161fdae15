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
// 1029 to 1031 mean something to init and its children alone: `parley_abi::slot`.

/// Connections to services begin here, at `SERVICE + service`.
pub const SERVICE: u32 = 1032;
/// First slot that a process may use as it likes.
pub const FREE: u32 = 1056;

/// The slot of a well-known service.
pub const fn of_service(service: u8) -> u32 {
    SERVICE + service as u32
}
