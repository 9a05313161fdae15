//! The inside of a cell: a thread that makes random steps until the cell has made enough.
//!
//! Most arguments are plausible: handles come from one small range of slots into which all new handles go
//! too, so that objects of every kind are made, used, waited for and destroyed in any order, by several
//! threads at a time. Mostly a step looks for a handle of the kind that it needs. The rest is garbage.

mod garbage;
mod harm;
mod messages;
mod objects;
pub mod paths;
mod posix;

use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call::kind;
use parley_abi::msg::POLL;
use parley_abi::slot;
use parley_rt::sys;

use crate::cell::DONE;
use crate::progress;
use crate::random::Random;

/// Slots that steps choose from, and into which the core puts new handles: from [`slot::FREE`] on.
const SLOTS: u64 = 32;
/// Slots that a step looks at for a handle of the right kind.
const TRIES: u32 = 8;
/// Pages of a cell that steps map and unmap.
const PAGES_AT: u64 = 0x50_0000;
/// How far ahead deadlines lie, in nanoseconds.
const SOON: u64 = 300_000;

/// Words of [`BUFFER`].
const WORDS: usize = 1024;
/// Memory that calls read and write. Any bits will do.
static BUFFER: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// Where a thread of a cell begins.
pub extern "C" fn begin(seed: u64) -> ! {
    let page = progress::page();
    let mut fuzzer = Fuzzer { random: Random::new(seed), requests: [Request::default(); 4], fresh: 0 };
    while page.begin() {
        fuzzer.step();
    }
    // If the handle is gone, the parent sees by the count that the block is done.
    let _ = sys::notify(DONE, 1);
    sys::thread_exit()
}

/// A thread's choices.
pub struct Fuzzer {
    random: Random,
    /// Requests that it received, and has answered or not.
    requests: [Request; 4],
    /// Steps that it still gives to the latest before it does something else.
    fresh: u32,
}

/// A request, and where it came in.
#[derive(Clone, Copy, Default)]
struct Request {
    endpoint: u64,
    token: u64,
}

impl Fuzzer {
    fn step(&mut self) {
        if self.fresh > 0 {
            self.fresh -= 1;
            return self.serve();
        }
        match self.random.below(128) {
            0..52 => self.message(),
            52..68 => self.handle(),
            68..84 => self.memory(),
            84..96 => self.thread(),
            96..114 => self.posix(),
            114..125 => self.garbage(),
            125 | 126 => self.registers(),
            _ => self.harm(),
        }
    }

    /// A slot of the common range.
    fn slot(&mut self) -> u64 {
        u64::from(slot::FREE) + self.random.below(SLOTS)
    }

    /// A slot with a handle of `kind`, if one is found soon.
    fn of_kind(&mut self, kind: u8) -> u64 {
        for _ in 0..TRIES {
            let slot = self.slot();
            if sys::handle_info(slot as u32).is_ok_and(|(found, ..)| found == kind) {
                return slot;
            }
        }
        self.slot()
    }

    /// As [`Fuzzer::of_kind`], and now and then any slot at all.
    fn mostly(&mut self, kind: u8) -> u64 {
        if self.random.below(16) == 0 { self.slot() } else { self.of_kind(kind) }
    }

    /// A quota to pay with: mostly the cell's.
    fn quota(&mut self) -> u64 {
        if self.random.below(4) == 0 { self.mostly(kind::QUOTA) } else { u64::from(slot::QUOTA) }
    }

    /// An address space: the own, the neighbour's, or one that was made.
    fn space(&mut self) -> u64 {
        if self.random.below(3) == 0 { u64::from(slot::SPACE) } else { self.mostly(kind::SPACE) }
    }

    /// Where the buffer is.
    fn buffer(&mut self) -> u64 {
        BUFFER.as_ptr().expose_provenance() as u64 + self.random.below(64)
    }

    /// Bytes of a buffer: few, or more than there are.
    fn length(&mut self) -> u64 {
        match self.random.below(8) {
            0 => self.random.below(1 << 20),
            1 => self.random.next(),
            2 => 0,
            3 => 1,
            _ => self.random.below((WORDS * 8) as u64),
        }
    }

    /// A deadline that has passed, one that will soon, or now and then none at all.
    fn deadline(&mut self) -> u64 {
        match self.random.below(64) {
            0 => 0,
            1..16 => POLL,
            _ => sys::clock() + self.random.below(SOON),
        }
    }

    /// Makes core call `number`, with flags and label in the upper bits of it.
    fn call(&mut self, number: u64, rdi: u64, words: [u64; 6], token: u64, deadline: u64) -> sys::Registers {
        BUFFER[self.random.below(WORDS as u64) as usize].store(self.random.next(), Ordering::Relaxed);
        // SAFETY: none of Rust's kind: what this thread destroys is the cell, which was made for it.
        unsafe { sys::raw(number, rdi, words, token, deadline) }
    }
}
