//! The words of an inode.
//!
//! | word | what |
//! |---|---|
//! | 0 | kind, [`WRITTEN`], permissions, links; its mark says that the file was read, at a time that is not known yet |
//! | 1 | open files that refer to it, pages that it owns |
//! | 2 | bytes in a file, entries in a directory |
//! | 3 | of a file where its bytes begin in the boot archive, and how many; of a directory its parent |
//! | 4, 5, 6 | when it was accessed, modified, changed: nanoseconds since 1970 |
//! | 7 | from version 2 on: when it was made; 0 is not known |
//! | 8 to 15 | its pages: see `map` |
//!
//! Inodes lie in records: the number of an inode is its record's.

/// Words of an inode.
pub const WORDS: usize = 16;
pub const HEAD: usize = 0;
pub const COUNTS: usize = 1;
pub const SIZE: usize = 2;
pub const IMAGE: usize = 3;
pub const PARENT: usize = 3;
pub const ACCESSED: usize = 4;
pub const MODIFIED: usize = 5;
pub const CHANGED: usize = 6;
pub const PAGES: usize = 8;

/// Kinds, in the lowest byte of the head.
pub const FREE: u64 = 0;
pub const FILE: u64 = 1;
pub const DIRECTORY: u64 = 2;
const KIND: u64 = 0xff;
/// In the head: it was written, and the time of that is not known yet.
pub const WRITTEN: u64 = 1 << 8;

/// Two halves of a word, the lower first.
#[inline]
pub const fn word(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// The first word of an inode.
pub const fn head(kind: u64, permissions: u32, links: u32) -> u64 {
    kind | (permissions as u64 & 0xffff) << 16 | (links as u64) << 32
}

/// The kind in a head.
#[inline]
pub const fn kind(head: u64) -> u64 {
    head & KIND
}

/// The permissions in a head.
pub const fn permissions(head: u64) -> u32 {
    (head >> 16) as u32 & 0xffff
}

/// The links in a head: below 2^31, for the highest bit is the mark.
pub const fn links(head: u64) -> u32 {
    (head >> 32) as u32 & 0x7fff_ffff
}
