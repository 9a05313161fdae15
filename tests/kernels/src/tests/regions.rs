//! Regions: few enough to be walked, and none is left of a `map` that failed.

use parley_abi::call::prot;
use parley_abi::{Errno, PAGE};
use parley_rt::sys;

use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![splitting_is_bounded, a_map_that_fails_leaves_nothing];

/// More regions than any address space may have.
const TOO_MANY: u64 = 300;
const AT: u64 = 0x40_0000;
/// What one last-level page table covers.
const TABLE: u64 = 512 * PAGE as u64;

/// Unmapping every second page of long regions, two of the same memory, makes a region of each page between.
fn splitting_is_bounded() -> Verdict {
    let scope = Scope::of(400)?;
    let space = scope.keep(sys::space_create(scope.quota()))?;
    let mem = scope.mem(TOO_MANY)?;
    for at in [AT, AT + TOO_MANY * PAGE as u64] {
        sys::map(space, mem, at, 0, TOO_MANY, prot::READ)?;
    }
    let refused = (0..TOO_MANY).find_map(|number| {
        // SAFETY: nobody runs in that address space.
        unsafe { sys::unmap(space, AT + (2 * number + 1) * PAGE as u64, 1) }.err()
    });
    ensure_eq!(refused, Some(Errno::ENOMEM), "splitting a region into {TOO_MANY}");
    Ok(())
}

/// The second page table that a mapping needs is one too many: the pages before it are not mapped either.
fn a_map_that_fails_leaves_nothing() -> Verdict {
    let (poor, rich) = (Scope::of(12)?, Scope::of(32)?);
    let space = poor.keep(sys::space_create(poor.quota()))?;
    let mem = rich.mem(16)?;
    let mut ballast = alloc::vec::Vec::new();
    while let Ok(page) = sys::mem_create(poor.quota(), 1) {
        ballast.push(page);
    }
    // Three tables lead to the first page, and a fourth would be needed behind the border.
    for page in ballast.drain(..3) {
        sys::handle_drop(page)?;
    }
    for page in ballast {
        poor.keep(Ok(page))?;
    }
    let border = AT.next_multiple_of(TABLE) + TABLE;
    let start = border - 8 * PAGE as u64;
    ensure_eq!(sys::map(space, mem, start, 0, 16, prot::READ), Err(Errno::ENOMEM), "a mapping that needs four tables");
    ensure_eq!(sys::map(space, mem, start, 0, 1, prot::READ), Ok(()), "its first page, afterwards");
    Ok(())
}
