//! Recovery: what the next server of an endpoint finds of the one that is gone.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call::{REPLY_RECV, Rights, THREAD_EXIT};
use parley_abi::msg::{Flags, POLL, Token};
use parley_abi::{Errno, slot};
use parley_rt::sys::{self, Event, LOWEST_FREE, Reply};

use super::scheduling::rest;
use crate::tool::assembly::{DONE, call};
use crate::tool::client::{Client, Message, Request, answer, event, forget, receive};
use crate::tool::machine::soon;
use crate::tool::sandbox::Sandbox;
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    requests_are_listed,
    put_back_and_received_again,
    buffers_stay_lent,
    a_dead_server_leaves_its_requests,
    interrupted_callers_are_not_put_back,
    closed_is_told_again,
    closed_is_told_again_to_whoever_waits,
    submissions_are_received_again,
    only_for_receivers,
    the_mourner_does_not_wait_for_the_faulting,
    the_mourner_does_not_wait_for_the_dead,
    the_mourner_does_not_wait_for_the_unborn
];

const INVALID_OPCODE: u64 = 6;
const WORDS: [u64; 6] = [10, 20, 30, 40, 50, 60];

/// All requests in progress on `endpoint`.
fn list(endpoint: u32) -> Verdict<Vec<Request>> {
    let (mut found, mut first) = (Vec::new(), 0);
    loop {
        match sys::requests(endpoint, first) {
            Ok(Event::Request { token, badge, label, words }) => {
                found.push(Request { token, badge, label, words });
                first = token.thread() + 1;
            }
            Ok(other) => return Err(Trouble::Fail(alloc::format!("{other:?} in the list"))),
            Err(Errno::ENOENT) => return Ok(found),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn requests_are_listed() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    ensure_eq!(list(endpoint)?, [], "requests before anybody calls");
    let start = |badge, label| {
        let message = Message::new(scope.connection(endpoint, badge)?, WORDS);
        Client::start(Message { label, ..message })
    };
    let clients = [start(1, 100)?, start(2, 200)?, start(3, 300)?];
    let mut received = [receive(endpoint)?, receive(endpoint)?];
    received.sort_by_key(|request| request.token.thread());
    ensure_eq!(list(endpoint)?, received, "two received, one queued");
    let last = receive(endpoint)?;
    for request in received.into_iter().chain([last]) {
        answer(endpoint, request.token, [request.badge; 6])?;
    }
    ensure_eq!(list(endpoint)?, [], "requests when all are answered");
    for (client, badge) in clients.into_iter().zip(1..) {
        ensure_eq!(client.result()?, Ok((0, [badge; 6])), "the answer to client {badge}");
    }
    Ok(())
}

fn put_back_and_received_again() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let message = Message::new(scope.connection(endpoint, 7)?, WORDS);
    let client = Client::start(Message { label: 9, ..message })?;
    let first = receive(endpoint)?;
    for _ in 0..3 {
        sys::put_back(endpoint, first.token)?;
        ensure_eq!(answer(endpoint, first.token, [0; 6]), Err(Errno::ESTALE), "answering what was put back");
        ensure_eq!(sys::put_back(endpoint, first.token), Err(Errno::ESTALE), "putting it back twice");
        ensure_eq!(receive(endpoint)?, first, "the same request");
    }
    answer(endpoint, first.token, [1; 6])?;
    ensure_eq!(sys::put_back(endpoint, first.token), Err(Errno::ESTALE), "putting back what was answered");
    ensure_eq!(client.result()?, Ok((0, [1; 6])), "the answer");
    Ok(())
}

fn buffers_stay_lent() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let text: &'static [u8] = b"lent";
    let words = [text.as_ptr().expose_provenance() as u64, text.len() as u64, 0, 0, 0, 0];
    let message = Message::new(scope.connection(endpoint, 1)?, words);
    let client = Client::start(Message { flags: Flags::LEND_READ, ..message })?;
    let token = receive(endpoint)?.token;
    sys::put_back(endpoint, token)?;
    let mut copy = [0; 4];
    ensure_eq!(sys::copy_in(endpoint, token, 0, 0, &mut copy), Err(Errno::ESTALE), "a copy while it is queued");
    receive(endpoint)?;
    ensure_eq!((sys::copy_in(endpoint, token, 0, 0, &mut copy), &copy[..]), (Ok(4), text), "a copy after it");
    answer(endpoint, token, [0; 6])?;
    client.result()?.map(drop)?;
    Ok(())
}

/// One request is held by the server that dies, another is queued behind it.
fn a_dead_server_leaves_its_requests() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let server = Thread::start(move || {
        let _ = receive(endpoint);
        loop {
            sys::yield_now();
        }
    })?;
    sys::yield_now();
    let clients = [
        Client::start(Message::new(scope.connection(endpoint, 1)?, WORDS))?,
        Client::start(Message::new(scope.connection(endpoint, 2)?, WORDS))?,
    ];
    while list(endpoint)?.is_empty() {
        sys::yield_now();
    }
    drop(server);
    for request in list(endpoint)? {
        sys::put_back(endpoint, request.token)?;
    }
    for _ in 0..2 {
        let request = receive(endpoint)?;
        answer(endpoint, request.token, [request.badge; 6])?;
    }
    for (client, badge) in clients.into_iter().zip(1..) {
        ensure_eq!(client.result()?, Ok((0, [badge; 6])), "the answer to client {badge}");
    }
    Ok(())
}

fn interrupted_callers_are_not_put_back() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, WORDS))?;
    let token = receive(endpoint)?.token;
    sys::cancel(client.thread())?;
    sys::put_back(endpoint, token)?;
    ensure_eq!(client.result()?, Err(Errno::EINTR), "a call that was to be interrupted");
    Ok(())
}

fn closed_is_told_again() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    for badge in [5, 6] {
        sys::handle_drop(sys::mint(endpoint, badge, Rights::CALL)?)?;
    }
    let (last, first) = (event(endpoint)?, event(endpoint)?);
    // The one that this thread was told of last.
    forget(endpoint, &first, 5)?;
    sys::put_back(endpoint, Token::NONE)?;
    sys::forgotten(endpoint)?;
    let again = event(endpoint)?;
    ensure_eq!(format!("{again:?}"), format!("{last:?}"), "what is told again");
    forget(endpoint, &again, 6)?;
    let none = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(none, Event::Timeout), "at last: {none:?}");
    Ok(())
}

fn closed_is_told_again_to_whoever_waits() -> Verdict {
    const BADGES: [u64; 3] = [5, 6, 7];
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    for badge in BADGES {
        sys::handle_drop(sys::mint(endpoint, badge, Rights::CALL)?)?;
    }
    for _ in BADGES {
        event(endpoint)?;
    }
    let told = Arc::new(AtomicU64::new(0));
    let theirs = told.clone();
    let heir = Thread::start(move || {
        while let Ok(Event::Closed { badge }) = sys::reply_recv(endpoint, &Reply::NONE, soon())
            && theirs.fetch_add(badge, Ordering::Relaxed) + badge != BADGES.iter().sum()
        {}
    })?;
    rest(2)?;
    sys::put_back(endpoint, Token::NONE)?;
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    heir.join()?;
    ensure_eq!(told.load(Ordering::Relaxed), BADGES.iter().sum(), "badges that were told again, summed up");
    Ok(())
}

fn submissions_are_received_again() -> Verdict {
    let scope = Scope::new()?;
    let (server, own) = (scope.endpoint()?, scope.endpoint()?);
    scope.keep(sys::handle_copy(own, u64::from(slot::ENDPOINT), Rights::all()))?;
    let connection = scope.connection(server, 3)?;
    for cookie in [1, 2] {
        sys::submit(connection, 0, [cookie; 6], cookie)?;
    }
    let first = receive(server)?;
    sys::put_back(server, Token::NONE)?;
    let mut again = [receive(server)?, receive(server)?];
    again.sort_by_key(|request| request.words);
    ensure_eq!(again[0], first, "the one that had been received");
    for request in again {
        answer(server, request.token, request.words)?;
    }
    for _ in 0..2 {
        let done = event(own)?;
        ensure!(matches!(done, Event::Done { cookie, words, .. } if words == [cookie; 6]), "an answer: {done:?}");
    }
    Ok(())
}

fn only_for_receivers() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let blind = scope.keep(sys::handle_copy(endpoint, LOWEST_FREE, Rights::MINT))?;
    ensure_eq!(sys::requests(blind, 0).err(), Some(Errno::EPERM), "listing without RECEIVE");
    ensure_eq!(sys::put_back(blind, Token::NONE), Err(Errno::EPERM), "putting back without RECEIVE");
    ensure_eq!(sys::requests(endpoint, u32::MAX).err(), Some(Errno::ENOENT), "threads that cannot be");
    for forged in [Token(1), Token::new(0, 1), Token::new(u32::MAX, 7), Token(u64::MAX)] {
        ensure_eq!(sys::put_back(endpoint, forged), Err(Errno::ESTALE), "{forged:?}");
    }
    Ok(())
}

/// What a call gave: label and words, or the errno.
type Called = Result<(u32, [u64; 6]), Errno>;

/// A sandbox that receives one request and then does what `then` says, called by who hears of its end.
fn call_a_server_that(then: &[u8]) -> Verdict<(Sandbox, Called)> {
    let mut server = Sandbox::new()?;
    let endpoint = server.scope().endpoint()?;
    let connection = server.scope().connection(endpoint, 1)?;
    sys::handle_grant(server.space, endpoint, slot::ENDPOINT, Rights::RECEIVE)?;
    server.run(&DONE)?; // from now on this thread is known to listen
    let mut code = call(REPLY_RECV, &[Some(slot::ENDPOINT)]);
    code.extend_from_slice(then);
    server.start(&code)?;
    sys::yield_now();
    let called = sys::call(connection, Flags::empty(), 0, [0; 6], soon());
    Ok((server, called))
}

fn the_mourner_does_not_wait_for_the_faulting() -> Verdict {
    let (mut server, called) = call_a_server_that(&DONE)?;
    ensure_eq!(called, Err(Errno::ESTALE), "a call to a server that faults");
    ensure_eq!(server.fault()?.vector, INVALID_OPCODE, "its fault");
    Ok(())
}

fn the_mourner_does_not_wait_for_the_dead() -> Verdict {
    let (_server, called) = call_a_server_that(&call(THREAD_EXIT, &[]))?;
    ensure_eq!(called, Err(Errno::ESTALE), "a call to a server that ends");
    Ok(())
}

/// The server that was there before is gone, and its successor faults before it has received anything.
fn the_mourner_does_not_wait_for_the_unborn() -> Verdict {
    let mut server = Sandbox::new()?;
    let endpoint = server.scope().endpoint()?;
    let connection = server.scope().connection(endpoint, 1)?;
    server.run(&DONE)?;
    server.start(&DONE)?;
    let called = sys::call(connection, Flags::empty(), 0, [0; 6], soon());
    ensure_eq!(called, Err(Errno::ESTALE), "a call to a server that faults before it serves");
    ensure_eq!(server.fault()?.vector, INVALID_OPCODE, "its fault");
    Ok(())
}
