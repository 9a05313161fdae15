//! The names in a directory of the ramfs.
//!
//! Entries lie in the order of their cookies, which only ever grow: a reader that remembers the cookie
//! where it stopped finds its place by bisection, whatever was removed before it. A name is found by
//! looking through them all, which for directories of a boot archive beats keeping an index.

use alloc::boxed::Box;
use alloc::vec::Vec;
use parley_abi::Errno;
use parley_rt::state::{Reader, Writer};

use crate::fs::{FIRST_COOKIE, Ino};

/// One name. It is made before it is entered, so that entering cannot fail.
pub struct Name {
    /// The name.
    pub name: Box<[u8]>,
    /// What it names.
    pub ino: Ino,
    cookie: u64,
}

/// A directory.
pub struct Directory {
    /// The directory it is in.
    pub parent: Ino,
    names: Vec<Name>,
    next_cookie: u64,
}

impl Directory {
    /// An empty directory.
    pub fn new(parent: Ino) -> Directory {
        Directory { parent, names: Vec::new(), next_cookie: FIRST_COOKIE }
    }

    /// Writes the directory down. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>) -> Result<(), Errno> {
        writer.put(&(self.parent, self.next_cookie))?;
        writer.put(&self.names.len())?;
        for Name { name, ino, cookie } in &self.names {
            writer.put(&(ino, cookie))?;
            writer.put_bytes(name)?;
        }
        Ok(())
    }

    /// Reads a directory that [`Directory::put`] wrote. EINVAL: it is none. ENOMEM.
    pub fn take(reader: &mut Reader<'_>) -> Result<Directory, Errno> {
        let (parent, next_cookie) = reader.take()?;
        let mut directory = Directory { parent, names: Vec::new(), next_cookie };
        let count = reader.take_length()?;
        directory.names.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            let ((ino, cookie), name): ((Ino, u64), &[u8]) = (reader.take()?, reader.take()?);
            let name = directory.prepare(name).map_err(|_| Errno::ENOMEM)?;
            directory.names.push(Name { name, ino, cookie });
        }
        let rising = directory.names.is_sorted_by(|one, other| one.cookie < other.cookie);
        if rising { Ok(directory) } else { Err(Errno::EINVAL) }
    }

    /// Entries, `.` and `..` not counted.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// What `name` names. ENOENT.
    pub fn lookup(&self, name: &[u8]) -> Result<Ino, Errno> {
        self.names.iter().find(|entry| *entry.name == *name).map(|entry| entry.ino).ok_or(Errno::ENOENT)
    }

    /// The first entry with this cookie or a higher one, and the cookie to go on with.
    pub fn at(&self, cookie: u64) -> Option<(&Name, u64)> {
        let index = self.names.partition_point(|entry| entry.cookie < cookie);
        self.names.get(index).map(|entry| (entry, entry.cookie + 1))
    }

    /// Gets memory for one more entry with this name, for [`Directory::enter`]. ENOSPC.
    pub fn prepare(&mut self, name: &[u8]) -> Result<Box<[u8]>, Errno> {
        self.names.try_reserve(1).map_err(|_| Errno::ENOSPC)?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOSPC)?;
        copy.extend_from_slice(name);
        Ok(copy.into_boxed_slice())
    }

    /// Enters a name that [`Directory::prepare`] made.
    pub fn enter(&mut self, name: Box<[u8]>, ino: Ino) {
        let cookie = self.next_cookie;
        self.next_cookie += 1;
        self.names.push(Name { name, ino, cookie });
    }

    /// Removes a name.
    pub fn leave(&mut self, name: &[u8]) {
        if let Some(index) = self.names.iter().position(|entry| *entry.name == *name) {
            self.names.remove(index);
        }
    }
}
