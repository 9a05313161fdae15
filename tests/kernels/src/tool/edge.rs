//! Two pages with nothing behind them: buffers that reach the end of a mapping, and cross it.

use parley_abi::call::prot;
use parley_abi::{Errno, PAGE, slot};
use parley_rt::sys;

use super::scope::Scope;

/// Where the pages are; the address space is empty for gigabytes on both sides.
const AT: u64 = 0x32_0000_0000;
const PAGES: u64 = 2;

/// How the pages are mapped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading and writing.
    ReadWrite,
    /// For reading only.
    ReadOnly,
}

/// The pages. Dropping them unmaps them.
pub struct Edge {
    mem: u32,
    _scope: Scope,
}

impl Edge {
    /// Maps them, filled with `byte`.
    pub fn new(access: Access, byte: u8) -> Result<Edge, Errno> {
        let scope = Scope::of(16)?;
        let mem = scope.mem(PAGES)?;
        for page in 0..PAGES {
            sys::mem_write(mem, page * PAGE as u64, &[byte; PAGE])?;
        }
        let protection = if access == Access::ReadWrite { prot::READ | prot::WRITE } else { prot::READ };
        sys::map(slot::SPACE, mem, AT, 0, PAGES, protection)?;
        Ok(Edge { mem, _scope: scope })
    }

    /// The address `bytes` before the end of the mapping.
    pub fn before_end(&self, bytes: u64) -> u64 {
        AT + PAGES * PAGE as u64 - bytes
    }

    /// What lies in the last `N` bytes.
    pub fn last<const N: usize>(&self) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        sys::mem_read(self.mem, PAGES * PAGE as u64 - N as u64, &mut bytes)?;
        Ok(bytes)
    }

    /// Changes the last bytes.
    pub fn set_last(&self, bytes: &[u8]) -> Result<(), Errno> {
        sys::mem_write(self.mem, PAGES * PAGE as u64 - bytes.len() as u64, bytes)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // SAFETY: only the kernel was given these addresses. If the mapping is gone, so much the better.
        let _ = unsafe { sys::unmap(slot::SPACE, AT, PAGES) };
    }
}
