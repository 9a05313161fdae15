//! Services in ring 0: what the hybrid and the monolithic image have and the core does not know.
//!
//! A service is the same library that elsewhere runs in ring 3. Here it has a [`Home`] in static memory, a [`Seat`]
//! that is the world around it, made of the core itself ([`seat`]), and functions through which the core asks it
//! ([`functions`]). The core never allocates; the [`Heap`] is a part of memory that boot sets aside for the services,
//! so that they can use it up without hurting anybody but themselves: they reserve before they push, and
//! exhaustion is ENOMEM.
#![no_std]

mod entry;
mod functions;
mod places;
mod rows;
mod seat;

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;

use parley_seam::Service;
use spin::{Mutex, MutexGuard, Once};
use talc::TalcLock;
use talc::source::Manual;

use rows::Rows;

pub use places::{Linked, Placement, settle};
pub use seat::Seat;

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

/// A static place for one service, and for the list of its functions.
pub struct Home<S> {
    service: Once<Mutex<S>>,
    rows: Once<Rows>,
}

impl<S> Home<S> {
    /// A place that is empty.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Home<S> {
        Home { service: Once::new(), rows: Once::new() }
    }
}

impl<S: Service + Send> Home<S> {
    /// Lets the service be here for ever, as service `number`; `irqs` are global interrupt lines and the notification
    /// bits that they become. A second one would wait for ever: there is one service a home.
    pub fn prepare(&'static self, number: u8, irqs: &'static [(u32, u64)], make: impl FnOnce() -> S) -> Placement {
        let service: &'static mut S = MutexGuard::leak(self.service.call_once(|| Mutex::new(make())).lock());
        let rows = self.rows.call_once(|| functions::rows(service, number));
        Placement { number, ops: functions::ops::<S>(), rows, irqs }
    }
}
