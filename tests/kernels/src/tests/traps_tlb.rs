//! Translations that are gone: nobody reads, writes or executes what was unmapped, however it was cached.

use parley_abi::PAGE;
use parley_abi::call::prot;
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, NewThread};

use crate::tool::assembly::DONE;
use crate::tool::sandbox::{CODE_AT, Fault, Sandbox};
use crate::tool::verdict::Verdict;

tests![
    writes_after_unmap,
    writes_after_remapping_read_only,
    writes_while_another_thread_unmaps,
    execution_after_unmap,
    execution_of_data,
    freed_pages_are_not_seen
];

const BREAKPOINT: u64 = 3;
const INVALID_OPCODE: u64 = 6;
const PAGE_FAULT: u64 = 14;
/// The page that comes and goes.
const PLACE: u64 = 0x60_0000;
const READ_WRITE: u64 = prot::READ | prot::WRITE;

/// `mov byte [PLACE], 1; int3; mov byte [PLACE], 2; ud2`.
const WRITE_TWICE: [u8; 19] =
    [0xc6, 0x04, 0x25, 0, 0, 0x60, 0, 1, 0xcc, 0xc6, 0x04, 0x25, 0, 0, 0x60, 0, 2, DONE[0], DONE[1]];

/// Runs the first write, which puts the translation into the TLB.
fn written_once() -> Verdict<(Sandbox, u32, Fault)> {
    let mut sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(1)?;
    sys::map(sandbox.space, mem, PLACE, 0, 1, READ_WRITE)?;
    let fault = sandbox.run(&WRITE_TWICE)?;
    ensure_eq!(fault.vector, BREAKPOINT, "between the writes");
    Ok((sandbox, mem, fault))
}

fn first_byte(mem: u32) -> Verdict<u8> {
    let mut byte = [0];
    sys::mem_read(mem, 0, &mut byte)?;
    Ok(byte[0])
}

fn writes_after_unmap() -> Verdict {
    let (mut sandbox, mem, fault) = written_once()?;
    // SAFETY: another address space.
    unsafe { sys::unmap(sandbox.space, PLACE, 1) }?;
    let fault = sandbox.resume(fault)?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE), "the write after the page was unmapped");
    ensure_eq!(first_byte(mem)?, 1, "what was written");
    sys::map(sandbox.space, mem, PLACE, 0, 1, READ_WRITE)?;
    ensure_eq!(sandbox.resume(fault)?.vector, INVALID_OPCODE, "the write after it was mapped again");
    ensure_eq!(first_byte(mem)?, 2, "what was written in the end");
    Ok(())
}

fn writes_after_remapping_read_only() -> Verdict {
    let (mut sandbox, mem, fault) = written_once()?;
    // SAFETY: another address space.
    unsafe { sys::unmap(sandbox.space, PLACE, 1) }?;
    sys::map(sandbox.space, mem, PLACE, 0, 1, prot::READ)?;
    let fault = sandbox.resume(fault)?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE), "the write to what can only be read now");
    ensure_eq!(first_byte(mem)?, 1, "what was written");
    Ok(())
}

/// One thread of the space writes in a loop, and another unmaps under its feet.
fn writes_while_another_thread_unmaps() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(1)?;
    sys::map(sandbox.space, mem, PLACE, 0, 1, READ_WRITE)?;
    // The own space is in slot 100 of the sandbox.
    sys::handle_grant(sandbox.space, sandbox.space, 100, parley_abi::call::Rights::all())?;
    // again: inc dword [PLACE]; jmp again
    let mut code = alloc::vec![0xff, 0x04, 0x25, 0, 0, 0x60, 0, 0xeb, 0xf7];
    let second = code.len() as u64;
    let unmap = [Some(100), Some(PLACE as u32), Some(1)];
    code.extend(crate::tool::assembly::call(parley_abi::call::UNMAP, &unmap));
    // jmp to itself, so that only the writer faults
    code.extend([0xeb, 0xfe]);
    sandbox.start(&code)?;
    let new = NewThread { entry: CODE_AT + second, stack: 0, argument: 0, priority: own_priority() };
    // SAFETY: another address space.
    let other = unsafe { sys::thread_create(sandbox.space, sandbox.scope().quota(), new) }?;
    sys::thread_start(other)?;
    let fault = sandbox.fault()?;
    sys::thread_kill(other)?;
    sys::handle_drop(other)?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE), "the writer");
    let mut count = [0; 4];
    sys::mem_read(mem, 0, &mut count)?;
    ensure!(u32::from_le_bytes(count) > 0, "the writer never wrote");
    Ok(())
}

/// The page that executes goes away while it does.
fn execution_after_unmap() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(1)?;
    sys::mem_write(mem, 0, &[0xcc, DONE[0], DONE[1]])?;
    sys::map(sandbox.space, mem, PLACE, 0, 1, prot::READ | prot::EXECUTE)?;
    // mov eax, PLACE; jmp rax
    let fault = sandbox.run(&[0xb8, 0, 0, 0x60, 0, 0xff, 0xe0])?;
    ensure_eq!((fault.vector, fault.at), (BREAKPOINT, PLACE + 1), "in the page");
    // SAFETY: another address space.
    unsafe { sys::unmap(sandbox.space, PLACE, 1) }?;
    let fault = sandbox.resume(fault)?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE + 1), "after it was unmapped");
    sys::map(sandbox.space, mem, PLACE, 0, 1, prot::READ)?;
    let fault = sandbox.resume(fault)?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE + 1), "mapped again as data");
    Ok(())
}

fn execution_of_data() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(1)?;
    sys::mem_write(mem, 0, &DONE)?;
    for protection in [prot::READ, READ_WRITE] {
        sys::map(sandbox.space, mem, PLACE, 0, 1, protection)?;
        let fault = sandbox.run(&[0xb8, 0, 0, 0x60, 0, 0xff, 0xe0])?;
        ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, PLACE), "executing protection {protection}");
        // SAFETY: another address space.
        unsafe { sys::unmap(sandbox.space, PLACE, 1) }?;
    }
    for protection in [prot::WRITE | prot::EXECUTE, READ_WRITE | prot::EXECUTE] {
        let mapped = sys::map(sandbox.space, mem, PLACE, 0, 1, protection);
        ensure_eq!(mapped, Err(parley_abi::Errno::EINVAL), "mapping for writing and execution");
    }
    Ok(())
}

/// A page that was freed and given to another reads as zeros there.
fn freed_pages_are_not_seen() -> Verdict {
    for _ in 0..4 {
        let (sandbox, mem, _) = written_once()?;
        sys::mem_write(mem, 0, &[0x5a; PAGE])?;
        drop(sandbox);
        let other = Sandbox::new()?;
        let fresh = other.scope().mem(16)?;
        let mut bytes = [1; PAGE];
        for page in 0..16 {
            sys::mem_read(fresh, page * PAGE as u64, &mut bytes)?;
            ensure!(bytes.iter().all(|&byte| byte == 0), "a new page holds bytes of another process");
        }
    }
    Ok(())
}
