//! Who runs next: fixed priorities, and turns among equals.
//!
//! The running thread is in no queue, and neither is one that waits for an answer. So a call that
//! switches straight to the server, and the reply that switches back, touch no queue at all.

use core::mem::offset_of;

use crate::mem::slab::{Ref, Slab};
use crate::object::thread::Thread;

/// Priorities, 0 to 31; 31 is the most urgent.
pub const PRIORITIES: usize = 32;
/// A thread that was given this priority, the highest, keeps it while it serves somebody less urgent: the supervisor's
/// work is never kept waiting by whom it supervises. Nobody who was given less can give it.
pub const SUPERVISOR: u8 = PRIORITIES as u8 - 1;
/// How long a thread runs while few others of its priority wait, in nanoseconds.
pub const LONGEST_SLICE: u64 = 5_000_000;
/// The same where many wait.
const SHORTEST_SLICE: u64 = 20_000;
/// In this time each of many gets its turn, as long as their slices are not the shortest, in nanoseconds.
const ROUND: u64 = 20_000_000;

/// A doubly linked list of threads, through their blocks. A thread is in at most one.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct Queue {
    first: Ref<Thread>,
    last: Ref<Thread>,
}

impl Queue {
    /// Whether nobody is in it.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.first == Ref::NONE
    }

    /// The thread that [`Queue::pop`] takes out next, or [`Ref::NONE`].
    pub fn first(&self) -> Ref<Thread> {
        self.first
    }

    /// Adds a thread at the end.
    pub fn push(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        threads[at].next = Ref::NONE;
        threads[at].previous = self.last;
        match threads.get_mut(self.last) {
            Some(last) => last.next = at,
            None => self.first = at,
        }
        self.last = at;
    }

    /// Adds a thread at the front.
    pub fn push_front(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        threads[at].previous = Ref::NONE;
        threads[at].next = self.first;
        match threads.get_mut(self.first) {
            Some(first) => first.previous = at,
            None => self.last = at,
        }
        self.first = at;
    }

    /// Adds a thread behind those that are as urgent, and before those that are less.
    pub fn push_by_priority(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        let priority = threads[at].priority;
        let is_less = |thread: &Thread| thread.priority < priority;
        if threads.get(self.first).is_some_and(is_less) {
            return self.push_front(threads, at);
        }
        let mut before = self.last;
        while let Some(thread) = threads.get(before)
            && is_less(thread)
        {
            before = thread.previous;
        }
        let after = threads.get(before).map_or(Ref::NONE, |before| before.next);
        let thread = &mut threads[at];
        (thread.previous, thread.next) = (before, after);
        match threads.get_mut(before) {
            Some(before) => before.next = at,
            None => self.first = at,
        }
        match threads.get_mut(after) {
            Some(after) => after.previous = at,
            None => self.last = at,
        }
    }

    /// Takes the first thread out.
    #[inline(always)]
    pub fn pop(&mut self, threads: &mut Slab<Thread>) -> Option<Ref<Thread>> {
        let at = self.first;
        let next = threads.get(at)?.next;
        self.first = next;
        match threads.get_mut(next) {
            Some(next) => next.previous = Ref::NONE,
            None => self.last = Ref::NONE,
        }
        Some(at)
    }

    /// Takes a thread out that is in this queue.
    pub fn remove(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        let (previous, next) = (threads[at].previous, threads[at].next);
        match threads.get_mut(previous) {
            Some(previous) => previous.next = next,
            None => self.first = next,
        }
        match threads.get_mut(next) {
            Some(next) => next.previous = previous,
            None => self.last = previous,
        }
    }

    /// How many are in it, if each is the neighbour of its neighbours; for checks.
    pub fn length_if_linked(&self, threads: &Slab<Thread>) -> Option<u32> {
        let (mut length, mut before) = (0, Ref::NONE);
        for at in self.iter(threads) {
            if threads[at].previous != before {
                return None;
            }
            (length, before) = (length + 1, at);
        }
        (self.is_empty() || before == self.last).then_some(length)
    }

    /// The threads in it, in order.
    pub fn iter<'a>(&self, threads: &'a Slab<Thread>) -> impl Iterator<Item = Ref<Thread>> + 'a {
        let mut at = self.first;
        core::iter::from_fn(move || {
            let here = at;
            at = threads.get(here)?.next;
            Some(here)
        })
    }
}

/// The threads that could run, by priority.
#[derive(Default)]
pub struct Ready {
    queues: [Queue; PRIORITIES],
    occupied: u32,
    counts: [u32; PRIORITIES],
}

impl Ready {
    /// Offsets, for the entry code: of the queues, of the bits that say which are occupied, and of how many wait in each.
    pub const QUEUES_AT: usize = offset_of!(Ready, queues);
    /// See [`Ready::QUEUES_AT`].
    pub const OCCUPIED_AT: usize = offset_of!(Ready, occupied);
    /// See [`Ready::QUEUES_AT`].
    pub const COUNTS_AT: usize = offset_of!(Ready, counts);

    /// Lets a thread wait for its turn, behind its equals.
    pub fn push(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, priority: u8) {
        self.queues[priority as usize].push(threads, at);
        self.occupied |= 1 << priority;
        self.counts[priority as usize] += 1;
    }

    /// Lets a thread go on next among its equals: it was interrupted by a more urgent one.
    pub fn push_front(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, priority: u8) {
        self.queues[priority as usize].push_front(threads, at);
        self.occupied |= 1 << priority;
        self.counts[priority as usize] += 1;
    }

    /// Takes a thread out that is waiting at `priority`.
    pub fn remove(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, priority: u8) {
        let queue = &mut self.queues[priority as usize];
        queue.remove(threads, at);
        self.counts[priority as usize] -= 1;
        if queue.is_empty() {
            self.occupied &= !(1 << priority);
        }
    }

    /// Takes out the thread that should run next.
    pub fn pop(&mut self, threads: &mut Slab<Thread>) -> Option<Ref<Thread>> {
        let priority = self.highest()?;
        let queue = &mut self.queues[priority as usize];
        let at = queue.pop(threads);
        self.counts[priority as usize] -= 1;
        if queue.is_empty() {
            self.occupied &= !(1 << priority);
        }
        at
    }

    /// How long a thread of this priority may run before the others have their turn, in nanoseconds: so many threads
    /// as somebody may have made, a round of them does not take for ever.
    pub fn slice(&self, priority: u8) -> u64 {
        (ROUND / (u64::from(self.counts[priority as usize]) + 1)).clamp(SHORTEST_SLICE, LONGEST_SLICE)
    }

    /// The most urgent priority that somebody waits at.
    #[inline(always)]
    pub fn highest(&self) -> Option<u8> {
        self.occupied.checked_ilog2().map(|priority| priority as u8)
    }

    /// Whether somebody more urgent than `priority` waits.
    #[inline(always)]
    pub fn above(&self, priority: u8) -> bool {
        (self.occupied as u64) >> priority > 1
    }

    /// Whether somebody waits at `priority`.
    pub fn occupied_at(&self, priority: u8) -> bool {
        self.occupied & 1 << priority != 0
    }

    /// How many wait at one priority, for checks.
    pub fn count(&self, priority: u8) -> u32 {
        self.counts[priority as usize]
    }

    /// The queue of one priority, for checks.
    pub fn queue(&self, priority: u8) -> &Queue {
        &self.queues[priority as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::Phys;
    use crate::mem::frames::tests::host_frames;
    use std::collections::VecDeque;

    #[test]
    fn above_looks_only_at_higher_priorities() {
        let mut ready = Ready { occupied: 1 << 8, ..Ready::default() };
        assert_eq!(ready.slice(8), LONGEST_SLICE);
        ready.counts[8] = 99;
        assert_eq!((ready.slice(8), ready.slice(7)), (ROUND / 100, LONGEST_SLICE));
        ready.counts[8] = 100_000;
        assert_eq!(ready.slice(8), SHORTEST_SLICE);
        assert!(ready.above(7) && !ready.above(8) && !ready.above(31));
        ready.occupied = 1 << 31;
        assert!(ready.above(30) && !ready.above(31));
        ready.occupied = 0;
        assert!(!ready.above(0));
    }

    proptest::proptest! {
        #[test]
        fn it_runs_whom_a_simple_model_would(steps in proptest::collection::vec((0u8..4, 0usize..16, 0u8..4), 0..if cfg!(miri) { 20 } else { 200 })) {
            let mut frames = host_frames(20);
            let mut threads: Slab<Thread> = Slab::new(Phys(0), 16, &mut frames);
            let all: Vec<_> = (0..16).map(|_| threads.insert(&mut frames, Thread::default()).unwrap()).collect();
            let mut ready = Ready::default();
            let mut model: Vec<VecDeque<usize>> = vec![VecDeque::new(); 4];
            for (kind, who, priority) in steps {
                let waiting = model.iter().position(|queue| queue.contains(&who));
                match (kind, waiting) {
                    (0, None) => {
                        ready.push(&mut threads, all[who], priority);
                        model[priority as usize].push_back(who);
                    }
                    (1, None) => {
                        ready.push_front(&mut threads, all[who], priority);
                        model[priority as usize].push_front(who);
                    }
                    (2, Some(at)) => {
                        ready.remove(&mut threads, all[who], at as u8);
                        model[at].retain(|&other| other != who);
                    }
                    (3, _) => {
                        let expect = model.iter_mut().rev().find_map(VecDeque::pop_front);
                        proptest::prop_assert_eq!(ready.pop(&mut threads), expect.map(|who| all[who]));
                    }
                    _ => {}
                }
                for (priority, queue) in model.iter().enumerate() {
                    let here: Vec<_> = ready.queue(priority as u8).iter(&threads).collect();
                    proptest::prop_assert_eq!(here, queue.iter().map(|&who| all[who]).collect::<Vec<_>>());
                }
            }
        }
    }
}
