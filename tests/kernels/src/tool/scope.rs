//! A quota of its own for a test: whatever is built on it is gone when the test ends.

use alloc::vec::Vec;
use core::cell::RefCell;
use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_abi::slot;
use parley_rt::sys;

/// Pages that are enough for an address space with page tables and a few threads.
pub const PAGES: u64 = 256;

/// A quota, and the handles to what it paid for.
pub struct Scope {
    quota: u32,
    handles: RefCell<Vec<u32>>,
}

impl Scope {
    /// A quota of [`PAGES`].
    pub fn new() -> Result<Scope, Errno> {
        Scope::of(PAGES)
    }

    /// A quota of `pages`.
    pub fn of(pages: u64) -> Result<Scope, Errno> {
        let quota = sys::quota_create(slot::QUOTA, pages)?;
        Ok(Scope { quota, handles: RefCell::default() })
    }

    /// Handle of the quota.
    pub fn quota(&self) -> u32 {
        self.quota
    }

    /// Drops `handle` with the scope.
    pub fn keep(&self, handle: Result<u32, Errno>) -> Result<u32, Errno> {
        self.handles.borrow_mut().push(handle?);
        handle
    }

    /// A new endpoint.
    pub fn endpoint(&self) -> Result<u32, Errno> {
        self.keep(sys::endpoint_create(self.quota))
    }

    /// A connection to `endpoint` that can call and notify.
    pub fn connection(&self, endpoint: u32, badge: u64) -> Result<u32, Errno> {
        self.keep(sys::mint(endpoint, badge, Rights::CALL | Rights::NOTIFY))
    }

    /// A memory object.
    pub fn mem(&self, pages: u64) -> Result<u32, Errno> {
        self.keep(sys::mem_create(self.quota, pages))
    }

    /// Destroys the quota at once; the handles stay until the scope goes.
    pub fn destroy(&self) -> Result<(), Errno> {
        // SAFETY: tests take care that no thread of theirs uses memory that the scope paid for.
        unsafe { sys::quota_destroy(self.quota) }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Destroyed before, or a handle that a test dropped itself: both are what is wanted.
        let _ = self.destroy();
        for &handle in self.handles.get_mut().iter().chain([&self.quota]) {
            let _ = sys::handle_drop(handle);
        }
    }
}
