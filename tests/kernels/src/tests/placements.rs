//! Deadlines of calls hold wherever the service lives.

use parley_abi::linux::{Plain, Timespec, nr};
use parley_abi::msg::Flags;
use parley_abi::{Errno, slot};
use parley_proto::calltable::TABLE;
use parley_rt::sys;

use crate::tool::machine::within;
use crate::tool::verdict::Verdict;

tests![a_service_that_keeps_a_call];

/// `nanosleep` for a third of a second, by a caller that waits for 20 ms.
fn a_service_that_keeps_a_call() -> Verdict {
    let label = TABLE[nr::NANOSLEEP as usize].label;
    let duration = Timespec { sec: 0, nsec: 333_000_000 };
    let words = [duration.bytes().as_ptr().expose_provenance() as u64, size_of::<Timespec>() as u64, 0, 0, 0, 0];
    let time = slot::of_service(slot::service::TIME);
    let start = sys::clock();
    // SAFETY: the words describe `duration`, which is only read.
    let called = unsafe { sys::call_lending(time, Flags::LEND_READ, label, words, within(20)) };
    let took = (sys::clock() - start) / 1_000_000;
    ensure_eq!(called, Err(Errno::ETIMEDOUT), "a call that its service keeps, after {took} ms");
    ensure!((20..200).contains(&took), "a deadline of 20 ms took {took} ms");
    Ok(())
}
