//! Fairness: nobody keeps the processor from his equals, and no news piles up on another's account.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use parley_abi::msg::{Flags, POLL};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, Reply};

use crate::tool::client::{Client, Message, receive};
use crate::tool::machine::{MILLISECOND, within};
use crate::tool::scope::Scope;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![equals_run_after_a_reply, short_interruptions_cost_no_turn, cancels_do_not_pile_up];

/// How long the others may wait for their turn: many slices.
const PATIENCE: u64 = 100 * MILLISECOND;

/// A priority below the own.
fn lower() -> Verdict<u8> {
    own_priority().checked_sub(1).ok_or_else(|| Trouble::Skip("there is no lower priority".into()))
}

/// A server that wakes a thread and then answers another of the same priority: the two share.
fn equals_run_after_a_reply() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let (ran, waited) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(u64::MAX)));
    let (seen, result) = (ran.clone(), waited.clone());
    let client = Thread::with_priority(lower()?, move || {
        // If it fails, the test sees that no request arrives.
        let _ = sys::call(connection, Flags::empty(), 0, [0; 6], 0);
        let start = sys::clock();
        while !seen.load(Ordering::Acquire) && sys::clock() - start < 5 * PATIENCE {}
        result.store(sys::clock() - start, Ordering::Release);
    })?;
    let request = receive(endpoint)?;
    let equal = Thread::with_priority(lower()?, move || ran.store(true, Ordering::Release))?;
    let none = sys::reply_recv(endpoint, &Reply::words(request.token, [0; 6]), within(1000))?;
    ensure!(matches!(none, Event::Timeout), "after the answer: {none:?}");
    client.join()?;
    equal.join()?;
    let waited = waited.load(Ordering::Acquire);
    ensure!(waited < PATIENCE, "an equal waited {} ms for its turn", waited / MILLISECOND);
    Ok(())
}

/// A thread that is interrupted before its slice ends does not get a new one each time.
fn short_interruptions_cost_no_turn() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let stop = Arc::new(AtomicBool::new(false));
    let counts = [const { AtomicU64::new(0) }; 2];
    let counts = Arc::new(counts);
    let spin = |index: usize| {
        let (counts, stop) = (counts.clone(), stop.clone());
        Thread::with_priority(lower()?, move || {
            while !stop.load(Ordering::Relaxed) {
                counts[index].fetch_add(1, Ordering::Relaxed);
            }
        })
        .map_err(Trouble::from)
    };
    let spinners = [spin(0)?, spin(1)?];
    for _ in 0..100 {
        sys::reply_recv(endpoint, &Reply::NONE, within(2))?;
    }
    let [one, two] = [0, 1].map(|index: usize| counts[index].load(Ordering::Relaxed));
    stop.store(true, Ordering::Relaxed);
    for spinner in spinners {
        spinner.join()?;
    }
    ensure!(one.min(two) * 4 > one.max(two), "interrupted every 2 ms, equals counted to {one} and {two}");
    Ok(())
}

/// The server pays for the news: however often a call is cancelled, there is one piece of it.
fn cancels_do_not_pile_up() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let client = Client::start(Message::new(scope.connection(endpoint, 1)?, [0; 6]))?;
    let request = receive(endpoint)?;
    let before = sys::quota_info(scope.quota())?;
    for _ in 0..500 {
        sys::cancel(client.thread())?;
    }
    ensure_eq!(sys::quota_info(scope.quota())?, before, "the server's quota, cancelled 500 times");
    let news = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(news, Event::Cancel { token } if token == request.token), "the news: {news:?}");
    let again = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(again, Event::Timeout), "cancelled twice: {again:?}");
    Ok(())
}
