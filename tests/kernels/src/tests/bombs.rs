//! Bombs: many small objects cost whoever made them, and nobody else.

use parley_rt::sys;

use crate::tool::machine::mem_info;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![small_objects_give_their_pages_back];

/// Empty quotas below the scope's.
const MANY: u64 = 4000;

/// Makes [`MANY`] objects that cost a few bytes each, in a scope.
fn plant() -> Verdict<Scope> {
    let scope = Scope::of(128)?;
    for _ in 0..MANY {
        sys::handle_drop(sys::quota_create(scope.quota(), 0)?)?;
    }
    Ok(scope)
}

/// The core's tables shrink again, or what they have grown by stays charged to somebody: frames that
/// quotas promise are there.
fn small_objects_give_their_pages_back() -> Verdict {
    let before = mem_info()?.free;
    drop(plant()?);
    let endpoints = Scope::of(128)?;
    for _ in 0..1500 {
        endpoints.endpoint()?;
    }
    drop(endpoints);
    let after = mem_info()?.free;
    ensure!(after + 4 >= before, "{before} free pages became {after}");
    Ok(())
}
