//! Handles that are dropped when they go out of scope.
//!
//! So that a process whose start fails half-way leaves nothing behind.

use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_rt::sys;

/// A slot of init's own table that is given back.
#[derive(Debug)]
pub struct Handle(u32);

impl Handle {
    /// Takes charge of a slot.
    pub const fn new(slot: u32) -> Handle {
        Handle(slot)
    }

    /// The slot.
    pub const fn slot(&self) -> u32 {
        self.0
    }

    /// The slot, of which the caller has charge from now on.
    pub fn give(self) -> u32 {
        core::mem::ManuallyDrop::new(self).0
    }

    /// A connection to `endpoint`. Errors: see [`parley_abi::call::MINT`].
    pub fn mint(endpoint: u32, badge: u64) -> Result<Handle, Errno> {
        sys::mint(endpoint, badge, Rights::CALL).map(Handle)
    }

    /// Copies the handle to slot `to` of `space`. Errors: see [`parley_abi::call::HANDLE_GRANT`].
    pub fn grant(&self, space: &Handle, to: u32, rights: Rights) -> Result<(), Errno> {
        sys::handle_grant(space.0, self.0, to, rights)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // It may be gone already, with the quota that paid for the object.
        let _ = sys::handle_drop(self.0);
    }
}

/// A quota that is destroyed, with everything it paid for, when it goes out of scope.
#[derive(Debug)]
pub struct Quota(Handle);

impl Quota {
    /// A quota of `pages` out of init's own. Errors: see [`parley_abi::call::QUOTA_CREATE`].
    pub fn new(pages: u64) -> Result<Quota, Errno> {
        sys::quota_create(parley_abi::slot::QUOTA, pages).map(|slot| Quota(Handle(slot)))
    }

    /// The handle.
    pub const fn handle(&self) -> &Handle {
        &self.0
    }

    /// The slot, of which, and of the quota, the caller has charge from now on.
    pub fn give(self) -> u32 {
        core::mem::ManuallyDrop::new(self).0.0
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // SAFETY: it paid for objects of another process only, none of which init has mapped.
        let _ = unsafe { sys::quota_destroy(self.0.0) };
    }
}
