//! Bombs: many small objects cost whoever made them, and nobody else's time or memory.

use parley_rt::sys;

use crate::tool::machine::mem_info;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![many_quotas_go_quickly, small_objects_give_their_pages_back];

/// Empty quotas below the scope's: few, and eight times as many.
const FEW: u64 = 500;
const MANY: u64 = 8 * FEW;

/// Makes objects that cost a few bytes each, in a scope.
fn plant(count: u64) -> Verdict<Scope> {
    let scope = Scope::of(128)?;
    for _ in 0..count {
        sys::handle_drop(sys::quota_create(scope.quota(), 0)?)?;
    }
    Ok(scope)
}

/// How long it takes to destroy that many objects, in nanoseconds.
fn time(count: u64) -> Verdict<u64> {
    let scope = plant(count)?;
    let start = sys::clock();
    scope.destroy()?;
    Ok(sys::clock() - start)
}

/// Destroying an object takes as long among many as it does among few.
fn many_quotas_go_quickly() -> Verdict {
    time(MANY)?;
    let (few, many) = (time(FEW)?, time(MANY)?);
    ensure!(many < 24 * few, "{FEW} empty quotas were destroyed in {few} ns, {MANY} in {many} ns");
    Ok(())
}

/// The core's tables shrink again, or what they have grown by stays charged to somebody: frames that
/// quotas promise are there.
fn small_objects_give_their_pages_back() -> Verdict {
    let before = mem_info()?.free;
    drop(plant(MANY)?);
    let endpoints = Scope::of(128)?;
    for _ in 0..1500 {
        endpoints.endpoint()?;
    }
    drop(endpoints);
    let after = mem_info()?.free;
    ensure!(after + 4 >= before, "{before} free pages became {after}");
    Ok(())
}
