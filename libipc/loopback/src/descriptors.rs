//! The descriptor table: what the core keeps as the lower part of a process's handle table.
//!
//! A descriptor is a handle to a connection; `dup` makes a second handle to the same one, and with the last
//! of them the connection is closed. The lowest free number is given out first.

use parley_abi::Errno;
use parley_abi::slot::FD_END;

const SLOTS: usize = FD_END as usize;

/// The other end of a descriptor: which service, and what it calls the open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// Number of the service.
    pub service: u8,
    /// The service's name for it.
    pub badge: u64,
}

#[derive(Clone, Copy)]
struct Counted {
    connection: Connection,
    /// Descriptors that lead here.
    descriptors: u16,
}

/// A set of free indices.
struct Free([u64; SLOTS / 64]);

impl Free {
    fn lowest(&self) -> Option<usize> {
        let word = self.0.iter().position(|&bits| bits != 0)?;
        Some(word * 64 + self.0[word].trailing_zeros() as usize)
    }
    fn take(&mut self, index: usize) {
        self.0[index / 64] &= !(1 << (index % 64));
    }
    fn give(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }
    fn has(&self, index: usize) -> bool {
        self.0[index / 64] & 1 << (index % 64) != 0
    }
}

/// The table: 1,024 descriptors, about 26 KiB.
pub struct Descriptors {
    free: Free,
    /// The connection that a descriptor in use leads to.
    leads_to: [u16; SLOTS],
    free_connections: Free,
    connections: [Counted; SLOTS],
}

impl Default for Descriptors {
    fn default() -> Self {
        Self::new()
    }
}

impl Descriptors {
    /// An empty table.
    pub const fn new() -> Self {
        let nobody = Counted { connection: Connection { service: 0, badge: 0 }, descriptors: 0 };
        Descriptors {
            free: Free([u64::MAX; SLOTS / 64]),
            leads_to: [0; SLOTS],
            free_connections: Free([u64::MAX; SLOTS / 64]),
            connections: [nobody; SLOTS],
        }
    }

    /// EMFILE: all descriptors are in use.
    pub fn check_room(&self) -> Result<(), Errno> {
        self.free.lowest().map(|_| ()).ok_or(Errno::EMFILE)
    }

    /// Gives a connection the lowest free descriptor. EMFILE.
    pub fn open(&mut self, connection: Connection) -> Result<u32, Errno> {
        let slot = self.free.lowest().ok_or(Errno::EMFILE)?;
        // There are as many connections as descriptors, so one is free.
        let index = self.free_connections.lowest().ok_or(Errno::EMFILE)?;
        self.free_connections.take(index);
        self.connections[index] = Counted { connection, descriptors: 0 };
        self.lead(slot, index);
        Ok(slot as u32)
    }

    /// Where a descriptor leads. EBADF.
    #[inline]
    pub fn get(&self, fd: u64) -> Result<Connection, Errno> {
        self.index(fd).map(|(_, index)| self.connections[index].connection)
    }

    /// A second descriptor, the lowest free one. EBADF, EMFILE.
    pub fn dup(&mut self, fd: u64) -> Result<u32, Errno> {
        let (_, index) = self.index(fd)?;
        let slot = self.free.lowest().ok_or(Errno::EMFILE)?;
        self.lead(slot, index);
        Ok(slot as u32)
    }

    /// Makes `to` a second descriptor beside `fd`. Also returns the connection that this closed, if any.
    /// EBADF: `fd` is not in use, or `to` cannot be a descriptor.
    pub fn dup2(&mut self, fd: u64, to: u64) -> Result<(u32, Option<Connection>), Errno> {
        let (slot, index) = self.index(fd)?;
        if to >= SLOTS as u64 {
            return Err(Errno::EBADF);
        }
        let to = to as usize;
        if slot == to {
            return Ok((to as u32, None));
        }
        let closed = if self.free.has(to) { None } else { self.close(to as u64)? };
        self.lead(to, index);
        Ok((to as u32, closed))
    }

    /// Gives a descriptor back. Returns the connection if this was the last that led there. EBADF.
    pub fn close(&mut self, fd: u64) -> Result<Option<Connection>, Errno> {
        let (slot, index) = self.index(fd)?;
        self.free.give(slot);
        let counted = &mut self.connections[index];
        counted.descriptors -= 1;
        if counted.descriptors > 0 {
            return Ok(None);
        }
        self.free_connections.give(index);
        Ok(Some(counted.connection))
    }

    fn lead(&mut self, slot: usize, index: usize) {
        self.free.take(slot);
        self.leads_to[slot] = index as u16;
        self.connections[index].descriptors += 1;
    }

    /// Slot and connection index of a descriptor in use. EBADF.
    #[inline]
    fn index(&self, fd: u64) -> Result<(usize, usize), Errno> {
        match fd as usize {
            slot if fd < SLOTS as u64 && !self.free.has(slot) => Ok((slot, self.leads_to[slot] as usize)),
            _ => Err(Errno::EBADF),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Connection = Connection { service: 1, badge: 10 };
    const B: Connection = Connection { service: 2, badge: 20 };

    #[test]
    fn the_lowest_number_first() {
        let mut table = Descriptors::new();
        assert_eq!((table.open(A), table.open(B), table.dup(0)), (Ok(0), Ok(1), Ok(2)));
        assert_eq!(table.close(1), Ok(Some(B)));
        assert_eq!(table.dup(2), Ok(1));
        assert_eq!(table.get(1), Ok(A));
    }

    #[test]
    fn the_last_descriptor_closes() {
        let mut table = Descriptors::new();
        table.open(A).unwrap();
        table.open(B).unwrap();
        assert_eq!(table.dup2(0, 1), Ok((1, Some(B))));
        assert_eq!(table.dup2(0, 0), Ok((0, None)));
        assert_eq!(table.dup2(0, 1024), Err(Errno::EBADF));
        assert_eq!(table.dup2(7, 0), Err(Errno::EBADF));
        assert_eq!(table.close(0), Ok(None));
        assert_eq!(table.close(1), Ok(Some(A)));
        assert_eq!(table.close(1), Err(Errno::EBADF));
        assert_eq!(table.get(u64::MAX), Err(Errno::EBADF));
    }

    #[test]
    fn it_can_be_full() {
        let mut table = Descriptors::new();
        for fd in 0..FD_END {
            assert_eq!(table.open(A), Ok(fd));
        }
        assert_eq!(
            (table.open(A), table.dup(3), table.check_room()),
            (Err(Errno::EMFILE), Err(Errno::EMFILE), Err(Errno::EMFILE))
        );
        table.close(1023).unwrap();
        assert_eq!(table.open(B), Ok(1023));
    }
}
