//! A stretch of the core's address space that grows a page at a time.
//!
//! A table that lives in a window is one array: an index becomes an address by one multiplication, and
//! growing never moves anything. The windows lie in the last GiB, so that the address of a table fits
//! into an instruction; the top-level page-table entry there is the image's, which every address space
//! shares, so a page that is added is there in all of them.

use parley_abi::PAGE;

use super::frames::{Frames, Phys};
use crate::arch::paging;

/// Bytes of address space a window has.
pub const WINDOW: u64 = 64 << 20;

unsafe extern "C" {
    /// Where the windows begin: a symbol of the linker script.
    static __windows: core::cell::UnsafeCell<u8>;
}

/// Where window number `index` begins.
#[inline(always)]
pub fn start(index: u64) -> *mut u8 {
    // SAFETY: only the symbol's address is used.
    unsafe { __windows.get().add((index * WINDOW) as usize) }
}

/// One window.
pub struct Window {
    base: *mut u8,
    root: Phys,
    pages: usize,
    limit: usize,
}

impl Window {
    /// Window number `index`, in the address space with page-table root `root`, at most `limit` pages.
    #[inline(never)]
    pub fn new(index: u64, root: Phys, limit: usize) -> Window {
        assert!(limit * PAGE <= WINDOW as usize, "a window is too small for its table");
        #[cfg(not(test))]
        let base = start(index);
        #[cfg(test)]
        let base = tests::memory(index, limit);
        Window { base, root, pages: 0, limit }
    }

    /// Start of the window.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// Bytes that are there.
    pub fn bytes(&self) -> usize {
        self.pages * PAGE
    }

    /// Adds a page of zeros. `None`: no frame, or the window is full.
    pub fn grow(&mut self, frames: &mut Frames) -> Option<()> {
        if self.pages == self.limit {
            return None;
        }
        let page = frames.take_zeroed()?;
        if cfg!(not(test)) {
            let address = self.base.addr() as u64 + self.bytes() as u64;
            let mapped = paging::map(self.root, address, page, paging::KERNEL_DATA, &mut || frames.take_zeroed());
            if mapped.is_err() {
                frames.put(page);
                return None;
            }
        }
        self.pages += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the windows are in tests: nowhere, each has [memory](memory) of its own.
    #[unsafe(no_mangle)]
    static __windows: u8 = 0;

    /// Memory for any window, aligned for objects: the allocator gives so little aligned memory without touching it.
    pub fn memory(_: u64, limit: usize) -> *mut u8 {
        let layout = std::alloc::Layout::from_size_align(limit * PAGE, 16).expect("a window has pages");
        // SAFETY: the size is not zero.
        unsafe { std::alloc::alloc_zeroed(layout) }
    }
}
