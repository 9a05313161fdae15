//! What has lost its last handle: taken apart step by step, never recursively.
//!
//! An address space holds handles to other spaces, which hold handles to others. Dropping the last handle
//! to the first must neither recurse nor take long, so it only marks the space. The system call that
//! dropped the handle goes on as [`parley_abi::call::REAP`] until nothing marked is left.

use crate::kernel::Core;
use crate::mem::{List, Object, Ref, Slab};
use crate::object::{Endpoint, Memory, Space};

/// All that is marked.
#[derive(Default)]
pub struct Doomed {
    /// How many objects.
    pub count: u32,
    spaces: List<Space>,
    endpoints: List<Endpoint>,
    memories: List<Memory>,
}

/// Marks an object, the last of those that are.
fn mark<T: Object>(count: &mut u32, marked: &mut List<T>, table: &mut Slab<T>, at: Ref<T>) {
    if !marked.contains(table, at) {
        marked.push(table, at);
        *count += 1;
    }
}

/// Frees the slot of an object, marked or not.
fn forget<T: Object>(count: &mut u32, marked: &mut List<T>, table: &mut Slab<T>, at: Ref<T>) {
    if marked.contains(table, at) {
        marked.remove(table, at);
        *count -= 1;
    }
    table.remove(at);
}

macro_rules! kinds {
    ($($list:ident: $kind:ty, $doom:ident, $forget:ident;)*) => {
        impl Core {$(
            /// It has lost its last handle, and memory its last region.
            pub fn $doom(&mut self, at: Ref<$kind>) {
                mark(&mut self.doomed.count, &mut self.doomed.$list, &mut self.$list, at);
            }
            /// It is gone, marked or not.
            pub fn $forget(&mut self, at: Ref<$kind>) {
                forget(&mut self.doomed.count, &mut self.doomed.$list, &mut self.$list, at);
            }
        )*}
    };
}

kinds! {
    spaces: Space, doom_space, forget_space;
    endpoints: Endpoint, doom_endpoint, forget_endpoint;
    memories: Memory, doom_memory, forget_memory;
}

impl Core {
    /// Takes one step with what was marked first.
    pub fn doomed_step(&mut self) {
        let Doomed { spaces, endpoints, memories, .. } = &self.doomed;
        let (space, endpoint, memory) = (spaces.first(), endpoints.first(), memories.first());
        if self.spaces.get(space).is_some() {
            self.destroy_space_step(space);
        } else if self.endpoints.get(endpoint).is_some() {
            self.destroy_endpoint_step(endpoint);
        } else if self.memories.get(memory).is_some() {
            self.free_memory_step(memory);
        }
    }
}
