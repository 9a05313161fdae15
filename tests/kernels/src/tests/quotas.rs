//! Quotas: nobody takes more than was given, and all of it comes back.

use parley_abi::{Errno, slot};
use parley_rt::sys;

use crate::tool::machine::mem_info;
use crate::tool::sandbox::Sandbox;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![
    exhaustion_is_enomem,
    a_child_cannot_exceed_its_parent,
    destroying_gives_all_back,
    destroying_takes_children,
    refusals_cost_nobody
];

fn exhaustion_is_enomem() -> Verdict {
    let scope = Scope::of(32)?;
    for pages in [33, 1 << 20, 1 << 52, u64::MAX] {
        let made = sys::mem_create(scope.quota(), pages);
        ensure!(matches!(made, Err(Errno::ENOMEM | Errno::EINVAL)), "memory of {pages:#x} pages: {made:?}");
    }
    let mut made = 0;
    while scope.mem(1).is_ok() {
        made += 1;
        ensure!(made <= 32, "more memory than the quota has");
    }
    ensure!(made >= 8, "a quota of 32 pages was used up after {made}");
    ensure_eq!(sys::mem_create(scope.quota(), 1), Err(Errno::ENOMEM), "one page more");
    ensure_eq!(sys::space_create(scope.quota()), Err(Errno::ENOMEM), "a space");
    let (used, granted) = sys::quota_info(scope.quota())?;
    ensure!(used <= granted && granted == 32, "{used} of {granted} pages used");
    Ok(())
}

fn a_child_cannot_exceed_its_parent() -> Verdict {
    let scope = Scope::of(32)?;
    for pages in [64, 1 << 32, 1 << 52, u64::MAX] {
        ensure_eq!(sys::quota_create(scope.quota(), pages), Err(Errno::ENOMEM), "a child of {pages:#x} pages");
    }
    let child = scope.keep(sys::quota_create(scope.quota(), 16))?;
    ensure_eq!(sys::mem_create(child, 17), Err(Errno::ENOMEM), "more than the child has");
    ensure_eq!(sys::mem_create(scope.quota(), 24), Err(Errno::ENOMEM), "what the child was given");
    scope.keep(sys::mem_create(child, 8))?;
    Ok(())
}

fn destroying_gives_all_back() -> Verdict {
    // The first one makes the core's tables grow.
    Sandbox::new()?.run(&[0x0f, 0x0b])?;
    let (before, own) = (mem_info()?, sys::quota_info(slot::QUOTA)?);
    for _ in 0..3 {
        let mut sandbox = Sandbox::new()?;
        sandbox.run(&[0x0f, 0x0b])?;
    }
    ensure_eq!(sys::quota_info(slot::QUOTA)?, own, "pages used of the own quota");
    let after = mem_info()?;
    ensure_eq!(after.free, before.free, "free pages");
    let objects = (after.threads, after.spaces, after.connections);
    ensure_eq!(objects, (before.threads, before.spaces, before.connections), "threads, spaces, connections");
    Ok(())
}

fn destroying_takes_children() -> Verdict {
    let scope = Scope::of(64)?;
    let child = scope.keep(sys::quota_create(scope.quota(), 32))?;
    let endpoint = scope.keep(sys::endpoint_create(child))?;
    let mem = scope.keep(sys::mem_create(child, 4))?;
    scope.destroy()?;
    ensure!(sys::mem_create(child, 1).is_err(), "a destroyed quota still pays");
    ensure!(sys::mint(endpoint, 1, parley_abi::call::Rights::CALL).is_err(), "its endpoint still lives");
    ensure!(sys::mem_write(mem, 0, b"x").is_err(), "its memory still lives");
    Ok(())
}

/// What a quota cannot pay for costs nobody else: the core's tables grow on the root's account, and calls that
/// are refused while a table is full must not be charged to it.
fn refusals_cost_nobody() -> Verdict {
    const REFUSALS: u32 = 1000;
    type Make = fn(u32) -> Result<u32, Errno>;
    let makers: [(&str, Make, u32); 3] = [
        ("quotas", |quota| sys::quota_create(quota, 0), 400),
        ("endpoints", sys::endpoint_create, 400),
        ("spaces", sys::space_create, 60),
    ];
    for (name, make, many) in makers {
        let (poor, rich) = (Scope::of(0)?, Scope::of(200)?);
        for number in 0..many {
            for _ in 0..REFUSALS {
                ensure_eq!(make(poor.quota()), Err(Errno::ENOMEM), "{name} on a quota of nothing");
            }
            let made = make(rich.quota());
            ensure!(made.is_ok(), "{name}: after {number}, another quota got {made:?}");
            rich.keep(made)?;
        }
    }
    Ok(())
}
