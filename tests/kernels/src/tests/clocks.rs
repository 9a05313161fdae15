//! Time goes forward, and sleepers wake in order.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::linux::{Timespec, clock, nr};
use parley_abi::{Errno, slot};
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::machine::MILLISECOND;
use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![time_goes_forward, clocks_agree, no_such_clock, sleep_is_long_enough, sleepers_wake_in_order, bad_durations];

fn milliseconds(count: i64) -> Timespec {
    Timespec { sec: count / 1000, nsec: count % 1000 * 1_000_000 }
}

fn time_goes_forward() -> Verdict {
    let mut last = posix::clock_gettime(clock::MONOTONIC)?;
    for _ in 0..200 {
        let now = posix::clock_gettime(clock::MONOTONIC)?;
        ensure!((now.sec, now.nsec) >= (last.sec, last.nsec), "{last:?} was followed by {now:?}");
        ensure!((0..1_000_000_000).contains(&now.nsec), "{now:?} is no time");
        last = now;
    }
    let before = sys::clock();
    ensure!(sys::clock() > before, "the core's clock stands still");
    Ok(())
}

fn clocks_agree() -> Verdict {
    let real = posix::clock_gettime(clock::REALTIME)?;
    let (day, time) = (posix::gettimeofday()?, posix::time()?);
    ensure!((0..=2).contains(&(day.sec - real.sec)), "clock_gettime {real:?}, gettimeofday {day:?}");
    ensure!((0..=2).contains(&(time - day.sec)), "gettimeofday {day:?}, time {time}");
    ensure!(real.sec > 1_577_836_800, "the date is before 2020: {real:?}");
    ensure!((0..1_000_000).contains(&day.usec), "{day:?} is no time");
    Ok(())
}

fn no_such_clock() -> Verdict {
    for clock in [99, u32::MAX] {
        ensure_eq!(posix::clock_gettime(clock), Err(Errno::EINVAL), "clock {clock}");
    }
    Ok(())
}

fn sleep_is_long_enough() -> Verdict {
    for count in [0, 1, 15] {
        let before = sys::clock();
        posix::nanosleep(&milliseconds(count))?;
        let slept = sys::clock() - before;
        let wanted = count as u64 * MILLISECOND;
        ensure!(slept >= wanted, "slept {slept} ns of {wanted}");
        ensure!(slept < wanted + 50 * MILLISECOND, "slept {slept} ns instead of {wanted}");
    }
    Ok(())
}

fn sleepers_wake_in_order() -> Verdict {
    const NAPS: [i64; 6] = [50, 10, 40, 20, 60, 30];
    let turn = Arc::new(AtomicU64::new(0));
    let places: Arc<[AtomicU64; NAPS.len()]> = Arc::new([const { AtomicU64::new(0) }; NAPS.len()]);
    let threads: Result<Vec<Thread>, Errno> = (0..NAPS.len())
        .map(|index| {
            let (turn, places) = (turn.clone(), places.clone());
            Thread::start(move || {
                if posix::nanosleep(&milliseconds(NAPS[index])).is_ok() {
                    places[index].store(turn.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Release);
                }
            })
        })
        .collect();
    for thread in threads? {
        thread.join()?;
    }
    for (nap, place) in NAPS.iter().zip(places.iter()) {
        ensure_eq!(place.load(Ordering::Acquire), *nap as u64 / 10, "turn of the sleeper of {nap} ms");
    }
    Ok(())
}

fn bad_durations() -> Verdict {
    for (sec, nsec) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, i64::MIN)] {
        ensure_eq!(posix::nanosleep(&Timespec { sec, nsec }), Err(Errno::EINVAL), "{sec} s {nsec} ns");
    }
    ensure_eq!(sys::posix(nr::NANOSLEEP, [0; 6]), Errno::EFAULT.negated(), "no duration");
    ensure!(sys::handle_info(slot::SPACE).is_ok(), "the handle table suffered");
    Ok(())
}
