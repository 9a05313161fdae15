//! The vfs as it would be if it did not outlive its process: for measuring what that costs it.
//!
//! Its memory has the form that the other's has, so that pages are found alike; but it is of the heap, and no event is ever
//! finished.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec;
use parley_rt::durable::{Lasting, WORDS_IN_PAGE, Word};

/// Pages of it: for what a benchmark writes.
const PAGES: usize = 64;

fn memory() -> Lasting {
    // One more, so that they can begin where pages of the machine do: a file's page is then copied at once.
    let words = vec![Word::default(); (PAGES + 1) * WORDS_IN_PAGE].leak();
    let skipped = words.as_ptr().align_offset(parley_abi::PAGE);
    Lasting::new(&mut words[skipped..][..PAGES * WORDS_IN_PAGE])
}

parley_rt::server!(server_vfs::Vfs::over(memory(), parley_rt::archive()));
parley_rt::wants!(ARCHIVE);
