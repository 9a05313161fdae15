//! A thread of a few instructions in an address space of its own, for measurements and tests.
//!
//! It has one page of code, an endpoint in [`slot::ENDPOINT`], and nothing of a program's run time.

use parley_abi::Errno;
use parley_abi::call::{Rights, prot};
use parley_abi::slot;
use parley_rt::sys::{self, NewThread};

/// Where its page lies in its address space.
const CODE_AT: u64 = 0x40_0000;
/// Pages it may use: its address space with page tables and handle table, a thread, an endpoint.
const PAGES: u64 = 256;

/// One that runs. Dropping it destroys it.
pub struct Isolated {
    quota: u32,
    handles: [u32; 4],
}

/// What it has while it is prepared.
pub struct Prepared {
    /// Slot of its address space.
    pub space: u32,
    /// Slot of its endpoint.
    pub endpoint: u32,
}

impl Isolated {
    /// Starts `code` at `priority`, paid by this process, after `prepare` has had its way.
    ///
    /// ENOMEM: the quota is used up. EPERM: the priority is higher than the caller's. Errors of `prepare`.
    pub fn start(
        code: &[u8],
        priority: u8,
        prepare: impl FnOnce(&Prepared) -> Result<(), Errno>,
    ) -> Result<Isolated, Errno> {
        let mut isolated = Isolated { quota: sys::quota_create(slot::QUOTA, PAGES)?, handles: [0; 4] };
        isolated.build(code, priority, prepare)?;
        Ok(isolated)
    }

    fn build(
        &mut self,
        code: &[u8],
        priority: u8,
        prepare: impl FnOnce(&Prepared) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let endpoint = self.keep(0, sys::endpoint_create(self.quota))?;
        let space = self.keep(1, sys::space_create(self.quota))?;
        let page = self.keep(2, sys::mem_create(self.quota, 1))?;
        sys::mem_write(page, 0, code)?;
        sys::map(space, page, CODE_AT, 0, 1, prot::READ | prot::EXECUTE)?;
        sys::handle_grant(space, endpoint, slot::ENDPOINT, Rights::RECEIVE)?;
        prepare(&Prepared { space, endpoint })?;
        let new = NewThread { entry: CODE_AT, stack: 0, argument: 0, priority };
        // SAFETY: the thread runs in an address space that holds nothing of Rust's.
        let thread = self.keep(3, unsafe { sys::thread_create(space, self.quota, new) })?;
        sys::thread_start(thread)
    }

    fn keep(&mut self, index: usize, handle: Result<u32, Errno>) -> Result<u32, Errno> {
        self.handles[index] = handle?;
        handle
    }

    /// Slot of its endpoint.
    pub fn endpoint(&self) -> u32 {
        self.handles[0]
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        // SAFETY: all that the quota paid for is another address space's.
        // A quota that cannot be destroyed is gone already; so is a handle.
        let _ = unsafe { sys::quota_destroy(self.quota) };
        for handle in self.handles.into_iter().chain([self.quota]).filter(|&handle| handle != 0) {
            let _ = sys::handle_drop(handle);
        }
    }
}
