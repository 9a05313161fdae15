//! The page that the threads of a cell and the parent share: how many steps are done.
//!
//! It lies where no random address ever points, so that the count stays true.

use core::sync::atomic::{AtomicU64, Ordering};

/// Where the page is in a cell.
pub const AT: u64 = 0x31_0000_0000;

/// The page, from the inside of a cell.
#[derive(Debug)]
#[repr(C)]
pub struct Page {
    /// Steps begun.
    pub begun: AtomicU64,
    /// Steps to do.
    pub limit: AtomicU64,
}

/// The page of this cell. Call it in a cell only.
pub fn page() -> &'static Page {
    let page = core::ptr::with_exposed_provenance::<Page>(AT as usize);
    // SAFETY: the parent maps the page in each cell for as long as threads run there, and two atomics may
    // hold any bits. A cell that unmaps it ends by a fault.
    unsafe { &*page }
}

impl Page {
    /// Counts a step. Returns whether it is still to be done.
    pub fn begin(&self) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed) < self.limit.load(Ordering::Relaxed)
    }
}
