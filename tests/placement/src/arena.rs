//! The client's memory: an array, whose addresses fault where there is nothing.

use parley_abi::Errno;
use parley_loopback::Memory;
use std::sync::{Arc, Mutex, PoisonError};

/// Address of the first byte.
pub const BASE: u64 = 0x10000;
/// Bytes it has.
pub const SIZE: usize = 0x10000;

/// Memory from [`BASE`] on; clones are the same memory.
#[derive(Clone)]
pub struct Arena(Arc<Mutex<Vec<u8>>>);

impl Arena {
    /// Memory with these bytes at its start.
    pub fn new(image: &[u8]) -> Arena {
        let mut bytes = image.to_vec();
        bytes.resize(SIZE, 0);
        Arena(Arc::new(Mutex::new(bytes)))
    }

    /// All bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        self.with(|bytes| bytes.clone())
    }

    /// `len` bytes at an address; none if they are not there.
    pub fn get(&self, address: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.clone().read(address, &mut bytes).map_or(Vec::new(), |()| bytes)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Index of `len` bytes at an address. EFAULT: not all are there.
fn range(address: u64, len: usize) -> Result<std::ops::Range<usize>, Errno> {
    let start = address.checked_sub(BASE).ok_or(Errno::EFAULT)? as usize;
    let end = start.checked_add(len).filter(|&end| end <= SIZE).ok_or(Errno::EFAULT)?;
    Ok(start..end)
}

impl Memory for Arena {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let range = range(address, into.len())?;
        self.with(|bytes| into.copy_from_slice(&bytes[range]));
        Ok(())
    }

    fn read_text(&mut self, address: u64, into: &mut [u8]) -> Result<usize, Errno> {
        for index in 0..into.len() {
            self.read(address.saturating_add(index as u64), &mut into[index..index + 1])?;
            if into[index] == 0 {
                return Ok(index + 1);
            }
        }
        Ok(into.len())
    }

    fn write(&mut self, address: u64, from: &[u8]) -> Result<(), Errno> {
        let range = range(address, from.len())?;
        self.with(|bytes| bytes[range].copy_from_slice(from));
        Ok(())
    }
}
