//! How long a service is away when its program is swapped, and when it dies: as its clients see it.
//!
//! This thread wants to call the service every few microseconds, while one of lower priority has it swapped or killed.
//! The blackout is how much longer the longest round of waiting and calling takes than an undisturbed one: so it counts
//! from the moment at which a client wants to call, whether the service is away then or init keeps the processor. It is
//! not the whole time that a swap takes: the new program is read while the old one still serves.
//!
//! Only where the service is a process; a resident one cannot be away.

use alloc::vec::Vec;
use core::ffi::CStr;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parley_abi::call::prot;
use parley_abi::counters::Counters;
use parley_abi::info::verb;
use parley_abi::linux::{clock, open};
use parley_abi::msg::FOREVER;
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_rt::Trap;
use parley_rt::sys::{self, Event, NewThread, Reply};

use super::meter::{Failure, InRow, Meter, counts_instructions, ticks};
use super::report::{Figures, Placement};
use super::stats::Spread;
use crate::threads::own_priority;

/// The rows, in the order of [`CASES`].
pub const ROWS: &[&str] = &[
    "swap_blackout_time",
    "swap_blackout_char",
    "swap_blackout_vfs",
    "crash_blackout_time",
    "crash_blackout_char",
    "crash_blackout_vfs",
];
/// Service, and the program that takes over; `None`: it is killed.
const CASES: [(u8, Option<&CStr>); 6] = [
    (service::TIME, Some(c"/svc/time")),
    (service::CHAR, Some(c"/svc/char")),
    (service::VFS, Some(c"/svc/vfs")),
    (service::TIME, None),
    (service::CHAR, None),
    (service::VFS, None),
];
/// Blackouts of each row.
const SAMPLES: usize = 5;
/// Nanoseconds between two calls, in which the other thread gets on.
const NAP: u64 = 20_000;
/// Nanoseconds from one blackout to the next: what the last one left behind is taken apart meanwhile.
const REST: u64 = 5_000_000;
/// What the vfs has to take over: so many open files, and bytes in one.
const OPEN_FILES: usize = 1000;
const CONTENTS: usize = 4 << 20;
const PATH: &CStr = c"/tmp/blackout";
/// Where the other thread's stack lies, and its pages.
const STACK_AT: u64 = 0x32_0000_0000;
const STACK_PAGES: u64 = 4;

/// The other thread listens here, for bits that are numbers of [`CASES`].
static ENDPOINT: AtomicU64 = AtomicU64::new(0);
/// What became of what it was asked for; positive: nothing yet.
static RESULT: AtomicI64 = AtomicI64::new(0);

/// Measures [`ROWS`].
pub fn measure(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let mut started = false;
    for (index, row) in ROWS.iter().enumerate() {
        let number = CASES[index].0;
        // Without counted instructions they say nothing, and take minutes.
        let counts = meter.is_named(row) || counts_instructions();
        if counts && meter.wants_any(&[row]) && posix::service(u32::from(number)).in_row(row)?.resident == 0 {
            if !core::mem::replace(&mut started, true) {
                start_disturber().in_row(row)?;
            }
            meter.add(figures(row, samples(index, number).in_row(row)?));
        }
    }
    Ok(())
}

/// The figures of samples, each of ticks and what `rep` repeated. The first is not counted: heaps grow then.
fn figures(row: &'static str, mut samples: Vec<(u64, u64)>) -> Figures {
    samples.remove(0);
    samples.sort_unstable();
    let rep_extra = samples[(samples.len() - 1) / 2].1;
    let mut all: Vec<u64> = samples.iter().map(|sample| sample.0).collect();
    let counted = Counters { rep_extra, ..Counters::default() };
    let (n, ticks) = (all.len(), Spread::of(&mut all, 0));
    Figures { row, placement: Placement::Ring3, n, ticks, counted, batch: 1 }
}

/// Blackouts of one service, which has something to take over if it is the vfs.
fn samples(index: usize, number: u8) -> Result<Vec<(u64, u64)>, Errno> {
    let path = if number == service::VFS { PATH } else { c"/dev/zero" };
    let fd = posix::open(path, open::RDWR | open::CREAT, 0o600)?;
    let mut files = Vec::new();
    if number == service::VFS {
        let page = [b'x'; PAGE];
        (0..CONTENTS / PAGE).try_for_each(|_| posix::write_all(fd, &page))?;
        for _ in 1..OPEN_FILES {
            files.push(posix::open(PATH, open::RDONLY, 0)?);
        }
    }
    let nap = sys::endpoint_create(slot::QUOTA)?;
    let samples = (0..SAMPLES + 1).map(|_| blackout(index, nap, || call(number, fd))).collect();
    sys::handle_drop(nap)?;
    for fd in files.into_iter().chain([fd]) {
        posix::close(fd)?;
    }
    if number == service::VFS {
        posix::unlink(PATH)?;
    }
    samples
}

fn call(number: u8, fd: u32) -> Result<(), Errno> {
    match number {
        service::TIME => posix::clock_gettime(clock::REALTIME).map(drop),
        service::CHAR => posix::read(fd, &mut [0]).map(drop),
        _ => posix::pread(fd, &mut [0], 0).map(drop),
    }
}

/// What a disturbance adds to the longest round, in ticks, and what `rep` repeated in it.
fn blackout(index: usize, nap: u32, call: impl Fn() -> Result<(), Errno>) -> Result<(u64, u64), Errno> {
    let round = || {
        let (mut before, mut after) = (Counters::default(), Counters::default());
        sys::counters(&mut before)?;
        let begin = ticks();
        sys::reply_recv(nap, &Reply::NONE, sys::clock() + NAP)?;
        call()?;
        let took = ticks() - begin;
        sys::counters(&mut after)?;
        Ok::<_, Errno>((took, after.rep_extra - before.rep_extra))
    };
    sys::reply_recv(nap, &Reply::NONE, sys::clock() + REST)?;
    round()?;
    let (calm, calm_repeated) = round()?;
    let mut longest = (0, 0);
    RESULT.store(1, Ordering::Relaxed);
    sys::notify(ENDPOINT.load(Ordering::Relaxed) as u32, 1 << index)?;
    while RESULT.load(Ordering::Relaxed) > 0 {
        longest = longest.max(round()?);
    }
    longest = longest.max(round()?);
    let (took, repeated) = longest;
    Errno::check(RESULT.load(Ordering::Relaxed))
        .map(|_| (took.saturating_sub(calm), repeated.saturating_sub(calm_repeated)))
}

/// Starts the other thread. It stays: bench ends soon.
fn start_disturber() -> Result<(), Errno> {
    ENDPOINT.store(u64::from(sys::endpoint_create(slot::QUOTA)?), Ordering::Relaxed);
    let mem = sys::mem_create(slot::QUOTA, STACK_PAGES)?;
    sys::map(slot::SPACE, mem, STACK_AT, 0, STACK_PAGES, prot::READ | prot::WRITE)?;
    sys::handle_drop(mem)?;
    let stack = STACK_AT + STACK_PAGES * PAGE as u64 - 8; // as after a call
    let priority = own_priority().saturating_sub(1);
    let new = NewThread { entry: disturber as *const () as u64, stack, argument: 0, priority };
    // SAFETY: `disturber` is a function of the C ABI, and its stack was just mapped, for it alone.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) }?;
    sys::thread_start(thread)
}

/// The other thread.
extern "C" fn disturber(_: u64) -> ! {
    let endpoint = ENDPOINT.load(Ordering::Relaxed) as u32;
    while let Ok(Event::Notified { bits }) = sys::reply_recv(endpoint, &Reply::NONE, FOREVER) {
        let done = match CASES.get(bits.trailing_zeros() as usize) {
            Some((number, Some(file))) => posix::swap(u32::from(*number), file),
            Some((number, None)) => posix::control(u32::from(*number), verb::KILL),
            None => Err(Errno::EINVAL),
        };
        RESULT.store(done.map_or_else(Errno::negated, |()| 0), Ordering::Relaxed);
    }
    sys::thread_exit()
}
