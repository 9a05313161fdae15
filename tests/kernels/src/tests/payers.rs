//! Who paid is gone: what was paid for is gone with it, whoever still has a handle.

use alloc::vec::Vec;
use parley_abi::call::{HANDLE_GRANT, MINT, Rights};
use parley_abi::msg::{Flags, POLL};
use parley_abi::{Errno, slot};
use parley_rt::sys::{self, Event, LOWEST_FREE, Reply};

use crate::tool::assembly::{DONE, call, call_with_result};
use crate::tool::client::{event, forget};
use crate::tool::sandbox::Sandbox;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![a_connection_ends_with_its_payer, a_space_that_holds_spaces];

/// Slots of the sandbox: the endpoint that it mints on, and the test's address space.
const ENDPOINT: u32 = 2000;
const SPACE: u32 = 2001;
/// Slot of the test where the sandbox puts the connection.
const GIFT: u32 = 4000;
const BADGE: u32 = 0xbad6e;

/// Code that mints a connection and gives it to the test.
fn mint_and_give() -> Vec<u8> {
    let rights = Some(u32::from((Rights::CALL | Rights::NOTIFY).bits()));
    let mint = call(MINT, &[Some(ENDPOINT), Some(BADGE), rights]);
    let give = call_with_result(HANDLE_GRANT, &[Some(SPACE), None, Some(GIFT), rights]);
    [mint, give, DONE.to_vec()].concat()
}

/// A descriptor that was inherited, when whoever opened it has ended: the server hears of it once, and
/// calls on the handles that are left are stale.
fn a_connection_ends_with_its_payer() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let mut payer = Sandbox::new()?;
    sys::handle_grant(payer.space, endpoint, ENDPOINT, Rights::MINT)?;
    sys::handle_grant(payer.space, slot::SPACE, SPACE, Rights::MANAGE)?;
    payer.run(&mint_and_give())?;
    scope.keep(Ok(GIFT))?;
    drop(payer);
    let closed = event(endpoint)?;
    let called = sys::call(GIFT, Flags::empty(), 0, [0; 6], POLL);
    ensure_eq!(called, Err(Errno::ESTALE), "a call on the handle that is left");
    if let Ok(copy) = sys::handle_copy(GIFT, LOWEST_FREE, Rights::CALL) {
        sys::handle_drop(copy)?;
    }
    let again = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(again, Event::Timeout), "told of it once more: {again:?}");
    forget(endpoint, &closed, u64::from(BADGE))
}

/// Spaces that hold the only handle to the next: dropping the first takes them all, however many.
fn a_space_that_holds_spaces() -> Verdict {
    let scope = Scope::of(560)?;
    let mut last = sys::space_create(scope.quota())?;
    for _ in 0..200 {
        let next = sys::space_create(scope.quota())?;
        sys::handle_grant(next, last, slot::FREE, Rights::MANAGE)?;
        sys::handle_drop(last)?;
        last = next;
    }
    sys::handle_drop(last)?;
    let (used, _) = sys::quota_info(scope.quota())?;
    ensure_eq!(used, 0, "pages still used by spaces that nobody has a handle to");
    Ok(())
}
