//! Nothing is left behind.

use parley_rt::sys;

use crate::tool::machine::mem_info;
use crate::tool::process::victim;
use crate::tool::verdict::Verdict;

tests![processes_leave_nothing, the_core_is_sound];

/// Pages that servers may keep for themselves: their heaps grow in steps of sixteen.
const SLACK: u64 = 64;

fn processes_leave_nothing() -> Verdict {
    victim(&["exit", "0"])?;
    victim(&["ud2"])?;
    let before = mem_info()?;
    for round in 0..50 {
        victim(if round % 5 == 0 { &["ud2"] } else { &["exit", "0"] })?;
    }
    let after = mem_info()?;
    ensure_eq!((after.threads, after.spaces), (before.threads, before.spaces), "threads and spaces");
    ensure!(after.free + SLACK >= before.free, "{} free pages became {}", before.free, after.free);
    ensure!(
        after.connections <= before.connections + 4,
        "{} connections became {}",
        before.connections,
        after.connections
    );
    Ok(())
}

fn the_core_is_sound() -> Verdict {
    ensure_eq!(sys::check()?, 0, "the first of the core's invariants that fails");
    Ok(())
}
