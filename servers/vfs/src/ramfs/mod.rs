//! The root file system: files and directories in memory.
//!
//! It is filled from the boot archive ([`crate::archive`]) and writable. Inodes lie in one table; a
//! number is used again once the inode has neither a name nor an open file.

mod content;
mod directory;

use alloc::vec::Vec;
use core::cell::Cell;
use parley_abi::Errno;
use parley_rt::state::{Reader, Writer};

use crate::fs::{Attr, Entry, FileSystem, Ino, Kind, Times};
pub use content::{Content, MAX_FILE, clip};
use directory::Directory;

/// Most inodes. What is beyond is ENOSPC.
const MAX_INODES: usize = 1 << 20;
const ROOT: Ino = 0;

struct Inode {
    permissions: u32,
    /// Names; for a directory also its own `.` and the `..` of each directory in it.
    links: u32,
    /// Open files that refer to it.
    holders: u32,
    times: Times,
    /// It was read, and the time of that is not known yet. A cell, for it is all that reading changes.
    is_read: Cell<bool>,
    /// It was written, and the time of that is not known yet.
    is_written: bool,
    body: Body,
}

impl Inode {
    fn modify(&mut self, now: u64) {
        (self.times.modified, self.times.changed) = (now, now);
    }
}

enum Body {
    File(Content),
    Directory(Directory),
    /// Not in use; the next such inode.
    Free(Option<Ino>),
}

/// The file system.
pub struct RamFs {
    inodes: Vec<Inode>,
    free: Option<Ino>,
}

impl RamFs {
    /// Nothing at all, without memory: [`RamFs::format`] comes before everything else.
    pub const fn new() -> RamFs {
        RamFs { inodes: Vec::new(), free: None }
    }

    /// Makes an empty root directory, at the time `now`. ENOSPC.
    pub fn format(&mut self, now: u64) -> Result<(), Errno> {
        self.inodes.clear();
        self.free = None;
        self.allocate(Body::Directory(Directory::new(ROOT)), 0o755, 2, now).map(|_| ())
    }

    /// Makes a file with these bytes, which stay where they are, dated `time`. EFBIG, ENOSPC.
    pub fn create_image(
        &mut self,
        dir: Ino,
        name: &[u8],
        bytes: &'static [u8],
        mode: u32,
        time: u64,
    ) -> Result<Ino, Errno> {
        self.insert(dir, name, Body::File(Content::from_image(bytes)?), mode, time)
    }

    /// Writes all of it down. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>, archive: &'static [u8]) -> Result<(), Errno> {
        writer.put(&self.free)?;
        writer.put(&self.inodes.len())?;
        for inode in &self.inodes {
            let Inode { permissions, links, holders, times, is_read, is_written, body } = inode;
            writer.put(&(permissions, links, holders, times, is_read.get(), is_written))?;
            match body {
                Body::Free(next) => writer.put(&(0u8, next))?,
                Body::File(content) => {
                    writer.put(&1u8)?;
                    content.put(writer, archive)?;
                }
                Body::Directory(directory) => {
                    writer.put(&2u8)?;
                    directory.put(writer)?;
                }
            }
        }
        Ok(())
    }

    /// Reads what [`RamFs::put`] wrote. EINVAL: it is none. ENOMEM.
    pub fn take(reader: &mut Reader<'_>, archive: &'static [u8]) -> Result<RamFs, Errno> {
        let mut fs = RamFs { inodes: Vec::new(), free: reader.take()? };
        let count = reader.take_length()?;
        fs.inodes.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            let (permissions, links, holders, times, is_read, is_written) = reader.take()?;
            let body = match reader.take()? {
                0u8 => Body::Free(reader.take()?),
                1 => Body::File(Content::take(reader, archive)?),
                2 => Body::Directory(Directory::take(reader)?),
                _ => return Err(Errno::EINVAL),
            };
            let is_read = Cell::new(is_read);
            fs.inodes.push(Inode { permissions, links, holders, times, is_read, is_written, body });
        }
        Ok(fs)
    }

    fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(ino as usize).ok_or(Errno::EIO)
    }

    fn directory(&self, ino: Ino) -> Result<&Directory, Errno> {
        match &self.inode(ino)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> Result<&mut Directory, Errno> {
        match self.inodes.get_mut(ino as usize).map(|inode| &mut inode.body) {
            Some(Body::Directory(directory)) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn content_mut(&mut self, ino: Ino) -> Result<&mut Content, Errno> {
        match self.inodes.get_mut(ino as usize).map(|inode| &mut inode.body) {
            Some(Body::File(content)) => Ok(content),
            _ => Err(Errno::EISDIR),
        }
    }

    /// As [`RamFs::content_mut`], for a change: the file is marked.
    fn written(&mut self, ino: Ino) -> Result<&mut Content, Errno> {
        match self.inodes.get_mut(ino as usize) {
            Some(Inode { body: Body::File(content), is_written, .. }) => {
                *is_written = true;
                Ok(content)
            }
            _ => Err(Errno::EISDIR),
        }
    }

    /// Puts an inode into the table. ENOSPC.
    fn allocate(&mut self, body: Body, permissions: u32, links: u32, now: u64) -> Result<Ino, Errno> {
        let times = Times::all(now);
        let inode = Inode { permissions, links, holders: 0, times, is_read: Cell::new(false), is_written: false, body };
        if let Some(ino) = self.free
            && let Some(slot) = self.inodes.get_mut(ino as usize)
            && let Body::Free(next) = slot.body
        {
            self.free = next;
            *slot = inode;
            return Ok(ino);
        }
        if self.inodes.len() >= MAX_INODES {
            return Err(Errno::ENOSPC);
        }
        self.inodes.try_reserve(1).map_err(|_| Errno::ENOSPC)?;
        self.inodes.push(inode);
        Ok(self.inodes.len() as Ino - 1)
    }

    /// Enters a new inode into `dir`. ENOSPC; then nothing has changed.
    fn insert(&mut self, dir: Ino, name: &[u8], body: Body, permissions: u32, now: u64) -> Result<Ino, Errno> {
        let is_directory = matches!(body, Body::Directory(_));
        let name = self.directory_mut(dir)?.prepare(name)?;
        let ino = self.allocate(body, permissions, if is_directory { 2 } else { 1 }, now)?;
        self.directory_mut(dir)?.enter(name, ino);
        self.modify(dir, now);
        if is_directory {
            self.count_links(dir, 1);
        }
        Ok(ino)
    }

    /// Its names have changed.
    fn change(&mut self, ino: Ino, now: u64) {
        if let Some(inode) = self.inodes.get_mut(ino as usize) {
            inode.times.changed = now;
        }
    }

    /// A name was entered into the directory, or removed.
    fn modify(&mut self, dir: Ino, now: u64) {
        if let Some(inode) = self.inodes.get_mut(dir as usize) {
            inode.modify(now);
        }
    }

    fn count_links(&mut self, ino: Ino, by: i32) {
        if let Some(inode) = self.inodes.get_mut(ino as usize) {
            inode.links = inode.links.saturating_add_signed(by);
        }
    }

    /// Gives an inode back that nothing refers to any more.
    fn collect(&mut self, ino: Ino) {
        let free = self.free;
        if let Some(inode) = self.inodes.get_mut(ino as usize)
            && inode.links == 0
            && inode.holders == 0
        {
            inode.body = Body::Free(free);
            self.free = Some(ino);
        }
    }

    /// ENOTEMPTY if the inode is a directory with entries.
    fn check_empty(&self, ino: Ino) -> Result<(), Errno> {
        match &self.inode(ino)?.body {
            Body::Directory(directory) if directory.len() > 0 => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }
}

impl FileSystem for RamFs {
    fn root(&self) -> Ino {
        ROOT
    }

    fn attr(&self, ino: Ino) -> Attr {
        let Some(inode) = self.inodes.get(ino as usize) else {
            return Attr { kind: Kind::File, permissions: 0, links: 0, size: 0 };
        };
        let (kind, size) = match &inode.body {
            Body::File(content) => (Kind::File, content.size()),
            Body::Directory(directory) => (Kind::Directory, directory.len() as u64),
            Body::Free(_) => (Kind::File, 0),
        };
        Attr { kind, permissions: inode.permissions, links: inode.links, size }
    }

    fn times(&self, ino: Ino) -> Times {
        self.inodes.get(ino as usize).map(|inode| inode.times).unwrap_or_default()
    }

    fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno> {
        self.directory(dir)?.lookup(name)
    }

    fn parent(&self, dir: Ino) -> Ino {
        self.directory(dir).map_or(ROOT, |directory| directory.parent)
    }

    fn entry(&self, dir: Ino, cookie: u64) -> Option<Entry<'_>> {
        let inode = self.inode(dir).ok()?;
        let Body::Directory(directory) = &inode.body else { return None };
        inode.is_read.set(true);
        let (name, next) = directory.at(cookie)?;
        Some(Entry { name: &name.name, ino: name.ino, kind: self.attr(name.ino).kind, next })
    }

    fn peek(&self, ino: Ino, offset: u64) -> &[u8] {
        match self.inodes.get(ino as usize) {
            Some(Inode { body: Body::File(content), is_read, .. }) => {
                is_read.set(true);
                content.peek(offset)
            }
            _ => &[],
        }
    }

    fn room(&mut self, ino: Ino, offset: u64) -> Result<&mut [u8], Errno> {
        self.content_mut(ino)?.room(offset)
    }

    fn commit(&mut self, ino: Ino, end: u64) {
        if let Ok(content) = self.written(ino) {
            content.commit(end);
        }
    }

    fn abandon(&mut self, ino: Ino) {
        if let Ok(content) = self.content_mut(ino) {
            content.abandon();
        }
    }

    fn truncate(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        self.written(ino)?.truncate(size)
    }

    fn create(&mut self, dir: Ino, name: &[u8], kind: Kind, permissions: u32, now: u64) -> Result<Ino, Errno> {
        let body = match kind {
            Kind::File => Body::File(Content::default()),
            Kind::Directory => Body::Directory(Directory::new(dir)),
            Kind::Device(_) => return Err(Errno::EPERM),
        };
        self.insert(dir, name, body, permissions, now)
    }

    fn remove(&mut self, dir: Ino, name: &[u8], now: u64) -> Result<(), Errno> {
        let ino = self.lookup(dir, name)?;
        self.check_empty(ino)?;
        let is_directory = self.directory(ino).is_ok();
        self.directory_mut(dir)?.leave(name);
        self.modify(dir, now);
        if is_directory {
            self.count_links(dir, -1);
            self.count_links(ino, -1);
        }
        self.count_links(ino, -1);
        self.change(ino, now);
        self.collect(ino);
        Ok(())
    }

    fn rename(&mut self, from: Ino, name: &[u8], to: Ino, new_name: &[u8], now: u64) -> Result<(), Errno> {
        let moved = self.lookup(from, name)?;
        let replaced = self.lookup(to, new_name).ok();
        if replaced == Some(moved) {
            return Ok(());
        }
        replaced.map_or(Ok(()), |ino| self.check_empty(ino))?;
        let entered = self.directory_mut(to)?.prepare(new_name)?;
        // From here on nothing can fail.
        if replaced.is_some() {
            self.remove(to, new_name, now)?;
        }
        self.directory_mut(from)?.leave(name);
        self.directory_mut(to)?.enter(entered, moved);
        self.modify(from, now);
        self.modify(to, now);
        self.change(moved, now);
        if let Ok(directory) = self.directory_mut(moved) {
            directory.parent = to;
            self.count_links(from, -1);
            self.count_links(to, 1);
        }
        Ok(())
    }

    fn is_marked(&self, ino: Ino) -> bool {
        self.inodes.get(ino as usize).is_some_and(|inode| inode.is_read.get() || inode.is_written)
    }

    fn settle(&mut self, ino: Ino, now: u64) {
        let Some(inode) = self.inodes.get_mut(ino as usize) else { return };
        if inode.is_read.take() {
            inode.times.accessed = now;
        }
        if core::mem::take(&mut inode.is_written) {
            inode.modify(now);
        }
    }

    fn hold(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(ino as usize) {
            inode.holders += 1;
        }
    }

    fn release(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(ino as usize) {
            inode.holders = inode.holders.saturating_sub(1);
        }
        self.collect(ino);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fs() -> RamFs {
        let mut fs = RamFs::new();
        fs.format(0).unwrap();
        fs
    }

    #[test]
    fn links_are_counted_as_unix_counts_them() {
        let mut fs = fs();
        let a = fs.create(ROOT, b"a", Kind::Directory, 0o755, 0).unwrap();
        fs.create(a, b"b", Kind::Directory, 0o755, 0).unwrap();
        let c = fs.create(ROOT, b"c", Kind::Directory, 0o755, 0).unwrap();
        assert_eq!((fs.attr(ROOT).links, fs.attr(a).links), (4, 3));
        fs.rename(a, b"b", c, b"d", 0).unwrap();
        assert_eq!((fs.attr(a).links, fs.attr(c).links), (2, 3));
        fs.rename(ROOT, b"c", ROOT, b"a", 0).unwrap();
        assert_eq!(fs.attr(ROOT).links, 3);
        assert_eq!(fs.lookup(ROOT, b"a"), Ok(c));
    }

    #[test]
    fn an_open_file_outlives_its_name_and_then_its_number_is_free() {
        let mut fs = fs();
        let file = fs.create(ROOT, b"f", Kind::File, 0o644, 0).unwrap();
        fs.hold(file);
        fs.remove(ROOT, b"f", 0).unwrap();
        fs.room(file, 0).unwrap()[0] = b'x';
        fs.commit(file, 1);
        assert_eq!(fs.peek(file, 0), b"x");
        assert_ne!(fs.create(ROOT, b"g", Kind::File, 0o644, 0), Ok(file));
        fs.release(file);
        assert_eq!(fs.create(ROOT, b"h", Kind::File, 0o644, 0), Ok(file));
        assert!(fs.peek(file, 0).is_empty());
    }

    #[test]
    fn a_walk_sees_what_stays_exactly_once() {
        let mut fs = fs();
        for name in [b"a", b"b", b"c", b"d"] {
            fs.create(ROOT, name, Kind::File, 0o644, 0).unwrap();
        }
        let first = fs.entry(ROOT, 2).unwrap();
        assert_eq!(first.name, b"a");
        let next = first.next;
        fs.remove(ROOT, b"a", 0).unwrap();
        fs.remove(ROOT, b"b", 0).unwrap();
        fs.create(ROOT, b"e", Kind::File, 0o644, 0).unwrap();
        let mut seen = Vec::new();
        let mut cookie = next;
        while let Some(entry) = fs.entry(ROOT, cookie) {
            seen.push(entry.name[0]);
            cookie = entry.next;
        }
        assert_eq!(seen, b"cde");
    }
}
