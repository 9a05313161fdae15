//! A second thread of init, which takes apart what is left of dead servers.
//!
//! Callers wait for the next instance, not for the memory of the last one: so init only stops that, and leaves the
//! rest, a hundred thousand instructions, to a thread that is less urgent than any program; what that has no time for, init
//! does itself. It works without a heap and without locks: the handles lie in cells, which init fills and it empties.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parley_abi::Errno;
use parley_rt::sys::{self, Reply};

use crate::console;
use crate::loader::Process;
use crate::worker;

/// Dead servers that wait at most: each may have a bitmap of ports, of which the core has few.
const CELLS: usize = 2;
/// Of the thread: the lowest that is not the idle one's.
const PRIORITY: u8 = 1;

/// Slots of quotas to destroy, with the slots of space and thread; 0: none.
static WAITING: [[AtomicU32; 3]; CELLS] = [const { [const { AtomicU32::new(0) }; 3] }; CELLS];
/// Where it waits.
static ENDPOINT: AtomicU64 = AtomicU64::new(0);

/// Starts it. Without it every end of a server takes long, so the machine is shut down.
pub fn start() {
    if let Err(errno) = try_start() {
        console::shut_down(format_args!("cannot start the thread that takes dead servers apart: {errno}"));
    }
}

fn try_start() -> Result<(), Errno> {
    ENDPOINT.store(worker::start(work, PRIORITY)?.into(), Ordering::Relaxed);
    Ok(())
}

/// Stops a process, and sees to it that what it had is given back. At once, if it has threads that nobody knows of, or if
/// too much waits.
pub fn bury(process: Process) {
    // ESTALE: it is gone.
    let _ = sys::thread_kill(process.thread.slot());
    let still = sys::space_threads(process.space.slot()) == Ok(0);
    let empty = WAITING.iter().find(|cell| cell[0].load(Ordering::Acquire) == 0);
    let Some(cell) = empty.filter(|_| still) else { return drop(process) };
    let Process { quota, space, thread } = process;
    cell[2].store(thread.give(), Ordering::Relaxed);
    cell[1].store(space.give(), Ordering::Relaxed);
    cell[0].store(quota.give(), Ordering::Release);
    // ESTALE cannot be: the endpoint is never dropped.
    let _ = sys::notify(ENDPOINT.load(Ordering::Relaxed) as u32, 1);
}

/// Somebody is not yet taken apart.
pub fn is_busy() -> bool {
    WAITING.iter().any(|cell| cell[0].load(Ordering::Acquire) != 0)
}

/// All that the thread does.
extern "C" fn work(endpoint: u64) -> ! {
    loop {
        for [quota, space, thread] in &WAITING {
            let slot = quota.load(Ordering::Acquire);
            if slot != 0 {
                // SAFETY: it paid for objects of another process only, none of which init has mapped.
                let _ = unsafe { sys::quota_destroy(slot) };
                for slot in [slot, space.load(Ordering::Relaxed), thread.load(Ordering::Relaxed)] {
                    let _ = sys::handle_drop(slot);
                }
                quota.store(0, Ordering::Release);
            }
        }
        let _ = sys::reply_recv(endpoint as u32, &Reply::NONE, parley_abi::msg::FOREVER);
    }
}
