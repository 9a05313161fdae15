//! What has lost its last handle: taken apart step by step, never recursively.
//!
//! An address space holds handles to other spaces, which hold handles to others. Dropping the last handle
//! to the first must neither recurse nor take long, so it only marks the space. The system call that
//! dropped the handle goes on as [`parley_abi::call::REAP`] until nothing marked is left.

use crate::kernel::Core;
use crate::mem::slab::{Object, Ref, Slab};
use crate::object::endpoint::Endpoint;
use crate::object::memory::Memory;
use crate::object::space::Space;

/// The place of an object in the list of those that are marked.
#[derive(Default)]
pub struct Links<T> {
    listed: bool,
    next: Ref<T>,
    previous: Ref<T>,
}

/// What can be marked.
pub trait Doomable: Object {
    /// Its place in the list.
    fn links(&mut self) -> &mut Links<Self>;
}

/// Marked objects of a kind, the oldest first.
struct List<T> {
    first: Ref<T>,
    last: Ref<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { first: Ref::NONE, last: Ref::NONE }
    }
}

impl<T: Doomable> List<T> {
    /// Appends an object. False: it was there already.
    fn add(&mut self, table: &mut Slab<T>, at: Ref<T>) -> bool {
        let links = table[at].links();
        if links.listed {
            return false;
        }
        let previous = core::mem::replace(&mut self.last, at);
        *links = Links { listed: true, next: Ref::NONE, previous };
        match table.get_mut(previous) {
            Some(previous) => previous.links().next = at,
            None => self.first = at,
        }
        true
    }

    /// Takes an object out. False: it was not there.
    fn remove(&mut self, table: &mut Slab<T>, at: Ref<T>) -> bool {
        let Links { listed, next, previous } = core::mem::take(table[at].links());
        if !listed {
            return false;
        }
        match table.get_mut(previous) {
            Some(previous) => previous.links().next = next,
            None => self.first = next,
        }
        match table.get_mut(next) {
            Some(next) => next.links().previous = previous,
            None => self.last = previous,
        }
        true
    }
}

/// All that is marked.
#[derive(Default)]
pub struct Doomed {
    /// How many objects.
    pub count: u32,
    spaces: List<Space>,
    endpoints: List<Endpoint>,
    memories: List<Memory>,
}

impl Core {
    /// A space has lost its last handle.
    pub fn doom_space(&mut self, at: Ref<Space>) {
        self.doomed.count += self.doomed.spaces.add(&mut self.spaces, at) as u32;
    }

    /// An endpoint has lost its last handle.
    pub fn doom_endpoint(&mut self, at: Ref<Endpoint>) {
        self.doomed.count += self.doomed.endpoints.add(&mut self.endpoints, at) as u32;
    }

    /// A memory object has lost its last handle and its last region.
    pub fn doom_memory(&mut self, at: Ref<Memory>) {
        self.doomed.count += self.doomed.memories.add(&mut self.memories, at) as u32;
    }

    /// A space is gone, marked or not.
    pub fn forget_space(&mut self, at: Ref<Space>) {
        self.doomed.count -= self.doomed.spaces.remove(&mut self.spaces, at) as u32;
        self.spaces.remove(at);
    }

    /// An endpoint is gone, marked or not.
    pub fn forget_endpoint(&mut self, at: Ref<Endpoint>) {
        self.doomed.count -= self.doomed.endpoints.remove(&mut self.endpoints, at) as u32;
        self.endpoints.remove(at);
    }

    /// A memory object is gone, marked or not.
    pub fn forget_memory(&mut self, at: Ref<Memory>) {
        self.doomed.count -= self.doomed.memories.remove(&mut self.memories, at) as u32;
        self.memories.remove(at);
    }

    /// Takes one step with what was marked first.
    pub fn doomed_step(&mut self) {
        let Doomed { spaces, endpoints, memories, .. } = &self.doomed;
        let (space, endpoint, memory) = (spaces.first, endpoints.first, memories.first);
        if self.spaces.get(space).is_some() {
            self.destroy_space_step(space);
        } else if self.endpoints.get(endpoint).is_some() {
            self.destroy_endpoint_step(endpoint);
        } else if self.memories.get(memory).is_some() {
            self.free_memory_step(memory);
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
        fn what_is_marked_comes_in_order(steps in proptest::collection::vec((0u8..2, 0usize..12), 0..200)) {
            let mut frames = host_frames(6);
            let mut table: Slab<Memory> = Slab::new(Phys(0), 2, &mut frames);
            let all: Vec<_> = (0..12).map(|_| table.insert(&mut frames, Memory::default()).unwrap()).collect();
            let (mut list, mut model) = (List::default(), Vec::new());
            for (kind, pick) in steps {
                let there = model.contains(&pick);
                if kind == 0 {
                    proptest::prop_assert_eq!(list.add(&mut table, all[pick]), !there);
                    if !there {
                        model.push(pick);
                    }
                } else {
                    proptest::prop_assert_eq!(list.remove(&mut table, all[pick]), there);
                    model.retain(|&other| other != pick);
                }
                let mut at = list.first;
                for &wanted in &model {
                    proptest::prop_assert_eq!(at, all[wanted]);
                    at = table[at].links().next;
                }
                proptest::prop_assert_eq!(at, Ref::NONE);
                let last = model.last().map_or(Ref::NONE, |&last| all[last]);
                proptest::prop_assert_eq!(list.last, last);
            }
        }
    }
}
