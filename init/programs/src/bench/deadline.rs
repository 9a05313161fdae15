//! How late a deadline can be: the worst of many, while a less urgent thread makes the longest calls that programs have.
//!
//! What ring 0 does in one piece keeps everybody waiting, however urgent. The core alone promises 10,000 ns; a service
//! that lives in ring 0 is not interrupted before it has answered, so there it depends on the service. Nanoseconds are
//! instructions where those are counted; elsewhere the row is left out unless it is named.

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};

use parley_abi::call::prot;
use parley_abi::counters::Counters;
use parley_abi::linux::open::{CREAT, DIRECTORY, RDONLY, RDWR, TRUNC};
use parley_abi::linux::{nr, seek};
use parley_abi::slot;
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_rt::Trap;
use parley_rt::sys::{self, NewThread, Reply};

use super::meter::{Failure, InRow, Meter, counts_instructions};
use super::report::{Figures, Placement};
use super::stats::Spread;
use crate::threads::own_priority;

/// The row.
pub const ROWS: &[&str] = &["deadline_worst"];

/// From one deadline to the next, in nanoseconds: no divisor of anything.
const PERIOD: u64 = 29_989;
/// Times that the other thread makes all its calls.
const TIMES: usize = 400;
/// Bytes of its reads and writes.
const LENGTH: usize = 64 << 10;
/// Where its stack lies, and its pages.
const STACK_AT: u64 = 0x34_0000_0000;
const STACK_PAGES: u64 = 4;

/// What it reads and writes.
static BUFFER: [AtomicU8; LENGTH] = [const { AtomicU8::new(0) }; LENGTH];
/// Whether it is done, and the first error, negated.
static DONE: AtomicBool = AtomicBool::new(false);
static RESULT: AtomicI64 = AtomicI64::new(0);

/// Measures [`ROWS`].
pub fn measure(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let [row] = ROWS else { return Ok(()) };
    if !meter.is_named(row) && !counts_instructions() {
        return Ok(());
    }
    let (worst, n) = worst().in_row(row)?;
    let ticks = Spread::of(&mut [worst], 0);
    let counted = Counters::default();
    meter.add(Figures { row, placement: Placement::Ring3, n, ticks, counted, batch: 1 });
    Ok(())
}

/// The worst deadline while the other thread works, in nanoseconds, and of how many it is.
fn worst() -> Result<(u64, usize), Errno> {
    let nap = sys::endpoint_create(slot::QUOTA)?;
    start()?;
    let (mut worst, mut count) = (0, 0);
    while !DONE.load(Ordering::Relaxed) {
        let deadline = sys::clock() + PERIOD;
        sys::reply_recv(nap, &Reply::NONE, deadline)?;
        worst = worst.max(sys::clock() - deadline);
        count += 1;
    }
    sys::handle_drop(nap)?;
    Errno::check(RESULT.load(Ordering::Relaxed)).map(|_| (worst, count))
}

/// Starts the other thread. What it has stays until the benchmark ends.
fn start() -> Result<(), Errno> {
    let mem = sys::mem_create(slot::QUOTA, STACK_PAGES)?;
    sys::map(slot::SPACE, mem, STACK_AT, 0, STACK_PAGES, prot::READ | prot::WRITE)?;
    sys::handle_drop(mem)?;
    let stack = STACK_AT + STACK_PAGES * PAGE as u64 - 8; // as after a call
    let priority = own_priority().saturating_sub(1);
    let new = NewThread { entry: other as *const () as u64, stack, argument: 0, priority };
    // SAFETY: `other` is a function of the C ABI, and its stack was just mapped, for it alone.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) }?;
    sys::thread_start(thread)
}

/// The other thread.
extern "C" fn other(_: u64) -> ! {
    let done = (0..TIMES).try_for_each(|_| long_calls());
    RESULT.store(done.map_or_else(Errno::negated, |()| 0), Ordering::Relaxed);
    DONE.store(true, Ordering::Relaxed);
    sys::thread_exit()
}

/// Calls with much to copy, to clear, to look for or to free.
fn long_calls() -> Result<(), Errno> {
    let file = posix::open(c"/tmp/deadline", RDWR | CREAT | TRUNC, 0o600)?;
    transfer(nr::WRITE, file)?;
    posix::lseek(file, 0, seek::SET)?;
    transfer(nr::READ, file)?;
    posix::lseek(file, 1 << 20, seek::SET)?;
    transfer(nr::WRITE, file)?;
    posix::rename(c"/tmp/deadline", c"/tmp/deadline-renamed")?;
    posix::unlink(c"/tmp/deadline-renamed")?;
    posix::close(file)?;
    for path in [c"/dev/zero", c"/dev/random", c"/bin/bench"] {
        let file = posix::open(path, RDONLY, 0)?;
        transfer(nr::READ, file)?;
        posix::close(file)?;
    }
    let folder = posix::open(c"/bin", RDONLY | DIRECTORY, 0)?;
    transfer(nr::GETDENTS64, folder)?;
    posix::close(folder)?;
    posix::stat(c"/../../../../../../../../../../../../../../../../bin/../bin/../bin/../bin/./././././bench").map(drop)
}

/// A call of the buffer's length.
fn transfer(number: u16, fd: u32) -> Result<(), Errno> {
    let at = BUFFER.as_ptr().expose_provenance() as u64;
    Errno::check(sys::posix(number, [u64::from(fd), at, LENGTH as u64, 0, 0, 0])).map(drop)
}
