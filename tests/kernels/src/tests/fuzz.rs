//! Random calls, in a process of their own: it may die, nothing else may.

use alloc::string::ToString;
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::process::victim;
use crate::tool::verdict::Verdict;

tests![random_core_calls];

fn random_core_calls() -> Verdict {
    for seed in 1..=8u32 {
        victim(&["fuzz", &seed.to_string()])?;
        ensure_eq!(sys::check()?, 0, "the core's invariants after seed {seed}");
        ensure_eq!(posix::stat(c"/bin").map(drop), Ok(()), "the file system after seed {seed}");
    }
    Ok(())
}
