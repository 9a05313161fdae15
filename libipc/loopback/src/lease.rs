//! Leases: the buffers of a message, found by its row of the call table.

use parley_abi::Errno;
use parley_abi::msg::Words;
use parley_abi::row::{LEASES, LeaseRow, Row, Shape};

use crate::Memory;

/// One buffer that a request lends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lease {
    shape: Shape,
    address: u64,
    len: u64,
}

/// The buffers of a message.
pub type Leases = [Lease; LEASES];

/// What the words of a message lend by its row.
#[inline]
pub fn of_message(row: &Row, words: &Words) -> Leases {
    row.leases.map(|lease| Lease::new(lease, words))
}

/// The buffer that the server may write, if there is one.
#[inline]
pub fn writable(leases: &Leases) -> Option<&Lease> {
    leases.iter().find(|lease| matches!(lease.shape, Shape::Write | Shape::WriteFixed))
}

impl Lease {
    #[inline]
    fn new(row: LeaseRow, words: &Words) -> Lease {
        let word = |index: u8| words.get(index as usize).copied().unwrap_or(0);
        let len = match row.shape {
            Shape::None => return Lease::default(),
            Shape::Read | Shape::Write => word(row.word + 1),
            Shape::ReadFixed | Shape::WriteFixed | Shape::Text => row.size as u64,
        };
        Lease { shape: row.shape, address: word(row.word), len }
    }

    /// Bytes it has from `offset` on, at most `wanted`, and their address. EFAULT: no address is so high.
    fn part(&self, offset: u64, wanted: usize) -> Result<(u64, usize), Errno> {
        let len = self.len.saturating_sub(offset).min(wanted as u64) as usize;
        if len == 0 {
            return Ok((0, 0));
        }
        let address = self.address.checked_add(offset).ok_or(Errno::EFAULT)?;
        address.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        Ok((address, len))
    }

    /// As [`Host::copy_in`](parley_proto::Host::copy_in), with the same errors but ESTALE.
    #[inline]
    pub fn copy_in(&self, memory: &mut impl Memory, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        if !matches!(self.shape, Shape::Read | Shape::ReadFixed | Shape::Text) {
            return Err(Errno::EACCES);
        }
        let (address, len) = self.part(offset, into.len())?;
        match len {
            0 => Ok(0),
            _ if self.shape == Shape::Text => memory.read_text(address, &mut into[..len]),
            _ => memory.read(address, &mut into[..len]).map(|()| len),
        }
    }

    /// As [`Host::copy_out`](parley_proto::Host::copy_out), with the same errors but ESTALE.
    #[inline]
    pub fn copy_out(&self, memory: &mut impl Memory, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        if !matches!(self.shape, Shape::Write | Shape::WriteFixed) {
            return Err(Errno::EACCES);
        }
        let (address, len) = self.part(offset, from.len())?;
        if len > 0 {
            memory.write(address, &from[..len])?;
        }
        Ok(len)
    }
}
