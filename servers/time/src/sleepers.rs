//! Who sleeps until when: a heap, earliest first, then first come.
//!
//! Adding and waking cost the logarithm of the number of sleepers. Taking out one in the middle, which
//! only an interrupted sleep does, looks at all of them.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
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

    /// Adds the request `token`, to be woken at `wake`. ENOMEM: no room, and nothing has changed.
    pub fn add(&mut self, wake: u64, token: Token, left: Option<u8>) -> Result<(), Errno> {
        self.heap.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.heap.push(Reverse(Sleeper { wake, order: self.arrivals, token, left }));
        self.arrivals += 1;
        Ok(())
    }

    /// All of them, in any order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Sleeper> {
        self.heap.iter().map(|sleeper| &sleeper.0)
    }

    /// Arrivals so far.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    /// Those that were there when so many had arrived.
    pub fn restore(sleepers: Vec<Sleeper>, arrivals: u64) -> Sleepers {
        Sleepers { heap: sleepers.into_iter().map(Reverse).collect(), arrivals }
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
