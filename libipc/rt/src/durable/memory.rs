//! The memory object that outlives the process, mapped.

use core::sync::atomic::{AtomicBool, Ordering};
use core::{ptr, slice};

use parley_abi::call::prot;
use parley_abi::{PAGE, slot};

use crate::args::{Args, auxv};
use crate::sys;

/// Where it is mapped.
const STATE_AT: u64 = 0x38_0000_0000;

/// Its first pages, for the store. `None`: init granted fewer, or they cannot be mapped, or it is the second time.
pub(super) fn store(pages: usize) -> Option<&'static mut [u8]> {
    static GIVEN: AtomicBool = AtomicBool::new(false);
    if granted() < pages as u64 || GIVEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    sys::map(slot::SPACE, slot::STATE, STATE_AT, 0, pages as u64, prot::READ | prot::WRITE).ok()?;
    let bytes = ptr::with_exposed_provenance_mut::<u8>(STATE_AT as usize);
    // SAFETY: 1. the pages were just mapped, readable and writable, where nothing was mapped before, and nothing
    // unmaps them; 2. they are given out once: `GIVEN` was false; 3. any bytes are bytes; 4. no other process maps the
    // object while this one runs: its predecessor is gone.
    Some(unsafe { slice::from_raw_parts_mut(bytes, pages * PAGE) })
}

fn granted() -> u64 {
    Args::of_process().and_then(|args| args.auxiliary(auxv::PARLEY_STATE_PAGES)).unwrap_or(0)
}
