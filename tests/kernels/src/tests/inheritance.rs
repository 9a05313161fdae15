//! A server works as urgently as whoever waits for it, through any chain of calls, and in its client's turn.
//!
//! In the first three tests a thread spins that is more urgent than the servers and less urgent than the client: if a
//! server ran at its own priority, the client would wait for ever.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use parley_abi::call::Rights;
use parley_abi::msg::{FOREVER, Flags, Token};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, Reply};

use super::scheduling::{Spinner, cpu_time, rest};
use crate::tool::machine::{MILLISECOND, soon};
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    urgency_goes_through_a_chain,
    who_queues_hurries_the_server,
    urgency_ends_with_the_request,
    a_turn_goes_with_the_call,
    a_close_is_as_urgent_as_its_closer
];

/// How long a request takes, in nanoseconds.
const WORK: u64 = MILLISECOND;

/// Priorities of the spinning thread and of the servers.
fn below() -> Verdict<[u8; 2]> {
    match own_priority() {
        own @ 3.. => Ok([own - 1, own - 2]),
        own => Err(Trouble::Skip(alloc::format!("there are no two priorities below {own}"))),
    }
}

fn work() {
    let until = sys::clock() + WORK;
    while sys::clock() < until {}
}

/// The next request on `endpoint`, for ever.
fn next(endpoint: u32, reply: &Reply) -> Option<Token> {
    match sys::reply_recv(endpoint, reply, FOREVER) {
        Ok(Event::Request { token, .. }) => Some(token),
        _ => None,
    }
}

/// Starts a server that works for each request, after it has called `next_server`, if there is one.
fn server(endpoint: u32, next_server: Option<u32>, priority: u8) -> Verdict<Thread> {
    let thread = Thread::with_priority(priority, move || {
        let mut reply = Reply::NONE;
        while let Some(token) = next(endpoint, &reply) {
            let called = next_server.map(|to| sys::call(to, Flags::empty(), 0, [0; 6], FOREVER));
            work();
            reply = Reply::words(token, [u64::from(called.is_none_or(|called| called.is_ok())); 6]);
        }
    })?;
    rest(2)?; // until it waits
    Ok(thread)
}

/// Calls `to` while `spinner` would like to run: it gets no step, and the answer is good.
fn call_past(spinner: &Spinner, to: u32) -> Verdict {
    let before = spinner.count();
    let answer = sys::call(to, Flags::empty(), 0, [0; 6], soon());
    let steps = spinner.count() - before;
    ensure_eq!(answer, Ok((0, [1; 6])), "the answer");
    ensure_eq!(steps, 0, "steps of a less urgent thread while the client waited");
    Ok(())
}

fn urgency_goes_through_a_chain() -> Verdict {
    let [middle, low] = below()?;
    let scope = Scope::of(16)?;
    let ends = [scope.endpoint()?, scope.endpoint()?, scope.endpoint()?];
    let to = [scope.connection(ends[0], 1)?, scope.connection(ends[1], 1)?, scope.connection(ends[2], 1)?];
    let _servers =
        [server(ends[0], Some(to[1]), low)?, server(ends[1], Some(to[2]), low)?, server(ends[2], None, low)?];
    let spinner = Spinner::start(middle)?;
    let called = call_past(&spinner, to[0]);
    spinner.stop()?;
    called
}

/// The server has begun to work for somebody less urgent than the spinning thread, and does not get on.
fn who_queues_hurries_the_server() -> Verdict {
    let [middle, low] = below()?;
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let to = scope.connection(endpoint, 1)?;
    let _server = server(endpoint, None, low)?;
    let done = Arc::new(AtomicBool::new(false));
    let theirs = done.clone();
    let client = Thread::with_priority(low, move || {
        let answer = sys::call(to, Flags::empty(), 0, [0; 6], FOREVER);
        theirs.store(answer.is_ok(), Ordering::Release);
    })?;
    // Long enough to begin, and too short to end.
    let nap = sys::clock() + WORK / 2;
    sys::reply_recv(scope.endpoint()?, &Reply::NONE, nap)?;
    let spinner = Spinner::start(middle)?;
    rest(5)?;
    let early = done.load(Ordering::Acquire);
    let called = call_past(&spinner, to);
    spinner.stop()?;
    client.join()?;
    called?;
    ensure!(!early, "the less urgent client was answered while a more urgent thread span");
    ensure!(done.load(Ordering::Acquire), "the less urgent client was not answered");
    Ok(())
}

/// The news of a close is worked off in the turn of whoever closed: nobody more urgent than that waits for it, however
/// urgent the server is.
fn a_close_is_as_urgent_as_its_closer() -> Verdict {
    let [middle, low] = below()?;
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let to = sys::mint(endpoint, 1, Rights::CALL)?;
    let done = Arc::new(AtomicBool::new(false));
    let theirs = done.clone();
    let server = Thread::with_priority(own_priority(), move || {
        if let Ok(Event::Closed { .. }) = sys::reply_recv(endpoint, &Reply::NONE, FOREVER) {
            work();
            let forgotten = sys::forgotten(endpoint);
            theirs.store(forgotten.is_ok(), Ordering::Release);
        }
    })?;
    rest(2)?;
    let closer = Thread::with_priority(low, move || {
        let _ = sys::handle_drop(to);
    })?;
    // Long enough for the close to begin, and too short for it to end.
    sys::reply_recv(scope.endpoint()?, &Reply::NONE, sys::clock() + WORK / 2)?;
    let spinner = Spinner::start(middle)?;
    rest(5)?;
    let early = done.load(Ordering::Acquire);
    spinner.stop()?;
    closer.join()?;
    server.join()?;
    ensure!(!early, "the close was worked off while a thread span that is more urgent than its closer");
    ensure!(done.load(Ordering::Acquire), "the close was not worked off");
    Ok(())
}

/// When the server receives again, it is as urgent as it was.
fn urgency_ends_with_the_request() -> Verdict {
    let [middle, low] = below()?;
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let to = scope.connection(endpoint, 1)?;
    let after = Arc::new(AtomicBool::new(false));
    let theirs = after.clone();
    let server = Thread::with_priority(low, move || {
        if let Some(token) = next(endpoint, &Reply::NONE) {
            // Nothing more comes: it goes on by itself.
            let _ = sys::reply_recv(endpoint, &Reply::words(token, [1; 6]), sys::clock() + WORK);
            theirs.store(true, Ordering::Release);
        }
    })?;
    rest(2)?;
    let spinner = Spinner::start(middle)?;
    let called = call_past(&spinner, to);
    rest(5)?;
    let early = after.load(Ordering::Acquire);
    spinner.stop()?;
    server.join()?;
    called?;
    ensure!(!early, "after the request the server still ran before a more urgent thread");
    ensure!(after.load(Ordering::Acquire), "the server did not go on");
    Ok(())
}

/// A client who has all its work done by a server has no more time than its equal.
fn a_turn_goes_with_the_call() -> Verdict {
    let scope = Scope::of(16)?;
    let endpoint = scope.endpoint()?;
    let to = scope.connection(endpoint, 1)?;
    let [own, low] = below()?;
    let _server = server(endpoint, None, low)?;
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let client = Thread::with_priority(own, move || {
        while !theirs.load(Ordering::Acquire) {
            // If it fails, the client is charged nothing, which the test sees.
            let _ = sys::call(to, Flags::empty(), 0, [0; 6], FOREVER);
        }
    })?;
    let spinner = Spinner::start(own)?;
    let before = [cpu_time(client.handle())?, cpu_time(spinner.thread.handle())?];
    rest(100)?;
    let after = [cpu_time(client.handle())?, cpu_time(spinner.thread.handle())?];
    spinner.stop()?;
    stop.store(true, Ordering::Release);
    client.join()?;
    let [served, alone] = [after[0] - before[0], after[1] - before[1]];
    let fair = served.min(alone) * 3 > served.max(alone) * 2;
    ensure!(fair, "a client and its server had {served} ns, and their equal {alone} ns");
    Ok(())
}
