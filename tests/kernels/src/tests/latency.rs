//! Nothing that ring 3 asks of the core takes long: whoever is more urgent runs within 10 us.
//!
//! The test waits for one deadline after the other, while a thread of a lower priority makes the longest calls
//! there are. How late it is woken is how long a call kept the processor. That says something only where time
//! is counted in instructions (`-icount`, a nanosecond each). The one exception is `check`, which takes a right.
//!
//! Services are more urgent than any test, and once a second they show init that they live. So each measurement is made
//! three times in less than that, and the best counts: what the core itself does is the same in each.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use parley_abi::call::{Rights, prot};
use parley_abi::row::{ROWS, Row};
use parley_abi::{Errno, PAGE};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, NewThread, Reply};

use crate::tool::machine::within;
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};
use parley_programs::bench::counts_instructions;

tests![
    revoking_keeps_nobody_waiting,
    making_tables_keeps_nobody_waiting,
    destroying_quotas_keeps_nobody_waiting,
    destroying_endpoints_keeps_nobody_waiting,
    destroying_memory_keeps_nobody_waiting,
    freeing_memory_keeps_nobody_waiting,
    checking_lets_others_run_between_invariants
];

/// How late a thread may be woken, in nanoseconds.
const MOST: u64 = 10_000;
/// From one deadline to the next: no divisor of anything.
const PERIOD: u64 = 29_989;
/// Measurements, of which the best counts.
const MEASUREMENTS: u32 = 3;
/// Objects of each kind.
const MANY: u32 = 1500;

/// Does `work` at a lower priority and demands meanwhile that deadlines are kept.
fn watch(work: impl Fn(&Scope) -> Result<(), Errno> + Clone + Send + 'static) -> Verdict {
    let latest = least_lateness(work)?;
    ensure!(latest <= MOST, "a deadline was {latest} ns late");
    Ok(())
}

/// The least of several.
fn least_lateness(work: impl Fn(&Scope) -> Result<(), Errno> + Clone + Send + 'static) -> Verdict<u64> {
    let mut least = u64::MAX;
    for _ in 0..MEASUREMENTS {
        least = least.min(lateness(work.clone())?);
    }
    Ok(least)
}

/// Does `work` at a lower priority and measures meanwhile how late deadlines are, in nanoseconds: the worst.
fn lateness(work: impl Fn(&Scope) -> Result<(), Errno> + Send + 'static) -> Verdict<u64> {
    if !counts_instructions() {
        return Err(Trouble::Skip("time is not counted in instructions here".into()));
    }
    let (done, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (end, trouble) = (done.clone(), failed.clone());
    let worker = Thread::with_priority(own_priority() - 1, move || {
        let result = Scope::of(300).and_then(|scope| work(&scope));
        trouble.store(result.is_err(), Ordering::Release);
        end.store(true, Ordering::Release);
    })?;
    let scope = Scope::of(16)?;
    let (endpoint, mut latest, mut rounds) = (scope.endpoint()?, 0, 0);
    let until = within(20_000);
    while !done.load(Ordering::Acquire) && sys::clock() < until {
        let deadline = sys::clock() + PERIOD;
        let event = sys::reply_recv(endpoint, &Reply::NONE, deadline)?;
        latest = latest.max(sys::clock() - deadline);
        ensure!(matches!(event, Event::Timeout), "woken by {event:?}");
        rounds += 1;
    }
    worker.join()?;
    ensure!(!failed.load(Ordering::Acquire), "the calls failed");
    ensure!(rounds > 20, "the calls were over after {rounds} deadlines");
    Ok(latest)
}

fn connections(endpoint: u32) -> Result<Vec<u32>, Errno> {
    (0..MANY).map(|number| sys::mint(endpoint, u64::from(number % 2), Rights::CALL)).collect()
}

fn revoking_keeps_nobody_waiting() -> Verdict {
    watch(|scope| {
        let endpoint = scope.endpoint()?;
        let made = connections(endpoint)?;
        for badge in 0..20 {
            sys::revoke(endpoint, badge)?;
        }
        made.into_iter().try_for_each(sys::handle_drop)
    })
}

/// No deadline waits for a whole check, however many objects there are.
fn checking_lets_others_run_between_invariants() -> Verdict {
    let took = Arc::new(AtomicU64::new(u64::MAX));
    let shortest = took.clone();
    let latest = least_lateness(move |scope| {
        let made = connections(scope.endpoint()?)?;
        for _ in 0..10 {
            let before = sys::clock();
            if sys::check()? != 0 {
                return Err(Errno::EIO);
            }
            shortest.fetch_min(sys::clock() - before, Ordering::Relaxed);
        }
        made.into_iter().try_for_each(sys::handle_drop)
    })?;
    let took = took.load(Ordering::Relaxed);
    ensure!(latest < took / 2, "a deadline was {latest} ns late, and the shortest check took {took}");
    Ok(())
}

fn making_tables_keeps_nobody_waiting() -> Verdict {
    let rows = [Row::NONE; ROWS];
    watch(move |scope| (0..50).try_for_each(|_| sys::handle_drop(sys::table_create(scope.quota(), &rows)?)))
}

/// Endpoints, threads and quotas below quotas, all on one account.
fn destroying_quotas_keeps_nobody_waiting() -> Verdict {
    watch(|scope| {
        let space = scope.keep(sys::space_create(scope.quota()))?;
        let new = || NewThread { entry: 0x1000, stack: 0, argument: 0, priority: 1 };
        for _ in 0..MANY / 5 {
            sys::handle_drop(sys::endpoint_create(scope.quota())?)?;
            scope.endpoint()?;
            scope.keep(sys::quota_create(scope.quota(), 0))?;
            // SAFETY: another address space; the thread is never started.
            scope.keep(unsafe { sys::thread_create(space, scope.quota(), new()) })?;
        }
        scope.destroy()
    })
}

/// The last handle to each goes while thousands of other objects lie about.
fn destroying_endpoints_keeps_nobody_waiting() -> Verdict {
    watch(|scope| {
        let made: Result<Vec<u32>, Errno> = (0..MANY).map(|_| sys::endpoint_create(scope.quota())).collect();
        made?.into_iter().try_for_each(sys::handle_drop)
    })
}

/// The last handle to memory with many pages, all of which are there.
fn freeing_memory_keeps_nobody_waiting() -> Verdict {
    const PAGES: u64 = 256;
    let page = [1; PAGE];
    watch(move |scope| {
        scope.destroy()?; // its pages are needed
        let payer = Scope::of(PAGES + 8)?;
        let mem = sys::mem_create(payer.quota(), PAGES)?;
        for number in 0..PAGES {
            sys::mem_write(mem, number * PAGE as u64, &page)?;
        }
        sys::handle_drop(mem)
    })
}

/// Memory that is mapped in many pieces, destroyed while it is.
fn destroying_memory_keeps_nobody_waiting() -> Verdict {
    watch(|scope| {
        for _ in 0..4 {
            let payer = Scope::of(150)?;
            let space = scope.keep(sys::space_create(scope.quota()))?;
            let mem = payer.mem(100)?;
            for page in 0..100 {
                sys::map(space, mem, 0x10_0000 + page * 0x2000, page, 1, prot::READ)?;
            }
            payer.destroy()?;
        }
        Ok(())
    })
}
