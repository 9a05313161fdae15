//! Nothing leaks: every kind of kernel object made and destroyed 100,000 times, and not a page is missing.
//!
//! Interrupts and port grants take the word `hardware` on the kernel's command line; without it they are skipped. Where
//! instructions are counted all are: an emulator then takes each iteration of a `rep` for itself, and pages are cleared here
//! half a million times.

use parley_abi::call::{MemInfo, Rights, prot};
use parley_abi::msg::POLL;
use parley_abi::row::Row;
use parley_abi::{Errno, slot};
use parley_programs::bench::counts_instructions;
use parley_rt::sys::{self, Event, LOWEST_FREE, NewThread, Reply};

use crate::tool::client::{answer, forget};
use crate::tool::machine::mem_info;
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    quotas_leak_nothing,
    memory_leaks_nothing,
    spaces_leak_nothing,
    mappings_leak_nothing,
    threads_leak_nothing,
    endpoints_leak_nothing,
    connections_leak_nothing,
    revoked_connections_leak_nothing,
    tables_leak_nothing,
    submissions_leak_nothing,
    copies_leak_nothing,
    interrupts_leak_nothing,
    port_grants_leak_nothing
];

/// How often each object is made.
const TIMES: u32 = 100_000;
/// Rounds before the first look: tables of objects and of handles grow in them, and keep their size.
const FIRST: u32 = 8;

/// All that could have leaked: the machine's memory and objects, and pages of the two quotas that pay.
fn state(scope: &Scope) -> Verdict<(MemInfo, [(u32, u32); 2])> {
    Ok((mem_info()?, [sys::quota_info(scope.quota())?, sys::quota_info(slot::QUOTA)?]))
}

/// Makes and destroys something [`TIMES`] times.
fn repeat(scope: &Scope, round: impl Fn() -> Verdict) -> Verdict {
    if counts_instructions() {
        return Err(Trouble::Skip("clearing pages takes too long where instructions are counted".into()));
    }
    (0..FIRST).try_for_each(|_| round())?;
    let before = state(scope)?;
    (0..TIMES).try_for_each(|_| round())?;
    ensure_eq!(state(scope)?, before, "memory, pages of the scope, own pages after {TIMES} rounds");
    Ok(())
}

fn quotas_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    repeat(&scope, || {
        let quota = sys::quota_create(scope.quota(), 2)?;
        sys::handle_drop(sys::endpoint_create(quota)?)?;
        // SAFETY: it paid for nothing that this program uses.
        unsafe { sys::quota_destroy(quota) }?;
        Ok(sys::handle_drop(quota)?)
    })
}

fn memory_leaks_nothing() -> Verdict {
    let scope = Scope::new()?;
    repeat(&scope, || {
        let mem = sys::mem_create(scope.quota(), 3)?;
        sys::mem_write(mem, 0x1ffc, &[1; 8])?;
        Ok(sys::handle_drop(mem)?)
    })
}

/// With a handle and a page in it, which go with it.
fn spaces_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(1)?;
    repeat(&scope, || {
        let space = sys::space_create(scope.quota())?;
        sys::map(space, mem, 0x10_0000, 0, 1, prot::READ)?;
        sys::handle_grant(space, mem, slot::FREE, Rights::READ)?;
        Ok(sys::handle_drop(space)?)
    })
}

fn mappings_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let space = scope.keep(sys::space_create(scope.quota()))?;
    repeat(&scope, || {
        let mem = sys::mem_create(scope.quota(), 3)?;
        sys::map(space, mem, 0x10_0000, 0, 3, prot::READ | prot::WRITE)?;
        sys::handle_drop(mem)?;
        // The middle first, so that the region is split.
        // SAFETY: another address space.
        unsafe { sys::unmap(space, 0x10_1000, 1) }?;
        // SAFETY: as above.
        Ok(unsafe { sys::unmap(space, 0x10_0000, 3) }?)
    })
}

fn threads_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let space = scope.keep(sys::space_create(scope.quota()))?;
    repeat(&scope, || {
        let new = NewThread { entry: 0x1000, stack: 0, argument: 0, priority: 1 };
        // SAFETY: another address space.
        let thread = unsafe { sys::thread_create(space, scope.quota(), new) }?;
        sys::thread_start(thread)?;
        sys::thread_kill(thread)?;
        Ok(sys::handle_drop(thread)?)
    })
}

fn endpoints_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    repeat(&scope, || {
        let endpoint = sys::endpoint_create(scope.quota())?;
        sys::notify(endpoint, 1)?;
        Ok(sys::handle_drop(endpoint)?)
    })
}

/// Closed by its last handle, and forgotten by its server.
fn connections_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    repeat(&scope, || {
        sys::handle_drop(sys::mint(endpoint, 7, Rights::CALL)?)?;
        match sys::reply_recv(endpoint, &Reply::NONE, POLL)? {
            closed @ Event::Closed { .. } => forget(endpoint, &closed, 7),
            other => Err(Trouble::Fail(alloc::format!("expected CLOSED, got {other:?}"))),
        }
    })
}

fn revoked_connections_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    repeat(&scope, || {
        let connection = sys::mint(endpoint, 8, Rights::CALL)?;
        sys::revoke(endpoint, 8)?;
        Ok(sys::handle_drop(connection)?)
    })
}

fn tables_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let rows = [Row::NONE; 20];
    repeat(&scope, || {
        let table = sys::table_create(scope.quota(), &rows)?;
        Ok(sys::handle_drop(table)?)
    })
}

/// Sent, received, answered, and the answer collected, all by this thread.
fn submissions_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let (server, own) = (scope.endpoint()?, scope.endpoint()?);
    let connection = scope.connection(server, 1)?;
    let rights = Rights::RECEIVE | Rights::MINT | Rights::NOTIFY;
    if sys::handle_copy(own, u64::from(slot::ENDPOINT), rights).is_err() {
        return Err(Trouble::Skip("slot ENDPOINT is taken".into()));
    }
    let verdict = repeat(&scope, || {
        sys::submit(connection, 1, [1; 6], 42)?;
        let Event::Request { token, .. } = sys::reply_recv(server, &Reply::NONE, POLL)? else {
            fail!("the submission did not arrive");
        };
        answer(server, token, [2; 6])?;
        match sys::reply_recv(own, &Reply::NONE, POLL)? {
            Event::Done { cookie: 42, .. } => Ok(()),
            other => Err(Trouble::Fail(alloc::format!("expected DONE, got {other:?}"))),
        }
    });
    sys::handle_drop(slot::ENDPOINT)?;
    verdict
}

/// Handles themselves: copied, moved, narrowed, dropped.
fn copies_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    let space = scope.keep(sys::space_create(scope.quota()))?;
    let mem = sys::mem_create(scope.quota(), 1)?;
    repeat(&scope, || {
        let copy = sys::handle_copy(mem, LOWEST_FREE, Rights::READ)?;
        let own = sys::handle_copy(space, LOWEST_FREE, Rights::MANAGE)?;
        sys::handle_move(slot::SPACE, copy, slot::END - 1, Rights::READ)?;
        sys::handle_drop(slot::END - 1)?;
        Ok(sys::handle_drop(own)?)
    })?;
    sys::handle_drop(mem)?;
    ensure_eq!(sys::handle_info(mem).map(drop), Err(Errno::EBADF), "the memory's last handle");
    Ok(())
}

/// What was asked of the hardware, or that this program may have none.
fn granted<T>(asked: Result<T, Errno>) -> Verdict<T> {
    asked.map_err(|errno| match errno {
        Errno::EPERM => Trouble::Skip("this program may have no interrupts and ports (the word `hardware`)".into()),
        errno => errno.into(),
    })
}

/// A line of the first chip that no driver has.
fn free_line() -> Verdict<u32> {
    for line in 5..16 {
        match sys::irq_create(line) {
            Err(Errno::EBUSY) => {}
            irq => {
                sys::handle_drop(granted(irq)?)?;
                return Ok(line);
            }
        }
    }
    fail!("every line is taken")
}

/// Taken, bound to an endpoint, acknowledged, and given back by the last handle.
fn interrupts_leak_nothing() -> Verdict {
    let line = free_line()?;
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    repeat(&scope, || {
        let irq = sys::irq_create(line)?;
        ensure_eq!(sys::irq_create(line), Err(Errno::EBUSY), "taking line {line} twice");
        sys::irq_bind(irq, endpoint, 1)?;
        sys::irq_ack(irq)?;
        sys::handle_drop(irq)?;
        ensure_eq!(sys::irq_ack(irq), Err(Errno::EBADF), "acknowledging what is gone");
        Ok(())
    })
}

/// Two grants to each address space, which go with it: the core has memory for those of seven at a time.
fn port_grants_leak_nothing() -> Verdict {
    let scope = Scope::new()?;
    repeat(&scope, || {
        let space = sys::space_create(scope.quota())?;
        granted(sys::port_grant(space, 0x80, 1))?;
        sys::port_grant(space, 0x2f8, 8)?;
        Ok(sys::handle_drop(space)?)
    })
}
