//! Handles: rights only shrink, and what is dropped is gone.

use parley_abi::call::{Rights, kind, prot};
use parley_abi::msg::{Flags, POLL};
use parley_abi::{Errno, slot};
use parley_rt::sys::{self, LOWEST_FREE, NewThread, Reply};

use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![kinds_and_rights, rights_only_shrink, missing_rights, dropped_handles, slots_must_be_free, granted_handles];

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
