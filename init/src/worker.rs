//! Threads of init beside the one that serves: each has an endpoint to wait at, and a stack for a few calls.

use alloc::vec::Vec;

use parley_abi::{Errno, slot};
use parley_rt::sys::{self, NewThread};

/// Words of a thread's stack.
const STACK: usize = 1024;

/// Starts a thread that runs `work` for ever, with an endpoint of its own as the argument. Returns that endpoint. ENOMEM.
pub fn start(work: extern "C" fn(u64) -> !, priority: u8) -> Result<u32, Errno> {
    let endpoint = sys::endpoint_create(slot::QUOTA)?;
    let mut stack = Vec::new();
    stack.try_reserve_exact(STACK).map_err(|_| Errno::ENOMEM)?;
    stack.resize(STACK, 0u64);
    let stack = stack.leak();
    let end = stack.as_mut_ptr_range().end.expose_provenance() as u64;
    // As after a call: System V ABI, section 3.2.2.
    let stack = (end & !15) - 8;
    let new = NewThread { entry: work as usize as u64, stack, argument: endpoint.into(), priority };
    // SAFETY: 1. the stack is this thread's alone and for ever: it was leaked; 2. `work` never returns.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) }?;
    sys::thread_start(thread)?;
    Ok(endpoint)
}
