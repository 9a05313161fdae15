//! The open-file table: what the badge of a descriptor leads to.
//!
//! A badge is the number of a record and its generation, so that one that went stale leads nowhere: EBADF.
//! Generations stay below 2^31, hence no badge of a process (bit 63) is ever one of a file.
//!
//! A record is four words: flags and generation, node, offset; the fourth links free ones.

use parley_abi::Errno;
use parley_rt::durable::{Memory, Records};

use crate::namespace::Node;
use crate::root;

/// Most files open at once, over all processes.
pub const MAX_OPEN: usize = 4096;
const GENERATIONS: u64 = 0x7fff_ffff;

const WORDS: usize = 4;
const FILES: Records<WORDS> = Records(root::FILES);
const HEAD: usize = 0;
const NODE: usize = 1;
const OFFSET: usize = 2;

/// Flags.
const OPEN: u64 = 1;
/// Opened for reading.
pub const READABLE: u64 = 1 << 1;
/// Opened for writing.
pub const WRITABLE: u64 = 1 << 2;
/// Each write goes to the end.
pub const APPEND: u64 = 1 << 3;
/// It is a directory.
pub const DIRECTORY: u64 = 1 << 4;

/// An open file description (POSIX 3.258): shared by the descriptors that `dup` makes.
#[derive(Clone, Copy, Debug)]
pub struct OpenFile {
    /// What is open.
    pub node: Node,
    /// Where the next read or write goes; in a directory the cookie of the next entry. At most `i64::MAX`.
    pub offset: u64,
    flags: u64,
    at: usize,
}

impl OpenFile {
    /// Each write goes to the end.
    pub fn appends(&self) -> bool {
        self.flags & APPEND != 0
    }

    /// It is a directory.
    pub fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    /// The next read or write goes to `offset`.
    #[inline]
    pub fn seek(&self, memory: &mut impl Memory, offset: u64) {
        memory.set(self.at + OFFSET, offset);
    }
}

/// Makes sure that the next [`insert`] finds a record. ENFILE: [`MAX_OPEN`] files are open. ENOMEM.
#[inline(always)]
pub fn reserve(memory: &mut impl Memory) -> Result<(), Errno> {
    if FILES.has_free(memory) { Ok(()) } else { make(memory) }
}

/// Adds a record.
#[inline(never)]
fn make(memory: &mut impl Memory) -> Result<(), Errno> {
    if FILES.count(memory) >= MAX_OPEN {
        return Err(Errno::ENFILE);
    }
    let number = FILES.take(memory).map_err(|_| Errno::ENOMEM)?;
    FILES.give(memory, number);
    Ok(())
}

/// Enters an open file with these flags and returns its badge, after [`reserve`]. ENOMEM: there was none.
#[inline(always)]
pub fn insert(memory: &mut impl Memory, node: Node, flags: u64) -> Result<u64, Errno> {
    let number = FILES.take(memory).map_err(|_| Errno::ENOMEM)?;
    let at = Records::<WORDS>::at(number);
    let [head, was, offset, _] = memory.record(number).ok_or(Errno::ENOMEM)?.map(u64::from_le_bytes);
    let generation = (head >> 32).max(1);
    memory.set(at + HEAD, generation << 32 | flags | OPEN);
    if was != node.word() {
        memory.set(at + NODE, node.word());
    }
    if offset != 0 {
        memory.set(at + OFFSET, 0);
    }
    Ok(generation << 32 | number as u64)
}

/// The file behind a badge. EBADF.
#[inline]
pub fn get(memory: &impl Memory, badge: u64) -> Result<OpenFile, Errno> {
    // Only numbers of records are ever in a badge with a generation; a process's badge has none.
    let at = Records::<WORDS>::at(badge as u32 as usize);
    if badge >> 63 != 0 {
        return Err(Errno::EBADF);
    }
    let [flags, node, offset, _] = memory.record(badge as u32 as usize).ok_or(Errno::EBADF)?.map(u64::from_le_bytes);
    if flags >> 32 != badge >> 32 || flags & OPEN == 0 {
        return Err(Errno::EBADF);
    }
    Ok(OpenFile { node: Node::from_word(node), offset, flags, at })
}

/// The file behind a badge, for reading. EBADF: it is not open for that. EISDIR.
#[inline]
pub fn readable(memory: &impl Memory, badge: u64) -> Result<OpenFile, Errno> {
    match get(memory, badge)? {
        file if file.flags & READABLE == 0 => Err(Errno::EBADF),
        file if file.is_directory() => Err(Errno::EISDIR),
        file => Ok(file),
    }
}

/// The file behind a badge, for writing. EBADF: it is not open for that.
#[inline]
pub fn writable(memory: &impl Memory, badge: u64) -> Result<OpenFile, Errno> {
    get(memory, badge).and_then(|file| if file.flags & WRITABLE != 0 { Ok(file) } else { Err(Errno::EBADF) })
}

/// Takes a file out; the badge is stale from now on.
pub fn remove(memory: &mut impl Memory, badge: u64) -> Option<OpenFile> {
    let file = get(memory, badge).ok()?;
    memory.set(file.at + HEAD, ((badge >> 32) % GENERATIONS + 1) << 32);
    FILES.give(memory, badge as u32 as usize);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::ROOT;
    use parley_rt::durable::Volatile;

    fn memory() -> Volatile {
        let mut memory = Volatile::new();
        memory.prepare().unwrap();
        memory
    }

    fn enter(table: &mut Volatile, node: Node, flags: u64) -> Result<u64, Errno> {
        reserve(table)?;
        insert(table, node, flags)
    }

    #[test]
    fn a_badge_goes_stale() {
        let mut table = memory();
        let first = enter(&mut table, ROOT, READABLE).unwrap();
        get(&table, first).unwrap().seek(&mut table, 77);
        assert!(remove(&mut table, first).is_some());
        let second = enter(&mut table, ROOT, READABLE).unwrap();
        assert_eq!(first as u32, second as u32, "the record is used again");
        assert_eq!(get(&table, first).err(), Some(Errno::EBADF));
        assert!(remove(&mut table, first).is_none());
        assert_eq!(get(&table, second).map(|file| file.offset), Ok(0));
        assert_eq!(get(&table, second | 1 << 63).err(), Some(Errno::EBADF));
    }

    #[test]
    fn it_has_a_limit() {
        let mut table = memory();
        let badges: Vec<u64> = (0..MAX_OPEN).map(|_| enter(&mut table, ROOT, READABLE).unwrap()).collect();
        assert_eq!(enter(&mut table, ROOT, READABLE), Err(Errno::ENFILE));
        remove(&mut table, badges[77]);
        assert!(enter(&mut table, ROOT, READABLE).is_ok());
    }

    #[test]
    fn modes_are_kept_apart() {
        let mut table = memory();
        let badge = enter(&mut table, ROOT, READABLE).unwrap();
        assert!(readable(&table, badge).is_ok());
        assert_eq!(writable(&table, badge).err(), Some(Errno::EBADF));
    }
}
