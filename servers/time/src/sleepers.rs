//! Who sleeps until when: a heap, earliest first, then first come.
//!
//! Adding and waking cost the logarithm of the number of sleepers. Taking out one in the middle, which
//! only an interrupted sleep does, looks at all of them.

use alloc::collections::BinaryHeap;
use core::cmp::{Ordering, Reverse};

use parley_abi::Errno;
use parley_abi::msg::Token;

/// A request to be answered later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sleeper {
    /// Nanoseconds since boot.
    pub wake: u64,
    /// Counts arrivals: who came first wakes first.
    pub order: u64,
    /// Names the request.
    pub token: Token,
    /// The lease that takes what remained of an interrupted sleep, if the caller wants to know.
    pub left: Option<u8>,
    /// The number of its record, where it outlives the process.
    pub record: usize,
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.wake, self.order).cmp(&(other.wake, other.order))
    }
}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The sleepers.
pub struct Sleepers {
    /// The standard heap keeps the greatest on top, so the order is turned round.
    heap: BinaryHeap<Reverse<Sleeper>>,
    arrivals: u64,
}

impl Sleepers {
    /// Nobody.
    pub const fn new() -> Sleepers {
        Sleepers { heap: BinaryHeap::new(), arrivals: 0 }
    }

    /// Makes room for one more. ENOMEM.
    pub fn reserve(&mut self) -> Result<(), Errno> {
        self.heap.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    /// The order of the next to come.
    pub fn next_order(&self) -> u64 {
        self.arrivals
    }

    /// Adds one; there is room, after [`Sleepers::reserve`].
    pub fn add(&mut self, sleeper: Sleeper) {
        self.arrivals = self.arrivals.max(sleeper.order + 1);
        self.heap.push(Reverse(sleeper));
    }

    /// All of them, in any order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Sleeper> {
        self.heap.iter().map(|sleeper| &sleeper.0)
    }

    /// When the next one is due.
    pub fn earliest(&self) -> Option<u64> {
        self.heap.peek().map(|sleeper| sleeper.0.wake)
    }

    /// Takes the next one out, if it is due at `now`.
    pub fn pop_due(&mut self, now: u64) -> Option<Sleeper> {
        if self.earliest()? > now {
            return None;
        }
        self.heap.pop().map(|sleeper| sleeper.0)
    }

    /// Takes out the request `token`, if it sleeps.
    pub fn remove(&mut self, token: Token) -> Option<Sleeper> {
        let found = self.heap.iter().find(|sleeper| sleeper.0.token == token)?.0;
        self.heap.retain(|sleeper| sleeper.0.token != token);
        Some(found)
    }

    /// How many sleep.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nobody sleeps.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl Default for Sleepers {
    fn default() -> Self {
        Sleepers::new()
    }
}
