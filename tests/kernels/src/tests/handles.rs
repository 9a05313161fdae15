//! Handles: rights only shrink, and what is dropped is gone.

use parley_abi::call::{Rights, kind, prot};
use parley_abi::msg::{Flags, POLL};
use parley_abi::{Errno, slot};
use parley_rt::sys::{self, Event, LOWEST_FREE, NewThread, Reply};

use crate::tool::assembly::{DONE, call};
use crate::tool::client::{Client, Message, answer, event, forget, receive};
use crate::tool::machine::soon;
use crate::tool::sandbox::Sandbox;
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![
    kinds_and_rights,
    rights_only_shrink,
    missing_rights,
    dropped_handles,
    slots_must_be_free,
    granted_handles,
    moved_handles,
    badges_are_the_servers,
    revoked_wherever_it_is
];

fn kinds_and_rights() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let made = [
        (endpoint, kind::ENDPOINT),
        (scope.connection(endpoint, 1)?, kind::CONNECTION),
        (scope.quota(), kind::QUOTA),
        (scope.mem(1)?, kind::MEM),
        (scope.keep(sys::space_create(scope.quota()))?, kind::SPACE),
        (slot::SYSTEM, kind::SYSTEM),
    ];
    for (handle, wanted) in made {
        ensure_eq!(sys::handle_info(handle)?.0, wanted, "kind of handle {handle}");
    }
    let connection = sys::handle_info(made[1].0)?.1;
    ensure_eq!(connection, Rights::CALL | Rights::NOTIFY, "rights of a minted connection");
    Ok(())
}

fn rights_only_shrink() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(1)?;
    let reader = scope.keep(sys::handle_copy(mem, LOWEST_FREE, Rights::READ))?;
    ensure_eq!(sys::handle_info(reader)?.1, Rights::READ, "rights of a copy");
    match sys::handle_copy(reader, LOWEST_FREE, Rights::all()) {
        Ok(wider) => {
            let rights = sys::handle_info(scope.keep(Ok(wider))?)?.1;
            ensure!(Rights::READ.contains(rights), "a copy of a copy got {rights:?}");
        }
        Err(errno) => ensure_eq!(errno, Errno::EPERM, "asking for more rights"),
    }
    Ok(())
}

fn missing_rights() -> Verdict {
    let scope = Scope::new()?;
    let without = |handle, rights| scope.keep(sys::handle_copy(handle, LOWEST_FREE, rights));
    let mem = without(scope.mem(1)?, Rights::READ)?;
    ensure_eq!(sys::mem_write(mem, 0, b"x"), Err(Errno::EPERM), "writing to memory without WRITE");
    let space = scope.keep(sys::space_create(scope.quota()))?;
    let mapped = sys::map(space, mem, 0x10_0000, 0, 1, prot::READ | prot::WRITE);
    ensure_eq!(mapped, Err(Errno::EPERM), "mapping for writing without WRITE");
    let mapped = sys::map(space, mem, 0x10_0000, 0, 1, prot::READ | prot::EXECUTE);
    ensure_eq!(mapped, Err(Errno::EPERM), "mapping for execution without EXECUTE");
    let endpoint = scope.endpoint()?;
    let deaf = without(endpoint, Rights::MINT)?;
    let received = sys::reply_recv(deaf, &Reply::NONE, POLL).map(drop);
    ensure_eq!(received, Err(Errno::EPERM), "receiving without RECEIVE");
    let mute = without(scope.connection(endpoint, 1)?, Rights::NOTIFY)?;
    let called = sys::call(mute, Flags::empty(), 0, [0; 6], POLL);
    ensure_eq!(called, Err(Errno::EPERM), "calling without CALL");
    let quota = without(scope.quota(), Rights::empty())?;
    ensure_eq!(sys::mem_create(quota, 1), Err(Errno::EPERM), "spending without MANAGE");
    let space = without(space, Rights::empty())?;
    let new = NewThread { entry: 0x1000, stack: 0, argument: 0, priority: 1 };
    // SAFETY: the thread would be another address space's.
    let thread = unsafe { sys::thread_create(space, scope.quota(), new) };
    ensure_eq!(thread, Err(Errno::EPERM), "a thread in a space without MANAGE");
    ensure_eq!(sys::power(2), Err(Errno::EPERM), "power without EXECUTE");
    Ok(())
}

fn dropped_handles() -> Verdict {
    let scope = Scope::new()?;
    let mem = sys::mem_create(scope.quota(), 1)?;
    sys::handle_drop(mem)?;
    ensure_eq!(sys::handle_drop(mem), Err(Errno::EBADF), "dropping twice");
    ensure_eq!(sys::handle_info(mem).map(drop), Err(Errno::EBADF), "asking about it");
    Ok(())
}

fn slots_must_be_free() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(1)?;
    if sys::handle_copy(mem, u64::from(slot::SPACE), Rights::READ).is_ok() {
        fail!("a copy replaced the handle in slot SPACE");
    }
    for to in [u64::from(slot::END), u64::from(u32::MAX), 1 << 32, u64::MAX - 1] {
        if let Ok(slot) = sys::handle_copy(mem, to, Rights::READ) {
            fail!("copied to slot {to:#x}, which does not exist: {slot}");
        }
    }
    ensure_eq!(sys::handle_info(slot::SPACE)?.0, kind::SPACE, "what is in slot SPACE");
    Ok(())
}

/// A handle granted to another space is that space's, with no more rights.
fn granted_handles() -> Verdict {
    let scope = Scope::new()?;
    let space = scope.keep(sys::space_create(scope.quota()))?;
    let mem = scope.mem(1)?;
    sys::handle_grant(space, mem, slot::FREE, Rights::READ)?;
    let again = sys::handle_grant(space, mem, slot::FREE, Rights::READ);
    ensure!(again.is_err(), "a grant replaced a handle");
    let beyond = sys::handle_grant(space, mem, slot::END, Rights::READ);
    ensure!(beyond.is_err(), "granted to a slot that does not exist");
    let nothing = sys::handle_grant(space, 900, slot::FREE + 1, Rights::READ);
    ensure_eq!(nothing, Err(Errno::EBADF), "granting no handle");
    Ok(())
}

/// A handle is in one place at a time, and its object does not notice: it ends with the last one.
fn moved_handles() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let space = sys::space_create(scope.quota())?;
    let connection = sys::mint(endpoint, 9, Rights::CALL | Rights::NOTIFY)?;
    let taken = sys::handle_move(space, endpoint, slot::END, Rights::all());
    ensure!(taken.is_err(), "moved to a slot that does not exist");
    sys::handle_move(space, connection, slot::FREE, Rights::CALL)?;
    ensure_eq!(sys::handle_info(connection).map(drop), Err(Errno::EBADF), "the slot it was moved from");
    let early = sys::reply_recv(endpoint, &Reply::NONE, POLL)?;
    ensure!(matches!(early, Event::Timeout), "while the other space has it: {early:?}");
    let own = scope.mem(1)?;
    ensure!(sys::handle_move(space, own, slot::FREE, Rights::all()).is_err(), "a move replaced a handle");
    ensure_eq!(sys::handle_info(own)?.0, kind::MEM, "what could not be moved");
    sys::handle_drop(space)?;
    let closed = event(endpoint)?;
    forget(endpoint, &closed, 9)
}

/// Whoever calls, and whatever is copied: the server sees the badge that it minted.
fn badges_are_the_servers() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    for badge in [0, 1, 1 << 40, u64::MAX] {
        let minted = scope.connection(endpoint, badge)?;
        let copy = scope.keep(sys::handle_copy(minted, LOWEST_FREE, Rights::CALL))?;
        for connection in [minted, copy] {
            let client = Client::start(Message::new(connection, [0; 6]))?;
            let request = receive(endpoint)?;
            ensure_eq!(request.badge, badge, "the badge of a request");
            answer(endpoint, request.token, [0; 6])?;
            ensure_eq!(client.result()?, Ok((0, [0; 6])), "the answer");
        }
        let again = sys::mint(copy, badge, Rights::CALL);
        ensure_eq!(again, Err(Errno::EBADF), "minting from a connection");
    }
    Ok(())
}

/// Copies in the own table and in another address space: all of them are stale at once.
fn revoked_wherever_it_is() -> Verdict {
    let scope = Scope::new()?;
    let endpoint = scope.endpoint()?;
    let first = scope.connection(endpoint, 5)?;
    let copy = scope.keep(sys::handle_copy(first, LOWEST_FREE, Rights::CALL))?;
    let second = scope.connection(endpoint, 5)?;
    let mut other = Sandbox::new()?;
    sys::handle_grant(other.space, copy, slot::FREE, Rights::CALL)?;
    sys::revoke(endpoint, 5)?;
    for connection in [first, copy, second] {
        let called = sys::call(connection, Flags::empty(), 0, [0; 6], soon());
        ensure_eq!(called, Err(Errno::ESTALE), "a call on a revoked connection");
    }
    // mov [DATA_AT], rax
    let keep = [0x48, 0x89, 0x04, 0x25, 0, 0, 0x50, 0];
    let code = [&call(parley_abi::call::CALL, &[Some(slot::FREE)])[..], &keep, &DONE].concat();
    ensure_eq!(other.run(&code)?.vector, 6, "the other space");
    let mut result = [0; 8];
    other.read_data(0, &mut result)?;
    ensure_eq!(i64::from_le_bytes(result), Errno::ESTALE.negated(), "a call of the other space");
    Ok(())
}
