//! What a file system is: the trait that the namespace is made of.
//!
//! A further file system is one more file with an implementation of [`FileSystem`] and one arm in
//! `Namespace`. The namespace has resolved paths, crossed mounts and checked kinds before it calls; a file
//! system keeps names, inodes and bytes. Everything that changes has a default that answers EROFS, so a
//! read-only one is short. After Plan 9's `Dev` and the Linux VFS, cut down to what is used.

use parley_abi::Errno;
use serde::{Deserialize, Serialize};

/// Number of an inode within its file system.
pub type Ino = u32;

/// What an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A character device with this number, as `makedev` packs it.
    Device(u64),
}

/// When an inode was last used, in nanoseconds since 1970 (POSIX.1-2017, XBD 4.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// Its bytes or entries were read.
    pub accessed: u64,
    /// Its bytes or entries were changed.
    pub modified: u64,
    /// Anything about it was changed.
    pub changed: u64,
}

impl Times {
    /// Of something that was made at `now`.
    pub const fn all(now: u64) -> Times {
        Times { accessed: now, modified: now, changed: now }
    }
}

/// What is known of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0 to 0o7777.
    pub permissions: u32,
    /// Names it has; 0 once it was removed and only open files hold it.
    pub links: u32,
    /// Bytes in a file, entries in a directory, 0 for a device.
    pub size: u64,
}

/// One name in a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// What it names.
    pub ino: Ino,
    /// What that is.
    pub kind: Kind,
    /// Where the entry after it is found: the cookie for the next [`FileSystem::entry`].
    pub next: u64,
}

/// First cookie that a file system gives out; those below are `.` and `..`, which the namespace answers.
pub const FIRST_COOKIE: u64 = 2;

/// A file system. Names never are empty, `.`, `..`, longer than 255 bytes, or contain `/` or NUL.
///
/// An inode number that does not exist cannot reach it: the namespace gets them from here only, and
/// holds each one that an open file keeps.
///
/// Reading the clock costs more than some reads, so [`FileSystem::entry`], `touch`, `commit` and `truncate`,
/// which serve open files, only mark times for update, as POSIX allows. The namespace has them
/// [settled](FileSystem::settle) when somebody looks and when a file is closed. `create`, `remove` and
/// `rename` are told the time, `now`, in nanoseconds since 1970.
pub trait FileSystem {
    /// The root directory.
    fn root(&self) -> Ino;

    /// Describes an inode.
    fn attr(&self, ino: Ino) -> Attr;

    /// Its times, without what is only marked: see [`FileSystem::settle`].
    fn times(&self, ino: Ino) -> Times;

    /// The inode that `name` names in `dir`. ENOENT: none. ENOTDIR: `dir` is not a directory.
    fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno>;

    /// The directory that `dir` is in; of the root, itself.
    fn parent(&self, dir: Ino) -> Ino;

    /// The first entry of `dir` at `cookie` or after it. Cookies stay with their entries, so that a walk
    /// returns each entry that stays exactly once, whatever is added or removed meanwhile.
    fn entry(&mut self, dir: Ino, cookie: u64) -> Option<Entry<'_>>;

    /// The inode is read: marks it.
    fn touch(&mut self, ino: Ino) {
        let _ = ino;
    }

    /// Bytes of a file from `offset` on: as many as lie together, none at the end and beyond it.
    fn peek(&self, ino: Ino, offset: u64) -> &[u8] {
        let _ = (ino, offset);
        &[]
    }

    /// Memory for bytes of a file from `offset` on, at least one byte. What is written there counts once
    /// [`FileSystem::commit`] has said so, or at once where the file already was.
    ///
    /// EFBIG: beyond the largest file. ENOSPC: no memory. EROFS.
    fn room(&mut self, ino: Ino, offset: u64) -> Result<&mut [u8], Errno> {
        let _ = (ino, offset);
        Err(Errno::EROFS)
    }

    /// The bytes that [`FileSystem::room`] gave are valid up to `end`: a shorter file grows to it.
    fn commit(&mut self, ino: Ino, end: u64) {
        let _ = (ino, end);
    }

    /// Drops what [`FileSystem::room`] prepared and nobody committed.
    fn abandon(&mut self, ino: Ino) {
        let _ = ino;
    }

    /// Gives a file `size` bytes; new ones read as zeros. EFBIG, EROFS.
    fn truncate(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        let _ = (ino, size);
        Err(Errno::EROFS)
    }

    /// Makes a file or directory with a name that is not yet there. ENOSPC: no memory. EROFS.
    fn create(&mut self, dir: Ino, name: &[u8], kind: Kind, permissions: u32, now: u64) -> Result<Ino, Errno> {
        let _ = (dir, name, kind, permissions, now);
        Err(Errno::EROFS)
    }

    /// Removes a name. ENOTEMPTY: it names a directory that has entries. EROFS.
    fn remove(&mut self, dir: Ino, name: &[u8], now: u64) -> Result<(), Errno> {
        let _ = (dir, name, now);
        Err(Errno::EROFS)
    }

    /// Moves a name, replacing what the new one named, which is of the same kind. The caller knows that a
    /// directory does not move below itself. ENOTEMPTY, ENOSPC, EROFS; then nothing has changed.
    fn rename(&mut self, from: Ino, name: &[u8], to: Ino, new_name: &[u8], now: u64) -> Result<(), Errno> {
        let _ = (from, name, to, new_name, now);
        Err(Errno::EROFS)
    }

    /// Whether times of the inode are marked for update.
    fn is_marked(&self, ino: Ino) -> bool {
        let _ = ino;
        false
    }

    /// Sets the times that are marked for update.
    fn settle(&mut self, ino: Ino, now: u64) {
        let _ = (ino, now);
    }

    /// An open file refers to the inode: it lives until [`FileSystem::release`], even without a name.
    fn hold(&mut self, ino: Ino) {
        let _ = ino;
    }

    /// One open file fewer refers to the inode.
    fn release(&mut self, ino: Ino) {
        let _ = ino;
    }
}
