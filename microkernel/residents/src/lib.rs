//! What the hybrid and the monolithic image share: a heap, and a home for services in ring 0.
//!
//! The core itself never allocates. The heap is a part of memory that boot sets aside for the resident
//! services, so that they can use it up without hurting anybody but themselves: they reserve before they
//! push, and exhaustion is ENOMEM.
#![no_std]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;

use spin::{Mutex, MutexGuard, Once};
use talc::TalcLock;
use talc::source::Manual;

/// The heap of the resident services.
pub struct Heap(TalcLock<Mutex<()>, Manual>);

impl Heap {
    /// A heap without memory.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Heap {
        Heap(TalcLock::new(Manual))
    }

    /// Gives the heap its memory.
    pub fn provide(&self, memory: &'static mut [MaybeUninit<u8>]) {
        // SAFETY: the memory is this heap's alone and for ever, by its type.
        unsafe { self.0.lock().claim(memory.as_mut_ptr().cast(), memory.len()) };
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

/// A static place for one service.
pub struct Home<S>(Once<Mutex<S>>);

impl<S> Home<S> {
    /// A place that is empty.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Home<S> {
        Home(Once::new())
    }
}

impl<S: Send> Home<S> {
    /// Lets the service live here for ever. A second one would wait for ever: there is one service a home.
    pub fn settle(&'static self, make: impl FnOnce() -> S) -> &'static mut S {
        MutexGuard::leak(self.0.call_once(|| Mutex::new(make())).lock())
    }
}
