//! A second thread of init that does nothing but wake the first.
//!
//! A server works in its caller's turn, and so does init: while it serves a program it is no more urgent than that. A
//! server that then runs in circles at its own priority would keep init from ever looking at the clock. But an event for
//! a busy server lends it its own priority, and that is init's, the highest. So
//! once a second there is an event.

use alloc::vec::Vec;

use parley_abi::{Errno, slot};
use parley_manifest::HIGHEST;
use parley_rt::sys::{self, NewThread, Reply};

use crate::console;

/// The notification bit, which stands for nothing.
const BIT: u64 = 1 << 48;
/// Nanoseconds.
const PERIOD: u64 = 1_000_000_000;
/// Words of the thread's stack: it calls two functions.
const STACK: usize = 1024;

/// Starts it. Without it nobody could rely on heartbeats, so the machine is shut down.
pub fn start() {
    if let Err(errno) = try_start() {
        console::shut_down(format_args!("cannot start the thread that watches over init: {errno}"));
    }
}

fn try_start() -> Result<(), Errno> {
    let endpoint = sys::endpoint_create(slot::QUOTA)?;
    let mut stack = Vec::new();
    stack.try_reserve_exact(STACK).map_err(|_| Errno::ENOMEM)?;
    stack.resize(STACK, 0u64);
    let stack = stack.leak();
    let end = stack.as_mut_ptr_range().end.expose_provenance() as u64;
    // As after a call: System V ABI, section 3.2.2.
    let stack = (end & !15) - 8;
    let entry = (beat as extern "C" fn(u64) -> !) as usize as u64;
    let new = NewThread { entry, stack, argument: endpoint.into(), priority: HIGHEST };
    // SAFETY: 1. the stack is this thread's alone and for ever: it was leaked; 2. `beat` never returns.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) }?;
    sys::thread_start(thread)
}

/// All that the thread does.
extern "C" fn beat(endpoint: u64) -> ! {
    loop {
        // Nobody knows this endpoint: it is a way to wait.
        let _ = sys::reply_recv(endpoint as u32, &Reply::NONE, sys::clock() + PERIOD);
        let _ = sys::notify(slot::ENDPOINT, BIT);
    }
}
