//! The open-file table: what the badge of a descriptor leads to.
//!
//! A badge is the index of a slot and its generation, so that one that went stale leads nowhere: EBADF.
//! Generations stay below 2^31, hence no badge of a process (bit 63) is ever one of a file.

use alloc::vec::Vec;
use parley_abi::Errno;
use parley_rt::state::{Reader, Writer};
use serde::{Deserialize, Serialize};

use crate::namespace::Node;

/// Most files open at once, over all processes.
pub const MAX_OPEN: usize = 4096;
const GENERATIONS: u32 = 0x7fff_ffff;

/// An open file description (POSIX 3.258): shared by the descriptors that `dup` makes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OpenFile {
    /// What is open.
    pub node: Node,
    /// Where the next read or write goes; in a directory the cookie of the next entry. At most `i64::MAX`.
    pub offset: u64,
    /// Opened for reading.
    pub readable: bool,
    /// Opened for writing.
    pub writable: bool,
    /// Each write goes to the end.
    pub append: bool,
    /// It is a directory.
    pub directory: bool,
}

struct Slot {
    generation: u32,
    state: State,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum State {
    Open(OpenFile),
    Free(Option<u32>),
}

/// The table.
pub struct Table {
    slots: Vec<Slot>,
    free: Option<u32>,
}

impl Table {
    /// No files, no memory.
    pub const fn new() -> Table {
        Table { slots: Vec::new(), free: None }
    }

    /// Writes the open files down. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>) -> Result<(), Errno> {
        writer.put(&self.free)?;
        writer.put_all(self.slots.iter().map(|slot| (slot.generation, slot.state)))
    }

    /// Reads what [`Table::put`] wrote. EINVAL: it is none. ENOMEM.
    pub fn take(reader: &mut Reader<'_>) -> Result<Table, Errno> {
        let mut table = Table { slots: Vec::new(), free: reader.take()? };
        let count = reader.take_length()?;
        table.slots.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            let (generation, state) = reader.take()?;
            table.slots.push(Slot { generation, state });
        }
        Ok(table)
    }

    /// Makes sure that the next [`Table::insert`] finds a slot. ENFILE: [`MAX_OPEN`] files are open.
    /// ENOMEM.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        if self.free.is_some() {
            return Ok(());
        }
        if self.slots.len() >= MAX_OPEN {
            return Err(Errno::ENFILE);
        }
        self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.slots.push(Slot { generation: 1, state: State::Free(None) });
        self.free = Some(self.slots.len() as u32 - 1);
        Ok(())
    }

    /// Enters an open file and returns its badge. ENFILE, ENOMEM: not after [`Table::reserve`].
    pub fn insert(&mut self, file: OpenFile) -> Result<u64, Errno> {
        self.reserve()?;
        let index = self.free.ok_or(Errno::ENFILE)?;
        let slot = self.slots.get_mut(index as usize).ok_or(Errno::ENFILE)?;
        if let State::Free(next) = slot.state {
            self.free = next;
        }
        slot.state = State::Open(file);
        Ok((slot.generation as u64) << 32 | index as u64)
    }

    /// The file behind a badge. EBADF.
    #[inline]
    pub fn get(&mut self, badge: u64) -> Result<&mut OpenFile, Errno> {
        match self.slots.get_mut(badge as u32 as usize) {
            Some(Slot { generation, state: State::Open(file) }) if *generation as u64 == badge >> 32 => Ok(file),
            _ => Err(Errno::EBADF),
        }
    }

    /// The file behind a badge, for reading. EBADF: it is not open for that. EISDIR.
    #[inline]
    pub fn readable(&mut self, badge: u64) -> Result<&mut OpenFile, Errno> {
        match self.get(badge)? {
            file if !file.readable => Err(Errno::EBADF),
            file if file.directory => Err(Errno::EISDIR),
            file => Ok(file),
        }
    }

    /// The file behind a badge, for writing. EBADF: it is not open for that.
    #[inline]
    pub fn writable(&mut self, badge: u64) -> Result<&mut OpenFile, Errno> {
        self.get(badge).and_then(|file| if file.writable { Ok(file) } else { Err(Errno::EBADF) })
    }

    /// Takes a file out; the badge is stale from now on.
    pub fn remove(&mut self, badge: u64) -> Option<OpenFile> {
        let file = *self.get(badge).ok()?;
        let slot = self.slots.get_mut(badge as u32 as usize)?;
        slot.generation = slot.generation % GENERATIONS + 1;
        slot.state = State::Free(self.free);
        self.free = Some(badge as u32);
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::ROOT;

    const FILE: OpenFile =
        OpenFile { node: ROOT, offset: 0, readable: true, writable: false, append: false, directory: false };

    #[test]
    fn a_badge_goes_stale() {
        let mut table = Table::new();
        let first = table.insert(FILE).unwrap();
        assert!(table.remove(first).is_some());
        let second = table.insert(FILE).unwrap();
        assert_eq!(first as u32, second as u32, "the slot is used again");
        assert_eq!(table.get(first).err(), Some(Errno::EBADF));
        assert!(table.remove(first).is_none());
        assert!(table.get(second).is_ok());
        assert_eq!(table.get(second | 1 << 63).err(), Some(Errno::EBADF));
    }

    #[test]
    fn it_has_a_limit() {
        let mut table = Table::new();
        let badges: Vec<u64> = (0..MAX_OPEN).map(|_| table.insert(FILE).unwrap()).collect();
        assert_eq!(table.insert(FILE), Err(Errno::ENFILE));
        table.remove(badges[77]);
        assert!(table.insert(FILE).is_ok());
    }

    #[test]
    fn modes_are_kept_apart() {
        let mut table = Table::new();
        let badge = table.insert(FILE).unwrap();
        assert!(table.readable(badge).is_ok());
        assert_eq!(table.writable(badge).err(), Some(Errno::EBADF));
    }
}
