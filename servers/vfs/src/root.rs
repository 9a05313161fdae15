//! What the words of the root page are: where everything else in the memory is found.

use parley_rt::durable::{ROOT, ROOT_END};

/// Nanoseconds between 1970 and boot.
pub const EPOCH: usize = ROOT;
/// When the devices changed last: at the start, or as a driver came or went.
pub const MADE: usize = ROOT + 1;
/// The directory that devfs lies over.
pub const MOUNT: usize = ROOT + 2;
/// From version 2 on: files and directories made since that version came.
pub const COUNT_MADE: usize = ROOT + 3;
/// Which inodes are free: four words.
pub const INODES: usize = ROOT + 4;
/// Which records of open files are free: four words.
pub const FILES: usize = ROOT + 8;
/// The inode of the root directory.
pub const ROOT_INODE: usize = ROOT + 16;

const _: () = assert!(ROOT_INODE.is_multiple_of(16) && ROOT_INODE + 16 <= ROOT_END);
