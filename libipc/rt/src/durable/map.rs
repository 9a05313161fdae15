//! The memory object that outlives the process, mapped.

use core::sync::atomic::{AtomicBool, Ordering};
use core::{ptr, slice};

use parley_abi::call::prot;
use parley_abi::slot;

use super::lasting::Lasting;
use super::memory::{WORDS_IN_PAGE, Word};
use crate::args::{Args, auxv};
use crate::sys;

/// Where it is mapped.
const STATE_AT: u64 = 0x38_0000_0000;

impl Lasting {
    /// The memory that init gives the process, as the instance before left it.
    ///
    /// Panics if the manifest gives none, or the second time: a server that has nowhere to keep its state must not seem to.
    pub fn of_process() -> Lasting {
        static GIVEN: AtomicBool = AtomicBool::new(false);
        let pages = Args::of_process().and_then(|args| args.auxiliary(auxv::PARLEY_STATE_PAGES)).unwrap_or(0);
        assert!(pages > 0, "init gives this process no memory for a state: see `state` in init's manifest");
        assert!(!GIVEN.swap(true, Ordering::Relaxed), "the memory for the state is given out once");
        if let Err(errno) = sys::map(slot::SPACE, slot::STATE, STATE_AT, 0, pages, prot::READ | prot::WRITE) {
            panic!("cannot map the memory for the state: {errno}");
        }
        let words = ptr::with_exposed_provenance_mut::<Word>(STATE_AT as usize);
        // SAFETY: 1. the pages were just mapped, readable and writable, where nothing was mapped before, and nothing
        // unmaps them; 2. they are given out once: `GIVEN` was false; 3. any bytes are words; 4. no other process maps
        // the object while this one runs: its predecessor is gone.
        Lasting::new(unsafe { slice::from_raw_parts_mut(words, pages as usize * WORDS_IN_PAGE) })
    }
}
