//! Bombs: whatever a process makes without end, the others are answered within 100 ms.
//!
//! The bomb is code in a sandbox with a quota of its own and the priority of every program. Beside it the
//! test does what a shell does, again and again, and measures how long each round takes.

use alloc::vec::Vec;
use parley_abi::call::{
    CALL, ENDPOINT_CREATE, MAP, MEM_CREATE, NOTIFY, QUOTA_CREATE, Rights, SPACE_CREATE, THREAD_CREATE, THREAD_START,
};
use parley_posix as posix;
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, NewThread};

use crate::tool::assembly::{call, call_with_result};
use crate::tool::machine::{MILLISECOND, mem_info, within};
use crate::tool::sandbox::{CODE_AT, Sandbox};
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};
use parley_programs::bench::counts_instructions;

tests![
    space_bomb,
    thread_bomb,
    endpoint_bomb,
    quota_bomb,
    mapping_bomb,
    notification_storm,
    many_callers_on_one_endpoint,
    process_bomb
];

/// Slots of the sandbox: its address space, what pays, and what it calls or notifies.
const SPACE: u32 = 2000;
const QUOTA: u32 = 2001;
const PEER: u32 = 2002;
/// How long a round of a shell may take (issue: the shell answers within 100 ms).
const PATIENCE: u64 = 100 * MILLISECOND;
/// Rounds of the shell, and threads that call one endpoint.
const ROUNDS: u32 = 20;
const CALLERS: u32 = 1000;
/// How long the programs of a process bomb go on, in milliseconds.
const BURNING: u64 = 500;
/// Pages for so many threads.
const CALLER_PAGES: u64 = 150;

/// A sandbox that has handles to itself.
fn armed() -> Verdict<Sandbox> {
    let sandbox = Sandbox::new()?;
    sys::handle_grant(sandbox.space, sandbox.space, SPACE, Rights::all())?;
    sys::handle_grant(sandbox.space, sandbox.scope().quota(), QUOTA, Rights::all())?;
    let endpoint = sandbox.scope().endpoint()?;
    let connection = sandbox.scope().connection(endpoint, 1)?;
    sys::handle_grant(sandbox.space, connection, PEER, Rights::all())?;
    Ok(sandbox)
}

/// `code` again and again.
fn for_ever(mut code: Vec<u8>) -> Vec<u8> {
    let back = -(code.len() as i32 + 5);
    code.push(0xe9);
    code.extend(back.to_le_bytes());
    code
}

/// Sets the bomb off, lives beside it, and looks whether anything is left of it. It should have used at least
/// `fill` tenths of its quota.
fn survive(code: Vec<u8>, fill: u32) -> Verdict {
    let before = {
        drop(armed()?);
        mem_info()?
    };
    let mut bomb = armed()?;
    bomb.start(&for_ever(code))?;
    let lived = live();
    let (used, granted) = sys::quota_info(bomb.scope().quota())?;

    drop(bomb);
    lived?;
    ensure!(used >= granted / 10 * fill, "the bomb did not go off: {used} of {granted} pages are used");
    let after = mem_info()?;
    ensure_eq!((after.threads, after.spaces), (before.threads, before.spaces), "threads and spaces afterwards");
    ensure!(after.free + after.tables + 4 >= before.free + before.tables, "{before:?} became {after:?}");
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}

/// What a shell does with a command, at a distance: look for it, read, sleep a little.
fn live() -> Verdict {
    (0..ROUNDS).try_for_each(round)
}

/// One of its rounds.
fn round(number: u32) -> Verdict {
    let start = sys::clock();
    posix::stat(c"/bin/ls")?;
    let fd = posix::open(c"/dev/zero", 0, 0)?;
    posix::read(fd, &mut [0; 64])?;
    posix::close(fd)?;
    posix::getpid();
    let took = sys::clock() - start;
    ensure!(took < PATIENCE || !counts_instructions(), "round {number} took {} ms", took / MILLISECOND);
    posix::sched_yield();
    Ok(())
}

fn space_bomb() -> Verdict {
    survive(call(SPACE_CREATE, &[Some(QUOTA)]), 8)
}

/// The threads are as urgent as the shell: the more they are, the shorter their turns.
fn thread_bomb() -> Verdict {
    if !counts_instructions() {
        return Err(Trouble::Skip("time is not counted in instructions here".into()));
    }
    let (at, priority) = (CODE_AT as u32, u32::from(own_priority()));
    let create = call(THREAD_CREATE, &[Some(SPACE), Some(QUOTA), Some(at), Some(0), Some(0), Some(priority)]);
    // mov edi, eax: the thread that was made
    let start = [alloc::vec![0x89, 0xc7], call(THREAD_START, &[])].concat();
    survive([create, start].concat(), 8)
}

fn endpoint_bomb() -> Verdict {
    survive(call(ENDPOINT_CREATE, &[Some(QUOTA)]), 1)
}

fn quota_bomb() -> Verdict {
    survive(call(QUOTA_CREATE, &[Some(QUOTA), Some(0)]), 1)
}

/// Memory of a page each, mapped wherever there is nothing: every address needs page tables of its own.
fn mapping_bomb() -> Verdict {
    let make = call(MEM_CREATE, &[Some(QUOTA), Some(1)]);
    // rdx, the address, grows by 2 MiB each time: add rbx, 0x200000; mov rdx, rbx
    let next = alloc::vec![0x48, 0x81, 0xc3, 0, 0, 0x20, 0, 0x48, 0x89, 0xda];
    let map = call_with_result(MAP, &[Some(SPACE), None, None, Some(1), Some(0), Some(1)]);
    survive([make, next, map].concat(), 8)
}

fn notification_storm() -> Verdict {
    survive(call(NOTIFY, &[Some(PEER), Some(1)]), 0)
}

/// Programs that start programs that start programs, through init. It ends by itself, as nobody can catch it.
fn process_bomb() -> Verdict {
    let before = mem_info()?;
    let end = within(BURNING);
    let text = alloc::format!("{}", end / MILLISECOND);
    let first = posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "spawn-bomb", &text])?;
    let (mut lived, mut peak, mut rounds) = (Ok(()), 0, 0);
    while lived.is_ok() && sys::clock() < end {
        lived = round(rounds);
        rounds += 1;
        peak = peak.max(mem_info()?.spaces);
    }
    posix::wait(first)?;
    lived?;
    ensure!(peak > before.spaces + 5, "the bomb did not go off: {} address spaces became {peak}", before.spaces);
    let until = within(10_000);
    while mem_info()?.spaces > before.spaces && sys::clock() < until {
        posix::sched_yield();
    }
    let after = mem_info()?;
    ensure_eq!((after.threads, after.spaces), (before.threads, before.spaces), "threads and spaces afterwards");
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}

/// They all wait for a server that never receives; then it is gone.
fn many_callers_on_one_endpoint() -> Verdict {
    let mut sandbox = armed()?;
    let mut code = alloc::vec![0x45, 0x31, 0xf6]; // xor r14d, r14d: for ever
    code.extend(call(CALL, &[Some(PEER)]));
    sandbox.start(&for_ever(code))?;
    let payer = Scope::of(CALLER_PAGES)?;
    for _ in 1..CALLERS {
        let new = NewThread { entry: CODE_AT, stack: 0, argument: 0, priority: own_priority() };
        // SAFETY: another address space.
        let thread = unsafe { sys::thread_create(sandbox.space, payer.quota(), new) }?;
        payer.keep(Ok(thread))?;
        sys::thread_start(thread)?;
    }
    live()?;
    drop(sandbox);
    live()?;
    drop(payer);
    live()?;
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}
