//! A thread of this process that is less urgent than the first one, for rows in which somebody is woken.

use core::cell::Cell;
use parley_abi::call::prot;
use parley_abi::msg::FOREVER;
use parley_abi::{Errno, PAGE, slot};
use parley_rt::sys::{self, NewThread, Reply};

use crate::threads::own_priority;

/// Where its stack is, far from everything else, and how long.
const STACK_AT: u64 = 0x30_0000_0000;
const STACK_PAGES: u64 = 16;

struct Task<'a> {
    body: Cell<Option<&'a mut dyn FnMut()>>,
    finished: u32,
}

/// Runs `body` on such a thread and waits until it is done. ENOMEM.
pub fn run<T>(mut body: impl FnMut() -> T) -> Result<T, Errno> {
    let mut result = None;
    let mut work = || result = Some(body());
    let stack = sys::mem_create(slot::QUOTA, STACK_PAGES)?;
    let mapped = sys::map(slot::SPACE, stack, STACK_AT, 0, STACK_PAGES, prot::READ | prot::WRITE);
    sys::handle_drop(stack)?;
    mapped?;
    let ran = on_the_stack(&mut work);
    // SAFETY: the thread whose stack it was is dead.
    unsafe { sys::unmap(slot::SPACE, STACK_AT, STACK_PAGES) }?;
    ran?;
    result.ok_or(Errno::EIO)
}

fn on_the_stack(work: &mut dyn FnMut()) -> Result<(), Errno> {
    let finished = sys::endpoint_create(slot::QUOTA)?;
    let task = Task { body: Cell::new(Some(work)), finished };
    let new = NewThread {
        entry: begin as *const () as u64,
        // As after a call: the return address that would be there keeps the stack aligned.
        stack: STACK_AT + STACK_PAGES * PAGE as u64 - 8,
        argument: (&raw const task).expose_provenance() as u64,
        priority: own_priority().saturating_sub(1),
    };
    // SAFETY: `begin` is a function of the C ABI that takes one argument; the stack is new; and `task` lives until the
    // thread is dead, while this one touches nothing of it.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) };
    let ended = thread.and_then(|thread| {
        sys::thread_start(thread)?;
        sys::reply_recv(finished, &Reply::NONE, FOREVER)?;
        sys::thread_kill(thread)?;
        sys::handle_drop(thread)
    });
    sys::handle_drop(finished)?;
    ended
}

/// Where the thread begins.
extern "C" fn begin(argument: u64) -> ! {
    let task = core::ptr::with_exposed_provenance::<Task<'_>>(argument as usize);
    // SAFETY: `on_the_stack` keeps it alive and does not touch it until it is notified.
    let task = unsafe { &*task };
    if let Some(body) = task.body.take() {
        body();
    }
    // Whoever waits for it kills this thread. Should that fail, there is nothing to be done but to end.
    let _ = sys::notify(task.finished, 1);
    sys::thread_exit()
}
