//! Threads in this address space.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call::prot;
use parley_abi::{Errno, PAGE, slot};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, NewThread, Reply};

use super::machine::soon;
use super::verdict::{Trouble, Verdict};

/// Where stacks are: far from the program, its heap and its own stack.
const STACKS_AT: u64 = 0x30_0000_0000;
const STACK_PAGES: u64 = 8;
/// From one stack to the next: what is between them is not mapped.
const STRIDE: u64 = 4 * STACK_PAGES * PAGE as u64;

/// Stacks given out so far; none is used twice, so none can be used too early.
static STACKS: AtomicU64 = AtomicU64::new(0);

/// A thread. Dropping it kills it.
pub struct Thread {
    handle: u32,
    finished: u32,
    stack: u64,
}

struct Start {
    body: Box<dyn FnOnce() + Send>,
    finished: u32,
}

impl Thread {
    /// Starts a thread of the own priority that runs `body`.
    pub fn start(body: impl FnOnce() + Send + 'static) -> Result<Thread, Errno> {
        Thread::with_priority(own_priority(), body)
    }

    /// Starts a thread that runs `body`. EPERM: `priority` is above the own.
    pub fn with_priority(priority: u8, body: impl FnOnce() + Send + 'static) -> Result<Thread, Errno> {
        let stack = STACKS_AT + STACKS.fetch_add(1, Ordering::Relaxed) * STRIDE;
        let mem = sys::mem_create(slot::QUOTA, STACK_PAGES)?;
        let mapped = sys::map(slot::SPACE, mem, stack, 0, STACK_PAGES, prot::READ | prot::WRITE);
        sys::handle_drop(mem)?;
        mapped?;
        let finished = sys::endpoint_create(slot::QUOTA)?;
        let mut thread = Thread { handle: 0, finished, stack };
        let start = Box::new(Start { body: Box::new(body), finished });
        thread.handle = create(stack, priority, start)?;
        sys::thread_start(thread.handle)?;
        Ok(thread)
    }

    /// Its handle.
    pub fn handle(&self) -> u32 {
        self.handle
    }

    /// Waits until it has finished.
    pub fn join(self) -> Verdict {
        match sys::reply_recv(self.finished, &Reply::NONE, soon())? {
            Event::Notified { .. } => Ok(()),
            other => Err(Trouble::Fail(alloc::format!("a thread did not finish: {other:?}"))),
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Some of this is not there if starting failed half-way.
        let _ = sys::thread_kill(self.handle);
        let _ = sys::handle_drop(self.handle);
        let _ = sys::handle_drop(self.finished);
        // SAFETY: the thread whose stack it was is dead.
        let _ = unsafe { sys::unmap(slot::SPACE, self.stack, STACK_PAGES) };
    }
}

fn create(stack: u64, priority: u8, start: Box<Start>) -> Result<u32, Errno> {
    let start = Box::into_raw(start);
    let new = NewThread {
        entry: begin as *const () as u64,
        // As after a call: the return address that would be there keeps the stack aligned.
        stack: stack + STACK_PAGES * PAGE as u64 - 8,
        argument: start.expose_provenance() as u64,
        priority,
    };
    // SAFETY: `begin` is a function of the C ABI that takes one argument, and the stack is new.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) };
    if thread.is_err() {
        // SAFETY: the pointer came from `into_raw`, and no thread has it.
        drop(unsafe { Box::from_raw(start) });
    }
    thread
}

/// Where a thread begins.
extern "C" fn begin(argument: u64) -> ! {
    let start = core::ptr::with_exposed_provenance_mut::<Start>(argument as usize);
    // SAFETY: `create` gave the pointer away to this thread alone.
    let Start { body, finished } = *unsafe { Box::from_raw(start) };
    body();
    // If nobody waits any more, nobody needs to know.
    let _ = sys::notify(finished, 1);
    sys::thread_exit()
}
