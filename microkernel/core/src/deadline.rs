//! Deadlines: a heap of the threads whose waiting ends by itself.
//!
//! Room for every thread is made when the thread is, so setting a deadline cannot fail.

use parley_abi::Errno;

use crate::mem::{Frames, Ref, Slab, Window};
use crate::object::Thread;

/// A binary heap, earliest first. Each thread knows its place ([`Thread::deadline_at`]).
pub struct Deadlines {
    window: Window,
    len: usize,
}

impl Deadlines {
    /// No deadlines.
    pub fn new(window: Window) -> Deadlines {
        Deadlines { window, len: 0 }
    }

    /// Makes room for `threads` threads. ENOMEM.
    pub fn make_room(&mut self, threads: u32, frames: &mut Frames) -> Result<(), Errno> {
        while self.window.bytes() < threads as usize * size_of::<Ref<Thread>>() {
            self.window.grow(frames).ok_or(Errno::ENOMEM)?;
        }
        Ok(())
    }

    fn heap(&mut self) -> &mut [Ref<Thread>] {
        let room = self.window.bytes() / size_of::<Ref<Thread>>();
        // SAFETY: 1. the window is mapped for `room` entries and page-aligned; 2. it was zeroed, and zeros
        // are a valid `Ref`; 3. the window is this heap's alone, and `self` is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.window.base().cast(), room) }
    }

    /// The earliest deadline.
    pub fn first(&mut self, threads: &Slab<Thread>) -> Option<(u64, Ref<Thread>)> {
        if self.len == 0 {
            return None;
        }
        let at = self.heap()[0];
        Some((threads[at].deadline, at))
    }

    /// Ends the waiting of `at` at `time`.
    pub fn set(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, time: u64) {
        self.clear(threads, at);
        threads[at].deadline = time;
        self.len += 1;
        let last = self.len - 1;
        self.place(threads, last, at);
        self.up(threads, last);
    }

    /// The thread no longer waits with a deadline.
    #[inline(always)]
    pub fn clear(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        if threads[at].deadline_at != 0 {
            self.take_out(threads, at);
        }
    }

    fn take_out(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        let hole = threads[at].deadline_at as usize - 1;
        threads[at].deadline_at = 0;
        threads[at].deadline = 0;
        self.len -= 1;
        if hole == self.len {
            return;
        }
        let last = self.len;
        let moved = self.heap()[last];
        self.place(threads, hole, moved);
        self.up(threads, hole);
        let now = threads[moved].deadline_at as usize - 1;
        self.down(threads, now);
    }

    fn place(&mut self, threads: &mut Slab<Thread>, index: usize, at: Ref<Thread>) {
        self.heap()[index] = at;
        threads[at].deadline_at = index as u32 + 1;
    }

    fn swap(&mut self, threads: &mut Slab<Thread>, a: usize, b: usize) {
        let (first, second) = (self.heap()[a], self.heap()[b]);
        self.place(threads, a, second);
        self.place(threads, b, first);
    }

    fn time(&mut self, threads: &Slab<Thread>, index: usize) -> u64 {
        threads[self.heap()[index]].deadline
    }

    fn up(&mut self, threads: &mut Slab<Thread>, mut index: usize) {
        while index > 0 {
            let parent = (index - 1) / 2;
            if self.time(threads, parent) <= self.time(threads, index) {
                return;
            }
            self.swap(threads, parent, index);
            index = parent;
        }
    }

    fn down(&mut self, threads: &mut Slab<Thread>, mut index: usize) {
        loop {
            let mut least = index;
            for child in [2 * index + 1, 2 * index + 2] {
                if child < self.len && self.time(threads, child) < self.time(threads, least) {
                    least = child;
                }
            }
            if least == index {
                return;
            }
            self.swap(threads, least, index);
            index = least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::Phys;
    use crate::mem::frames::tests::host_frames;

    proptest::proptest! {
        #[test]
        fn the_earliest_is_always_first(steps in proptest::collection::vec((0u8..3, 0usize..20, 1u64..50), 0..if cfg!(miri) { 20 } else { 200 })) {
            let mut frames = host_frames(20);
            let mut threads: Slab<Thread> = Slab::new(Phys(0), 16, &mut frames);
            let mut heap = Deadlines::new(Window::new(0, Phys(0), 1));
            heap.make_room(20, &mut frames).unwrap();
            let all: Vec<_> = (0..20).map(|_| threads.insert(&mut frames, Thread::default()).unwrap()).collect();
            let mut model = [0u64; 20];
            for (kind, who, time) in steps {
                match kind {
                    0 | 1 => {
                        heap.set(&mut threads, all[who], time);
                        model[who] = time;
                    }
                    _ => {
                        heap.clear(&mut threads, all[who]);
                        model[who] = 0;
                    }
                }
                let expect = model.iter().copied().filter(|&time| time != 0).min();
                proptest::prop_assert_eq!(heap.first(&threads).map(|first| first.0), expect);
            }
        }
    }
}
