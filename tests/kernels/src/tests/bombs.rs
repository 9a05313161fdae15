//! Bombs: many small objects cost whoever made them, and nobody else.

use parley_rt::sys;

use crate::tool::machine::mem_info;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![small_objects_are_made_again_from_the_same_pages];

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
fn small_objects_are_made_again_from_the_same_pages() -> Verdict {
    small_objects()?;
    let before = mem_info()?.free;
    small_objects()?;
    let after = mem_info()?.free;
    ensure!(after + 4 >= before, "{before} free pages became {after}");
    Ok(())
}

/// Fills a plantation and 1,500 endpoints, and destroys both.
fn small_objects() -> Verdict {
    drop(plant()?);
    let endpoints = Scope::of(128)?;
    for _ in 0..1500 {
        endpoints.endpoint()?;
    }
    Ok(())
}
