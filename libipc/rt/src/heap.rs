//! The heap: grows by memory objects that the process's quota pays for.
//!
//! `talc` divides what is there; when that is used up, [`Grow`] maps more behind it. Exhaustion is a null
//! pointer, so `try_reserve` reports it and nothing is lost.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use parley_abi::call::prot;
use parley_abi::{PAGE, slot};
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;

use crate::sys;

/// Where the heap begins.
const HEAP_AT: u64 = 0x10_0000_0000;
/// Where it must end.
const HEAP_END: u64 = 0x20_0000_0000;
/// Pages it grows by at least: few enough for a small process, many enough to keep growing rare.
const STEP: u64 = 16;

/// The global allocator of a process.
pub struct Heap(TalcLock<spin::Mutex<()>, Grow>);

impl Heap {
    /// An empty heap.
    pub const fn new() -> Heap {
        Heap(TalcLock::new(Grow { end: None, next: HEAP_AT }))
    }
}

impl Default for Heap {
    fn default() -> Self {
        Heap::new()
    }
}

// SAFETY: every call is handed to `TalcLock`, which is a correct allocator.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(at, layout, size) }
    }
}

/// Maps more memory behind the heap.
#[derive(Debug)]
struct Grow {
    /// What `talc` calls the end of the heap, once there is one.
    end: Option<NonNull<u8>>,
    /// First address that is not mapped yet.
    next: u64,
}

// SAFETY: the pointer is an address that only the lock's holder uses.
unsafe impl Send for Grow {}

// SAFETY: it uses no allocator.
unsafe impl talc::source::Source for Grow {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let (from, to) = map_more(talc.source.next, pages_for(layout)).ok_or(())?;
        talc.source.next = to;
        let bytes = ptr::with_exposed_provenance_mut::<u8>(from as usize);
        let length = (to - from) as usize;
        talc.source.end = match talc.source.end {
            // SAFETY: the new pages follow the heap, are mapped writable, and nobody else knows them.
            Some(end) => Some(unsafe { talc.extend(end, bytes.add(length)) }),
            // SAFETY: as above; it is the first heap.
            None => unsafe { talc.claim(bytes, length) },
        };
        talc.source.end.map(drop).ok_or(())
    }
}

/// Pages that surely hold an allocation, its bookkeeping included.
fn pages_for(layout: Layout) -> u64 {
    let bytes = layout.size().saturating_add(layout.align()).saturating_add(PAGE);
    (bytes.div_ceil(PAGE) as u64).max(STEP)
}

/// Maps at least `pages` at `at`; returns where the new memory begins and ends.
fn map_more(at: u64, pages: u64) -> Option<(u64, u64)> {
    let bytes = pages.checked_mul(PAGE as u64)?;
    let end = at.checked_add(bytes).filter(|&end| end <= HEAP_END)?;
    let mem = sys::mem_create(slot::QUOTA, pages).ok()?;
    let mapped = sys::map(slot::SPACE, mem, at, 0, pages, prot::READ | prot::WRITE);
    // The mapping keeps the memory; the handle has done its work.
    let _ = sys::handle_drop(mem);
    mapped.ok().map(|()| (at, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_covers_the_allocation() {
        let layout = Layout::from_size_align(1_000_000, 65_536).unwrap();
        assert!(pages_for(layout) * PAGE as u64 >= 1_000_000 + 65_536 + 1024);
        assert_eq!(pages_for(Layout::new::<u8>()), STEP);
    }

    #[test]
    fn sizes_beyond_reason_are_refused() {
        assert_eq!(map_more(HEAP_AT, u64::MAX), None);
        assert_eq!(map_more(HEAP_END - 4096, 2), None);
    }
}
