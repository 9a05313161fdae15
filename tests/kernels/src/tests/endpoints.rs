//! Endpoints: notifications, and connections that end.

use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_abi::msg::{Flags, POLL};
use parley_rt::sys::{self, Event, LOWEST_FREE, Reply};

use crate::tool::client::{Client, Message, answer, event, forget, receive};
use crate::tool::machine::soon;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![
    notifications_accumulate,
    polling_finds_nothing,
    last_handle_closes,
    revoked_is_stale,
    destroyed_while_a_caller_waits,
    destroyed_while_a_caller_is_served,
];

fn notifications_accumulate() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    sys::notify(endpoint, 1)?;
    sys::notify(connection, 1 << 40)?;
    sys::notify(endpoint, 1)?;
    let got = event(endpoint)?;
    ensure!(matches!(got, Event::Notified { bits } if bits == 1 | 1 << 40), "three notifications: {got:?}");
    let none = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(none, Event::Timeout), "after them: {none:?}");
    let mute = scope.keep(sys::handle_copy(connection, LOWEST_FREE, Rights::CALL))?;
    ensure_eq!(sys::notify(mute, 1), Err(Errno::EPERM), "notifying without NOTIFY");
    Ok(())
}

fn polling_finds_nothing() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let none = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(none, Event::Timeout), "polling a new endpoint: {none:?}");
    Ok(())
}

/// The server hears of it once, and says that it has forgotten it.
fn last_handle_closes() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let first = sys::mint(endpoint, 77, Rights::CALL)?;
    let second = sys::handle_copy(first, LOWEST_FREE, Rights::CALL)?;
    sys::handle_drop(first)?;
    let early = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(early, Event::Timeout), "with one handle left: {early:?}");
    sys::handle_drop(second)?;
    let closed = event(endpoint)?;
    forget(endpoint, &closed, 77)?;
    let over = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(over, Event::Timeout), "after it was forgotten: {over:?}");
    Ok(sys::forgotten(endpoint)?) // there is nothing more, and no harm is done
}

fn revoked_is_stale() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let (revoked, other) = (scope.connection(endpoint, 5)?, scope.connection(endpoint, 6)?);
    sys::revoke(endpoint, 5)?;
    let called = sys::call(revoked, Flags::empty(), 0, [0; 6], soon());
    ensure_eq!(called, Err(Errno::ESTALE), "a call after revoke");
    let client = Client::start(Message::new(other, [1; 6]))?;
    let request = loop {
        match event(endpoint)? {
            Event::Request { token, badge, .. } => break (token, badge),
            closed @ Event::Closed { .. } => forget(endpoint, &closed, 5)?,
            other => ensure!(false, "unexpected {other:?}"),
        }
    };
    ensure_eq!(request.1, 6, "badge of the other connection");
    answer(endpoint, request.0, [2; 6])?;
    ensure_eq!(client.result()?, Ok((0, [2; 6])), "a call on the other connection");
    Ok(())
}

fn destroyed_while_a_caller_waits() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    sys::yield_now();
    scope.destroy()?;
    ensure_eq!(client.result()?, Err(Errno::ESTALE), "a call that nobody received");
    Ok(())
}

fn destroyed_while_a_caller_is_served() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    receive(endpoint)?;
    scope.destroy()?;
    ensure_eq!(client.result()?, Err(Errno::ESTALE), "a call that was received");
    Ok(())
}
