//! What has lost its last handle: taken apart step by step, never recursively.
//!
//! An address space holds handles to other spaces, which hold handles to others. Dropping the last handle
//! to the first must neither recurse nor take long, so it only marks the space. The system call that
//! dropped the handle goes on as [`parley_abi::call::REAP`] until nothing marked is left.

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::endpoint::Endpoint;
use crate::object::memory::Memory;
use crate::object::space::Space;

impl Core {
    /// A space has lost its last handle.
    pub fn doom_space(&mut self, at: Ref<Space>) {
        if !core::mem::replace(&mut self.spaces[at].doomed, true) {
            self.doomed += 1;
        }
    }

    /// An endpoint has lost its last handle.
    pub fn doom_endpoint(&mut self, at: Ref<Endpoint>) {
        if !core::mem::replace(&mut self.endpoints[at].doomed, true) {
            self.doomed += 1;
        }
    }

    /// A memory object has lost its last handle and its last region.
    pub fn doom_memory(&mut self, at: Ref<Memory>) {
        if !core::mem::replace(&mut self.memories[at].doomed, true) {
            self.doomed += 1;
        }
    }

    /// A marked object is gone, on this way or another.
    pub fn no_longer_doomed(&mut self, was: bool) {
        self.doomed -= was as u32;
    }

    /// Takes one step with the first marked object.
    pub fn doomed_step(&mut self) {
        if let Some(space) = self.spaces.find(|space| space.doomed) {
            self.destroy_space_step(space);
        } else if let Some(endpoint) = self.endpoints.find(|endpoint| endpoint.doomed) {
            self.destroy_endpoint_step(endpoint);
        } else if let Some(memory) = self.memories.find(|memory| memory.doomed) {
            self.free_memory_step(memory);
        }
    }
}
