//! Servers and clients that do what they should not: the other side gets an answer, and the core stays sound.

use alloc::vec::Vec;
use parley_abi::call::{CALL, REPLY_RECV, Rights, THREAD_EXIT, prot};
use parley_abi::msg::{Flags, label};
use parley_abi::{Errno, PAGE};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Event, NewThread, Reply};

use crate::tool::assembly::{DONE, call};
use crate::tool::client::{Client, Message, answer, event, receive};
use crate::tool::machine::{mem_info, within};
use crate::tool::sandbox::{CODE_AT, Sandbox};
use crate::tool::scope::Scope;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    a_server_that_never_replies,
    a_server_that_dies_with_100_requests,
    a_server_that_faults_with_100_requests,
    a_client_that_dies_in_a_call,
    a_client_that_is_killed_in_the_queue,
    a_client_that_changes_its_mappings,
    calls_in_a_cycle,
    cycles_through_a_queue,
    a_fault_cannot_be_cancelled
];

/// Slots of a sandbox: what it calls, what it receives on.
const PEER: u32 = 2000;
const OWN: u32 = 2001;
/// A page of a client that comes and goes.
const PLACE: u64 = 0x60_0000;
/// Requests that a dying server holds.
const HELD: u32 = 100;
/// `xor r14d, r14d`: without a deadline. `xor r13d, r13d`: no reply.
const FOR_EVER: [u8; 3] = [0x45, 0x31, 0xf6];
const NO_REPLY: [u8; 3] = [0x45, 0x31, 0xed];

/// The caller's deadline ends it; the server is told, and what it says afterwards goes nowhere.
fn a_server_that_never_replies() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let message = Message { deadline: within(500), ..Message::new(scope.connection(endpoint, 1)?, [0; 6]) };
    let waiting: Result<Vec<Client>, Errno> = (0..3).map(|_| Client::start(message)).collect();
    let tokens = [receive(endpoint)?.token, receive(endpoint)?.token, receive(endpoint)?.token];
    for client in waiting? {
        ensure_eq!(client.result()?, Err(Errno::ETIMEDOUT), "a call that is never answered");
    }
    for token in tokens {
        ensure_eq!(answer(endpoint, token, [1; 6]), Err(Errno::ESTALE), "the answer that comes too late");
        ensure_eq!(sys::copy_in(endpoint, token, 0, 0, &mut [0; 8]), Err(Errno::ESTALE), "a copy that comes too late");
    }
    Ok(())
}

/// A hundred threads of one sandbox call; each counts in `[DATA_AT]` if its call gives ESTALE, and ends.
struct Crowd {
    sandbox: Sandbox,
    payer: Scope,
}

impl Crowd {
    fn call(endpoint: u32) -> Verdict<Crowd> {
        let sandbox = Sandbox::of(64)?;
        let connection = sandbox.scope().connection(endpoint, 1)?;
        sys::handle_grant(sandbox.space, connection, PEER, Rights::CALL)?;
        let mut code = [&FOR_EVER[..], &call(CALL, &[Some(PEER)])].concat();
        // cmp eax, -ESTALE; jne over; lock inc dword [DATA_AT]; over:
        code.push(0x3d);
        code.extend((Errno::ESTALE.negated() as i32).to_le_bytes());
        code.extend([0x75, 8, 0xf0, 0xff, 0x04, 0x25, 0, 0, 0x50, 0]);
        code.extend(call(THREAD_EXIT, &[]));
        let mut crowd = Crowd { sandbox, payer: Scope::of(64)? };
        crowd.sandbox.start(&code)?;
        for _ in 1..HELD {
            let new = NewThread { entry: CODE_AT, stack: 0, argument: 0, priority: own_priority() };
            // SAFETY: another address space.
            let thread = unsafe { sys::thread_create(crowd.sandbox.space, crowd.payer.quota(), new) }?;
            crowd.payer.keep(Ok(thread))?;
            sys::thread_start(thread)?;
        }
        Ok(crowd)
    }

    /// How many were told that their server is gone, once all have ended.
    fn told(&self) -> Verdict<u32> {
        let (mut count, until) = ([0; 4], within(500));
        while u32::from_le_bytes(count) < HELD && sys::clock() < until {
            sys::yield_now();
            self.sandbox.read_data(0, &mut count)?;
        }
        Ok(u32::from_le_bytes(count))
    }
}

/// `reply_recv` without a reply, again and again: it takes requests and answers none.
fn hoarder() -> Vec<u8> {
    let mut code = [&FOR_EVER[..], &NO_REPLY, &call(REPLY_RECV, &[Some(OWN)])].concat();
    let back = -(code.len() as i8 + 2);
    code.extend([0xeb, back as u8]);
    code
}

/// It owns its endpoint: when what paid for it goes, so does everything that it held.
fn a_server_that_dies_with_100_requests() -> Verdict {
    let threads = mem_info()?.threads;
    let mut server = Sandbox::of(64)?;
    let endpoint = server.scope().endpoint()?;
    sys::handle_grant(server.space, endpoint, OWN, Rights::RECEIVE)?;
    let crowd = Crowd::call(endpoint)?;
    server.start(&hoarder())?;
    // It is as urgent as they are: when it waits again, it has them all.
    for _ in 0..2 * HELD {
        sys::yield_now();
    }
    ensure_eq!(crowd.told()?.min(1), 0, "answers before the server died");
    drop(server);
    ensure_eq!(crowd.told()?, HELD, "callers that heard of the server's death");
    drop(crowd);
    ensure_eq!(mem_info()?.threads, threads, "threads afterwards");
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}

/// It faults with what it has received, and its supervisor takes it down.
fn a_server_that_faults_with_100_requests() -> Verdict {
    let mut server = Sandbox::of(64)?;
    let endpoint = server.scope().endpoint()?;
    sys::handle_grant(server.space, endpoint, OWN, Rights::RECEIVE)?;
    let crowd = Crowd::call(endpoint)?;
    for _ in 0..2 * HELD {
        sys::yield_now();
    }
    let once = [&FOR_EVER[..], &NO_REPLY, &call(REPLY_RECV, &[Some(OWN)])].concat();
    let all: Vec<u8> = core::iter::repeat_n(once, HELD as usize).flatten().chain(DONE).collect();
    ensure_eq!(server.run(&all)?.vector, 6, "the server after {HELD} requests");
    let (_, own) = (crowd.told()?, server);
    drop(own);
    ensure_eq!(crowd.told()?, HELD, "callers that heard of the server's death");
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}

/// The server hears of it, and can do nothing with the token any more.
fn a_client_that_dies_in_a_call() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let mut client = Sandbox::of(64)?;
    sys::handle_grant(client.space, scope.connection(endpoint, 1)?, PEER, Rights::CALL)?;
    let lend = u32::from(CALL) | u32::from(Flags::LEND_WRITE.bits()) << 16;
    // mov eax, CALL | LEND_WRITE; syscall
    let mut code = [&FOR_EVER[..], &call(0, &[Some(PEER), Some(0x50_0000), Some(64)])].concat();
    let at = code.len() - 6;
    code[at..at + 4].copy_from_slice(&lend.to_le_bytes());
    client.start(&code)?;
    let token = receive(endpoint)?.token;
    ensure_eq!(sys::copy_out(endpoint, token, 0, 0, b"still there"), Ok(11), "a copy while it lives");
    client.stop()?;
    let heard = event(endpoint)?;
    ensure!(matches!(heard, Event::Cancel { token: gone } if gone == token), "the server heard {heard:?}");
    ensure_eq!(sys::copy_out(endpoint, token, 0, 0, b"gone"), Err(Errno::ESTALE), "a copy after its death");
    ensure_eq!(sys::reply(endpoint, &Reply::data(token, b"gone")), Err(Errno::ESTALE), "data for the dead");
    ensure_eq!(answer(endpoint, token, [1; 6]), Err(Errno::ESTALE), "an answer for the dead");
    drop(client);
    ensure_eq!(sys::check()?, 0, "the core's invariants");
    Ok(())
}

fn a_client_that_is_killed_in_the_queue() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let connection = scope.connection(endpoint, 1)?;
    let (first, second) =
        (Client::start(Message::new(connection, [1; 6]))?, Client::start(Message::new(connection, [2; 6]))?);
    sys::yield_now();
    sys::thread_kill(first.thread())?;
    let request = receive(endpoint)?;
    ensure_eq!(request.words, [2; 6], "the request of the one that lives");
    answer(endpoint, request.token, [3; 6])?;
    ensure_eq!(second.result()?, Ok((0, [3; 6])), "the answer");
    Ok(())
}

/// A lease is an address, not a page: copies go where it leads at that moment, or nowhere.
fn a_client_that_changes_its_mappings() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let mut client = Sandbox::of(64)?;
    sys::handle_grant(client.space, scope.connection(endpoint, 1)?, PEER, Rights::CALL)?;
    let (first, second) = (client.scope().mem(2)?, client.scope().mem(2)?);
    sys::map(client.space, first, PLACE, 0, 2, prot::READ | prot::WRITE)?;
    let lend = u32::from(CALL) | u32::from(Flags::LEND_WRITE.bits()) << 16;
    let mut code = [&FOR_EVER[..], &call(0, &[Some(PEER), Some(PLACE as u32), Some(2 * PAGE as u32)])].concat();
    let at = code.len() - 6;
    code[at..at + 4].copy_from_slice(&lend.to_le_bytes());
    code.extend(DONE);
    client.start(&code)?;
    let token = receive(endpoint)?.token;
    let copy = |bytes: &[u8]| sys::copy_out(endpoint, token, 0, 0, bytes);
    ensure_eq!(copy(b"first"), Ok(5), "a copy to what is mapped");
    // SAFETY: another address space.
    unsafe { sys::unmap(client.space, PLACE, 2) }?;
    ensure_eq!(copy(b"second"), Err(Errno::EFAULT), "a copy to what is mapped no more");
    let refused = sys::reply(endpoint, &Reply::data(token, b"second"));
    ensure_eq!(refused, Err(Errno::EFAULT), "a reply with data to what is mapped no more");
    sys::map(client.space, second, PLACE, 0, 1, prot::READ)?;
    ensure_eq!(copy(b"third"), Err(Errno::EFAULT), "a copy to what can only be read now");
    // SAFETY: as above.
    unsafe { sys::unmap(client.space, PLACE, 1) }?;
    sys::map(client.space, second, PLACE, 0, 1, prot::READ | prot::WRITE)?;
    ensure_eq!(copy(b"fourth"), Ok(6), "a copy to other memory at the same address");
    ensure_eq!(copy(&[7; 2 * PAGE]), Ok(PAGE), "a copy that runs into what is not mapped");
    let mut bytes = [0; 6];
    sys::mem_read(first, 0, &mut bytes)?;
    ensure_eq!(&bytes, b"first\0", "the memory that was there first");
    sys::mem_read(second, 0, &mut bytes)?;
    ensure_eq!(bytes, [7; 6], "the memory that is there now");
    answer(endpoint, token, [0; 6])?;
    ensure_eq!(client.fault()?.vector, 6, "the client goes on");
    Ok(())
}

/// A sandbox that receives a request on an endpoint of its own and, holding it, calls another.
fn link(own: u32, next: u32) -> Verdict<Sandbox> {
    let mut sandbox = Sandbox::of(64)?;
    sys::handle_grant(sandbox.space, own, OWN, Rights::RECEIVE)?;
    sys::handle_grant(sandbox.space, next, PEER, Rights::CALL)?;
    let code = [
        &FOR_EVER[..],
        &NO_REPLY,
        &call(REPLY_RECV, &[Some(OWN)]),
        &FOR_EVER,
        &call(CALL, &[Some(PEER)]),
        // mov [DATA_AT], rax
        &[0x48, 0x89, 0x04, 0x25, 0, 0, 0x50, 0],
        &DONE,
    ]
    .concat();
    sandbox.start(&code)?;
    sys::yield_now();
    Ok(sandbox)
}

/// What the call of a [`link`] gave, once it has come back.
fn result(sandbox: &mut Sandbox) -> Verdict<i64> {
    ensure_eq!(sandbox.fault()?.vector, 6, "after the call");
    let mut bytes = [0; 8];
    sandbox.read_data(0, &mut bytes)?;
    Ok(i64::from_le_bytes(bytes))
}

/// Three servers, each calling the next while it serves the one before: the last call closes the circle.
fn calls_in_a_cycle() -> Verdict {
    let scope = Scope::of(32)?;
    let ends = [scope.endpoint()?, scope.endpoint()?, scope.endpoint()?];
    let into = [scope.connection(ends[0], 1)?, scope.connection(ends[1], 1)?, scope.connection(ends[2], 1)?];
    let (_one, _two) = (link(ends[0], into[1])?, link(ends[1], into[2])?);
    let mut three = link(ends[2], into[0])?;
    let client = Client::start(Message { deadline: within(1000), ..Message::new(into[0], [0; 6]) })?;
    ensure_eq!(result(&mut three)?, Errno::EDEADLK.negated(), "the call that closes the circle");
    drop(client);
    Ok(())
}

/// The circle is closed by a call that has to queue behind another.
fn cycles_through_a_queue() -> Verdict {
    let scope = Scope::of(32)?;
    let ends = [scope.endpoint()?, scope.endpoint()?];
    let into = [scope.connection(ends[0], 1)?, scope.connection(ends[1], 1)?];
    let _one = link(ends[0], into[1])?;
    let client = Client::start(Message { deadline: within(1000), ..Message::new(into[0], [0; 6]) })?;
    sys::yield_now();
    let second = Client::start(Message { deadline: within(1000), ..Message::new(into[0], [0; 6]) })?;
    sys::yield_now();
    // `_one` serves the first client and waits for us.
    receive(ends[1])?;
    let called = sys::call(into[0], Flags::empty(), 0, [0; 6], within(1000));
    ensure_eq!(called, Err(Errno::EDEADLK), "the call that closes the circle behind another");
    drop((client, second));
    Ok(())
}

/// A thread that waits for what becomes of its fault makes no call that could end early.
fn a_fault_cannot_be_cancelled() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // int3; ud2
    sandbox.start(&[0xcc, DONE[0], DONE[1]])?;
    sys::yield_now();
    let Some(thread) = sandbox.thread() else { fail!("the sandbox has no thread") };
    ensure_eq!(sys::cancel(thread), Err(Errno::ESRCH), "cancelling a fault that nobody has received");
    let fault = sandbox.fault()?;
    ensure_eq!(fault.vector, 3, "the fault");
    ensure_eq!(sys::cancel(thread), Err(Errno::ESRCH), "cancelling a fault that was received");
    let next = sys::reply_recv(sandbox.faults, &Reply::NONE, parley_abi::msg::POLL)?;
    ensure!(matches!(next, Event::Timeout), "the handler heard {next:?}");
    sys::reply(sandbox.faults, &Reply::done(fault.token, 0))?;
    match sys::reply_recv(sandbox.faults, &Reply::NONE, within(1000))? {
        Event::Request { label: label::FAULT, words, .. } => ensure_eq!(words[0], 6, "the next fault"),
        other => return Err(Trouble::Fail(alloc::format!("the thread did not go on: {other:?}"))),
    }
    Ok(())
}
