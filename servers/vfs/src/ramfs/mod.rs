//! The root file system: files and directories in memory.
//!
//! It is filled from the boot archive ([`crate::archive`]) and writable. All that it knows lies in
//! [`Memory`], in records and pages ([`inode`], [`map`], [`directory`], [`content`]), so that it outlives the process
//! where memory does. A number of an inode is used again once the inode has neither a name nor an open file.

mod content;
mod directory;
mod inode;
mod map;
mod recent;

use parley_abi::Errno;
use parley_rt::durable::{MARK, Memory, Records};

use crate::fs::{Attr, Entry, FileSystem, Ino, Kind, Times};
use crate::root;
pub use content::{MAX_FILE, clip};
use inode::{ACCESSED, CHANGED, COUNTS, HEAD, IMAGE, MODIFIED, PARENT, SIZE, WORDS, WRITTEN, head, kind, links, word};
use recent::Recent;

/// Most inodes. What is beyond is ENOSPC.
const MAX_INODES: usize = 1 << 20;
const INODES: Records<WORDS> = Records(root::INODES);
/// The root directory lies in the root page.
pub const ROOT: Ino = (root::ROOT_INODE / WORDS) as Ino;
const ONE_LINK: u64 = 1 << 32;

/// The file system.
pub struct RamFs<M> {
    /// Where everything is.
    pub memory: M,
    archive: &'static [u8],
    recent: Recent,
}

impl<M: Memory> RamFs<M> {
    /// The file system in this memory: [`RamFs::format`] comes before everything else if the memory is new. Files may
    /// refer to bytes of `archive`.
    pub const fn new(memory: M, archive: &'static [u8]) -> RamFs<M> {
        RamFs { memory, archive, recent: Recent::new() }
    }

    /// Makes an empty root directory, at the time `now`. ENOSPC.
    pub fn format(&mut self, now: u64) -> Result<(), Errno> {
        self.memory.prepare()?;
        self.write(ROOT, inode::DIRECTORY, 0o755, 2, now);
        self.memory.set(self.at(ROOT) + PARENT, ROOT.into());
        Ok(())
    }

    /// Makes a file with these bytes of the archive, which stay where they are, dated `time`. EFBIG, ENOSPC.
    pub fn create_image(
        &mut self,
        dir: Ino,
        name: &[u8],
        start: usize,
        length: usize,
        mode: u32,
        time: u64,
    ) -> Result<Ino, Errno> {
        let (Ok(start), Ok(size)) = (u32::try_from(start), u32::try_from(length)) else { return Err(Errno::EFBIG) };
        if u64::from(size) > MAX_FILE {
            return Err(Errno::EFBIG);
        }
        let ino = self.insert(dir, name, inode::FILE, mode, time)?;
        let at = self.at(ino);
        self.memory.set(at + IMAGE, word(start, size));
        self.memory.set(at + SIZE, size.into());
        Ok(ino)
    }

    /// Where an inode begins.
    #[inline]
    fn at(&self, ino: Ino) -> usize {
        Records::<WORDS>::at(ino as usize)
    }

    #[inline]
    fn head(&self, ino: Ino) -> u64 {
        self.memory.get(self.at(ino) + HEAD)
    }

    /// ENOTDIR.
    fn check_directory(&self, ino: Ino) -> Result<(), Errno> {
        if kind(self.head(ino)) == inode::DIRECTORY { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// EISDIR.
    #[inline]
    fn check_file(&self, ino: Ino) -> Result<(), Errno> {
        if kind(self.head(ino)) == inode::FILE { Ok(()) } else { Err(Errno::EISDIR) }
    }

    /// The file's time of change is not known yet.
    #[inline]
    fn written(&mut self, ino: Ino) {
        let (at, head) = (self.at(ino) + HEAD, self.head(ino));
        if head & WRITTEN == 0 {
            self.memory.set(at, head | WRITTEN);
        }
    }

    /// Writes all words of a new inode. Its pages were given back when the record was.
    fn write(&mut self, ino: Ino, kind: u64, permissions: u32, links: u32, now: u64) {
        let at = self.at(ino);
        let words = [head(kind, permissions, links), 0, 0, 0, now, now, now, 0];
        for (at, word) in (at..).zip(words) {
            if self.memory.get(at) != word {
                self.memory.set(at, word);
            }
        }
        // The last word of a record that was free led to the next one.
        if self.memory.get(at + WORDS - 1) != 0 {
            self.memory.set(at + WORDS - 1, 0);
        }
    }

    /// Takes an inode. ENOSPC.
    fn allocate(&mut self, kind: u64, permissions: u32, links: u32, now: u64) -> Result<Ino, Errno> {
        if INODES.count(&self.memory) >= MAX_INODES {
            return Err(Errno::ENOSPC);
        }
        let ino = INODES.take(&mut self.memory)? as Ino;
        self.write(ino, kind, permissions, links, now);
        Ok(ino)
    }

    /// Enters a new inode into `dir`. ENOSPC; then nothing has changed.
    fn insert(&mut self, dir: Ino, name: &[u8], kind: u64, permissions: u32, now: u64) -> Result<Ino, Errno> {
        self.check_directory(dir)?;
        let is_directory = kind == inode::DIRECTORY;
        let place = self.prepare(dir, name)?;
        let ino = self.allocate(kind, permissions, if is_directory { 2 } else { 1 }, now)?;
        self.enter(dir, place, name, ino);
        self.modify(dir, now);
        if is_directory {
            self.memory.set(self.at(ino) + PARENT, dir.into());
            self.count_links(dir, 1);
        }
        Ok(ino)
    }

    /// Its names have changed.
    fn change(&mut self, ino: Ino, now: u64) {
        self.memory.set(self.at(ino) + CHANGED, now);
    }

    /// A name was entered into the directory, or removed.
    fn modify(&mut self, dir: Ino, now: u64) {
        self.memory.set(self.at(dir) + MODIFIED, now);
        self.change(dir, now);
    }

    fn count_links(&mut self, ino: Ino, by: i64) {
        let at = self.at(ino) + HEAD;
        self.memory.set(at, self.memory.get(at).wrapping_add_signed(by * ONE_LINK as i64));
    }

    /// An entry of `dir` no longer names the inode.
    fn lose_name(&mut self, dir: Ino, ino: Ino, now: u64) {
        if self.check_directory(ino).is_ok() {
            self.count_links(dir, -1);
            self.count_links(ino, -1);
        }
        self.count_links(ino, -1);
        self.change(ino, now);
        self.collect(ino);
    }

    /// Gives an inode back that nothing refers to any more.
    fn collect(&mut self, ino: Ino) {
        let at = self.at(ino);
        let head = self.memory.get(at + HEAD);
        if links(head) != 0 || self.memory.get(at + COUNTS) as u32 != 0 || kind(head) == inode::FREE {
            return;
        }
        let give = if kind(head) == inode::FILE { M::give_bytes } else { M::give_words };
        if kind(head) == inode::DIRECTORY {
            self.recent.forget();
        }
        map::cut(&mut self.memory, at, 0, give);
        self.memory.set(at + HEAD, inode::FREE);
        INODES.give(&mut self.memory, ino as usize);
    }

    /// ENOTEMPTY if the inode is a directory with entries.
    fn check_empty(&self, ino: Ino) -> Result<(), Errno> {
        let is_directory = self.check_directory(ino).is_ok();
        if is_directory && self.memory.get(self.at(ino) + SIZE) > 0 { Err(Errno::ENOTEMPTY) } else { Ok(()) }
    }
}

impl<M: Memory> FileSystem for RamFs<M> {
    fn root(&self) -> Ino {
        ROOT
    }

    #[inline]
    fn attr(&self, ino: Ino) -> Attr {
        let at = self.at(ino);
        let [head, size] = [HEAD, SIZE].map(|word| self.memory.get(at + word));
        let kind = if kind(head) == inode::DIRECTORY { Kind::Directory } else { Kind::File };
        Attr { kind, permissions: inode::permissions(head), links: links(head), size }
    }

    fn times(&self, ino: Ino) -> Times {
        let at = self.at(ino);
        let [accessed, modified, changed] = [ACCESSED, MODIFIED, CHANGED].map(|word| self.memory.get(at + word));
        Times { accessed, modified, changed }
    }

    #[inline(always)]
    fn lookup(&self, dir: Ino, name: &[u8]) -> Result<Ino, Errno> {
        self.find(dir, name).map(|place| place.ino())
    }

    fn parent(&self, dir: Ino) -> Ino {
        if self.check_directory(dir).is_ok() { self.parent_of(dir) } else { ROOT }
    }

    fn entry(&mut self, dir: Ino, cookie: u64) -> Option<Entry<'_>> {
        self.check_directory(dir).ok()?;
        self.touch(dir);
        let place = self.entry_at(dir, cookie)?;
        let kind = self.attr(place.ino()).kind;
        Some(Entry { name: self.name(place), ino: place.ino(), kind, next: place.next() })
    }

    #[inline]
    fn touch(&mut self, ino: Ino) {
        self.memory.mark(self.at(ino) + HEAD);
    }

    #[inline]
    fn peek(&self, ino: Ino, offset: u64) -> &[u8] {
        self.bytes(ino, offset)
    }

    fn room(&mut self, ino: Ino, offset: u64) -> Result<&mut [u8], Errno> {
        self.check_file(ino)?;
        self.room_at(ino, offset)
    }

    fn commit(&mut self, ino: Ino, end: u64) {
        self.written(ino);
        self.grow(ino, end);
    }

    fn abandon(&mut self, ino: Ino) {
        self.resize(ino, self.memory.get(self.at(ino) + SIZE));
    }

    fn truncate(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        self.check_file(ino)?;
        self.written(ino);
        if size > MAX_FILE {
            return Err(Errno::EFBIG);
        }
        self.resize(ino, size);
        Ok(())
    }

    fn create(&mut self, dir: Ino, name: &[u8], kind: Kind, permissions: u32, now: u64) -> Result<Ino, Errno> {
        let kind = match kind {
            Kind::File => inode::FILE,
            Kind::Directory => inode::DIRECTORY,
            Kind::Device(_) => return Err(Errno::EPERM),
        };
        self.insert(dir, name, kind, permissions, now)
    }

    fn remove(&mut self, dir: Ino, name: &[u8], now: u64) -> Result<(), Errno> {
        self.check_directory(dir)?;
        let place = self.find(dir, name)?;
        let ino = place.ino();
        self.check_empty(ino)?;
        self.leave(dir, place);
        self.modify(dir, now);
        self.lose_name(dir, ino, now);
        Ok(())
    }

    fn rename(&mut self, from: Ino, name: &[u8], to: Ino, new_name: &[u8], now: u64) -> Result<(), Errno> {
        let moved = self.lookup(from, name)?;
        let replaced = self.lookup(to, new_name).ok();
        if replaced == Some(moved) {
            return Ok(());
        }
        replaced.map_or(Ok(()), |ino| self.check_empty(ino))?;
        // Nothing can fail once there is room for the new name.
        match replaced {
            Some(replaced) => {
                let place = self.find(to, new_name)?;
                self.put(place, moved);
                self.lose_name(to, replaced, now);
            }
            None => {
                let place = self.prepare(to, new_name)?;
                self.enter(to, place, new_name, moved);
            }
        }
        let old = self.find(from, name)?;
        self.leave(from, old);
        self.modify(from, now);
        self.modify(to, now);
        self.change(moved, now);
        if self.check_directory(moved).is_ok() {
            self.memory.set(self.at(moved) + PARENT, to.into());
            self.count_links(from, -1);
            self.count_links(to, 1);
        }
        Ok(())
    }

    #[inline]
    fn is_marked(&self, ino: Ino) -> bool {
        self.head(ino) & (MARK | WRITTEN) != 0
    }

    fn settle(&mut self, ino: Ino, now: u64) {
        let (at, head) = (self.at(ino), self.head(ino));
        if head & MARK != 0 {
            self.memory.set(at + ACCESSED, now);
        }
        if head & WRITTEN != 0 {
            self.modify(ino, now);
        }
        self.memory.set(at + HEAD, head & !(MARK | WRITTEN));
    }

    #[inline]
    fn hold(&mut self, ino: Ino) {
        let at = self.at(ino) + COUNTS;
        self.memory.set(at, self.memory.get(at) + 1);
    }

    fn release(&mut self, ino: Ino) {
        let at = self.at(ino);
        let counts = self.memory.get(at + COUNTS);
        if counts as u32 != 0 {
            self.memory.set(at + COUNTS, counts - 1);
        }
        if links(self.memory.get(at + HEAD)) == 0 {
            self.collect(ino);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fs() -> RamFs<parley_rt::durable::Volatile> {
        let mut fs = RamFs::new(parley_rt::durable::Volatile::new(), &[]);
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
        // `e` lies where `a` was, which the walk has passed.
        assert_eq!(seen, b"cd");
    }
}
