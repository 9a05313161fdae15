//! Who runs next: fixed priorities, and turns among equals.
//!
//! The running thread is in no queue, and neither is one that waits for an answer. So a call that
//! switches straight to the server, and the reply that switches back, touch no queue at all.

use crate::mem::{List, Ref, Slab};
use crate::object::Thread;

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

/// The threads that could run, by priority.
#[derive(Default)]
pub struct Ready {
    pub(crate) queues: [List<Thread>; PRIORITIES],
    pub(crate) occupied: u32,
    pub(crate) counts: [u32; PRIORITIES],
}

impl Ready {
    /// Lets a thread wait for its turn, behind its equals.
    pub fn push(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, priority: u8) {
        self.queues[priority as usize].push(threads, at);
        self.count_one_more(priority);
    }

    /// Lets a thread go on next among its equals: it was interrupted by a more urgent one.
    pub fn push_front(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, priority: u8) {
        self.queues[priority as usize].push_front(threads, at);
        self.count_one_more(priority);
    }

    fn count_one_more(&mut self, priority: u8) {
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
        let at = self.queues[priority as usize].first();
        self.remove(threads, at, priority);
        Some(at)
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
                    let here: Vec<_> = ready.queues[priority].iter(&threads).collect();
                    proptest::prop_assert_eq!(here, queue.iter().map(|&who| all[who]).collect::<Vec<_>>());
                }
            }
        }
    }
}
