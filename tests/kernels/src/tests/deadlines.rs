//! Waiting ends: by deadline, by cancelling, and where it could only go round in circles.

use parley_abi::Errno;
use parley_abi::linux::{Timespec, nr};
use parley_abi::msg::{Flags, POLL};
use parley_posix as posix;
use parley_rt::sys::{self, Event, Reply};

use crate::tool::client::{Client, Message, answer, event, receive};
use crate::tool::machine::{MILLISECOND, soon, within};
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![
    call_times_out,
    received_call_times_out,
    receive_times_out,
    cancelled_call,
    cancel_needs_a_waiter,
    self_call,
    posix_calls_within_a_deadline
];

/// How late a deadline may be: the other threads of the machine run too.
const SLACK: u64 = 50 * MILLISECOND;

fn on_time(deadline: u64) -> Verdict {
    let now = sys::clock();
    ensure!(now >= deadline, "woken {} ns early", deadline - now);
    ensure!(now - deadline < SLACK, "woken {} ns late", now - deadline);
    Ok(())
}

fn call_times_out() -> Verdict {
    let scope = Scope::new()?;
    let connection = scope.connection(scope.endpoint()?, 1)?;
    let call = |deadline| sys::call(connection, Flags::empty(), 0, [0; 6], deadline);
    ensure_eq!(call(POLL), Err(Errno::ETIMEDOUT), "with a deadline in the past");
    for milliseconds in [1, 5, 20] {
        let deadline = within(milliseconds);
        ensure_eq!(call(deadline), Err(Errno::ETIMEDOUT), "after {milliseconds} ms");
        on_time(deadline)?;
    }
    Ok(())
}

/// The server hears that nobody waits any more, and its answer goes nowhere.
fn received_call_times_out() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let client = Client::start(Message { deadline: within(20), ..Message::new(connection, [0; 6]) })?;
    let token = receive(endpoint)?.token;
    ensure_eq!(client.result()?, Err(Errno::ETIMEDOUT), "the call");
    ensure_eq!(answer(endpoint, token, [1; 6]), Err(Errno::ESTALE), "answering it");
    let heard = event(endpoint)?;
    ensure!(matches!(heard, Event::Cancel { token: gone } if gone == token), "the server heard {heard:?}");
    Ok(())
}

fn receive_times_out() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    for milliseconds in [1, 5, 20] {
        let deadline = within(milliseconds);
        let event = sys::reply_recv(endpoint, &Reply::NONE, deadline)?;
        ensure!(matches!(event, Event::Timeout), "after {milliseconds} ms: {event:?}");
        on_time(deadline)?;
    }
    Ok(())
}

fn cancelled_call() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    let token = receive(endpoint)?.token;
    sys::cancel(client.thread())?;
    let heard = event(endpoint)?;
    ensure!(matches!(heard, Event::Cancel { token: asked } if asked == token), "the server heard {heard:?}");
    sys::reply(endpoint, &Reply::done(token, Errno::EINTR.negated()))?;
    let words = client.result()?.map(|(_, words)| words[0] as i64);
    ensure_eq!(words, Ok(Errno::EINTR.negated()), "the answer");
    Ok(())
}

fn cancel_needs_a_waiter() -> Verdict {
    let thread = Thread::start(|| {})?;
    let handle = thread.handle();
    sys::yield_now();
    ensure_eq!(sys::cancel(handle), Err(Errno::ESRCH), "cancelling a thread that does not wait");
    thread.join()
}

/// The thread that received last on an endpoint serves it: if it calls it, it waits for itself.
fn self_call() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let client = Client::start(Message::new(connection, [0; 6]))?;
    let token = receive(endpoint)?.token;
    let called = sys::call(connection, Flags::empty(), 0, [0; 6], soon());
    ensure_eq!(called, Err(Errno::EDEADLK), "the server of an endpoint calling it");
    answer(endpoint, token, [1; 6])?;
    ensure_eq!(client.result()?, Ok((0, [1; 6])), "the request that the server had");
    Ok(())
}

/// A POSIX call that waits for a server ends in time; one that sends nothing is none the worse for a deadline.
fn posix_calls_within_a_deadline() -> Verdict {
    let errno = |errno: Errno| errno.negated();
    ensure_eq!(sys::row(nr::SCHED_YIELD, [0; 6], POLL), 0, "sched_yield");
    ensure_eq!(sys::row(nr::CLOSE, [9_999, 0, 0, 0, 0, 0], POLL), errno(Errno::EBADF), "close");
    ensure_eq!(sys::row(u16::MAX, [0; 6], soon()), errno(Errno::ENOSYS), "a number of no call");
    ensure_eq!(sys::row(nr::GETPID, [0; 6], soon()), posix::getpid().into(), "getpid");
    let long = Timespec::from_nanoseconds(10_000 * MILLISECOND);
    let sleep = [core::ptr::from_ref(&long).expose_provenance() as u64, 0, 0, 0, 0, 0];
    let deadline = within(5);
    ensure_eq!(sys::row(nr::NANOSLEEP, sleep, deadline), errno(Errno::ETIMEDOUT), "nanosleep");
    on_time(deadline)
}
