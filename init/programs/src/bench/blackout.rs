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
use super::report::{Figures, Placement, Timeline};
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
/// Requests of a timeline before and after a disturbance, and the most of all.
const CALM: usize = 12;
const MOST: usize = 1000;
/// What the vfs has to take over: so many open files, and bytes in one.
pub const OPEN_FILES: usize = 1000;
pub const CONTENTS: usize = 4 << 20;
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
            meter.add(figures(row, prepared(number, |nap, call| samples(index, nap, call)).in_row(row)?));
            if meter.wants_samples() {
                let requests = prepared(number, |nap, call| timeline(index, nap, call)).in_row(row)?;
                meter.add_timeline(Timeline { row, requests });
            }
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

/// What `measure` finds of a service, which has something to take over if it is the vfs. It gets an endpoint on which nothing
/// ever arrives, and a call of the service.
fn prepared<T>(number: u8, measure: impl FnOnce(u32, &Call<'_>) -> Result<T, Errno>) -> Result<T, Errno> {
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
    let measured = measure(nap, &|| call(number, fd));
    sys::handle_drop(nap)?;
    for fd in files.into_iter().chain([fd]) {
        posix::close(fd)?;
    }
    if number == service::VFS {
        posix::unlink(PATH)?;
    }
    measured
}

/// A call of a service.
type Call<'a> = dyn Fn() -> Result<(), Errno> + 'a;

/// Blackouts of one service.
fn samples(index: usize, nap: u32, call: &Call<'_>) -> Result<Vec<(u64, u64)>, Errno> {
    (0..SAMPLES + 1).map(|_| blackout(index, nap, call)).collect()
}

fn call(number: u8, fd: u32) -> Result<(), Errno> {
    match number {
        service::TIME => posix::clock_gettime(clock::REALTIME).map(drop),
        service::CHAR => posix::read(fd, &mut [0]).map(drop),
        _ => posix::pread(fd, &mut [0], 0).map(drop),
    }
}

/// A nap and a call, in ticks.
struct Round {
    begin: u64,
    took: u64,
    /// What `rep` repeated in it.
    repeated: u64,
}

fn round(nap: u32, call: &Call<'_>) -> Result<Round, Errno> {
    let (mut before, mut after) = (Counters::default(), Counters::default());
    sys::counters(&mut before)?;
    let begin = ticks();
    sys::reply_recv(nap, &Reply::NONE, sys::clock() + NAP)?;
    call()?;
    let took = ticks() - begin;
    sys::counters(&mut after)?;
    Ok(Round { begin, took, repeated: after.rep_extra - before.rep_extra })
}

/// Has the service disturbed. Nothing happens before this thread naps.
fn disturb(index: usize) -> Result<(), Errno> {
    RESULT.store(1, Ordering::Relaxed);
    sys::notify(ENDPOINT.load(Ordering::Relaxed) as u32, 1 << index)
}

fn is_disturbing() -> bool {
    RESULT.load(Ordering::Relaxed) > 0
}

/// What a disturbance adds to the longest round, in ticks, and what `rep` repeated in it.
fn blackout(index: usize, nap: u32, call: &Call<'_>) -> Result<(u64, u64), Errno> {
    let round = || round(nap, call);
    sys::reply_recv(nap, &Reply::NONE, sys::clock() + REST)?;
    round()?;
    let calm = round()?;
    let mut longest = Round { begin: 0, took: 0, repeated: 0 };
    disturb(index)?;
    loop {
        let last = !is_disturbing();
        let next = round()?;
        if next.took > longest.took {
            longest = next;
        }
        if last {
            break;
        }
    }
    let repeated = longest.repeated.saturating_sub(calm.repeated);
    Errno::check(RESULT.load(Ordering::Relaxed)).map(|_| (longest.took.saturating_sub(calm.took), repeated))
}

/// All requests from before a disturbance to after it: see [`Timeline::requests`].
fn timeline(index: usize, nap: u32, call: &Call<'_>) -> Result<Vec<(i64, u64)>, Errno> {
    let mut rounds = Vec::new();
    rounds.try_reserve_exact(MOST).map_err(|_| Errno::ENOMEM)?;
    sys::reply_recv(nap, &Reply::NONE, sys::clock() + REST)?;
    (0..CALM).try_for_each(|_| round(nap, call).map(|round| rounds.push(round)))?;
    let asked = ticks();
    disturb(index)?;
    while is_disturbing() && rounds.len() + CALM < MOST {
        rounds.push(round(nap, call)?);
    }
    (0..CALM).try_for_each(|_| round(nap, call).map(|round| rounds.push(round)))?;
    Errno::check(RESULT.load(Ordering::Relaxed))?;
    // A tick is a nanosecond here, or there are no blackouts.
    let request =
        |round: &Round| ((round.begin + NAP).wrapping_sub(asked).cast_signed(), round.took.saturating_sub(NAP));
    Ok(rounds.iter().map(request).collect())
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
