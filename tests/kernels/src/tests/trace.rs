//! The trace: what it records, that it costs nothing when off, and who may use it.

use alloc::vec::Vec;
use parley_abi::call::{self, Rights};
use parley_abi::linux::nr;
use parley_abi::trace::{EVENTS, Event, kind, mode};
use parley_abi::{Errno, slot};
use parley_posix as posix;
use parley_programs::bench::ticks;
use parley_rt::sys;

use crate::tool::machine::{core_call, mem_info};
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};
use parley_programs::bench::counts_instructions;

tests![records_calls_and_messages, keeps_the_newest, costs_nothing_when_off, needs_the_right, gives_its_memory_back];

/// The events of `work`, and of switching the trace off.
fn recorded(work: impl FnOnce()) -> Result<Vec<Event>, Trouble> {
    sys::trace(mode::ON)?;
    work();
    sys::trace(mode::PAUSE)?;
    let (mut events, mut part) = (Vec::new(), [Event::default(); 8]);
    loop {
        let count = sys::trace_read(&mut part)?;
        events.extend(&part[..count]);
        if count == 0 {
            sys::trace(mode::OFF)?;
            return Ok(events);
        }
    }
}

fn records_calls_and_messages() -> Verdict {
    let pid = posix::getpid();
    let events = recorded(|| {
        sys::null();
        posix::getpid();
    })?;
    // Not the first call of all: a heartbeat may come between.
    let is_null = |event: &&Event| event.kind == kind::CALL && event.words[0] == u64::from(call::NULL);
    let own = events.iter().find(is_null).map(|event| event.thread);
    let own: Vec<_> = events.iter().filter(|event| Some(event.thread) == own).collect();
    let at = |kind: u32, first: u64| own.iter().position(|event| event.kind == kind && event.words[0] == first);
    let (null, getpid) = (at(kind::CALL, u64::from(call::NULL)), at(kind::CALL, u64::from(nr::GETPID)));
    ensure!(null.is_some() && null < getpid, "null at {null:?}, getpid at {getpid:?} of {own:?}");
    let label = u64::from(parley_proto::process::label::getpid);
    let message = own.iter().position(|event| event.kind == kind::MESSAGE && event.words[0] & 0xffff_ffff == label);
    ensure!(message > getpid, "the message of getpid at {message:?} of {own:?}");
    let answer = own.iter().skip(message.unwrap_or(0)).find(|event| event.kind == kind::RETURN);
    ensure_eq!(answer.map(|event| event.words[0]), Some(pid as u64), "what getpid returned");
    ensure!(events.is_sorted_by_key(|event| event.time), "time goes on: {events:?}");
    Ok(())
}

fn keeps_the_newest() -> Verdict {
    let events = recorded(|| (0..EVENTS).for_each(|_| assert_eq!(sys::null(), 0)))?;
    ensure_eq!(events.len(), EVENTS + 1, "the ring and a word of what it lost");
    ensure_eq!(events[0].kind, kind::LOST, "the first event");
    ensure!(events[0].words[0] >= EVENTS as u64, "each call is two events: {:?}", events[0]);
    Ok(())
}

/// Ticks of the time stamp counter that the cheapest of many null calls took.
fn cheapest_null() -> u64 {
    let one = || {
        let start = ticks();
        sys::null();
        ticks() - start
    };
    (0..1000).map(|_| one()).min().unwrap_or(0)
}

fn costs_nothing_when_off() -> Verdict {
    if !counts_instructions() {
        return Err(Trouble::Skip("time is not counted in instructions here".into()));
    }
    let before = cheapest_null();
    sys::trace(mode::ON)?;
    let on = cheapest_null();
    sys::trace(mode::OFF)?;
    let after = cheapest_null();
    ensure_eq!(after, before, "instructions of a null call, before and after a trace");
    ensure!(on > before, "a null call took {before}, and {on} in a trace");
    Ok(())
}

fn needs_the_right() -> Verdict {
    let scope = Scope::new()?;
    let weak = scope.keep(sys::handle_copy(slot::SYSTEM, sys::LOWEST_FREE, Rights::READ))?;
    for (number, second) in [(call::TRACE, mode::ON), (call::TRACE_READ, 0), (call::THREADS_DUMP, 0), (call::CHECK, 0)]
    {
        // SAFETY: calls that are refused touch nothing.
        let refused = unsafe { core_call(number, [u64::from(weak), second, 0, 0, 0, 0]) };
        ensure_eq!(refused, Errno::EPERM.negated(), "call {number:#x} with no more than READ");
    }
    ensure_eq!(sys::threads_dump(), Err(Errno::EPERM), "a list of all threads, by a program");
    ensure_eq!(sys::trace(99), Err(Errno::EINVAL), "mode 99");
    Ok(())
}

fn gives_its_memory_back() -> Verdict {
    let before = mem_info()?.free;
    for _ in 0..100 {
        sys::trace(mode::ON)?;
        sys::trace(mode::ON)?;
        sys::trace(mode::OFF)?;
        sys::trace(mode::OFF)?;
    }
    ensure_eq!(mem_info()?.free, before, "free pages after 100 traces");
    Ok(())
}
