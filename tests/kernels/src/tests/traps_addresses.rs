//! Addresses at the edge of what ring 3 has: instruction pointers and stack pointers that lead nowhere.

use alloc::vec::Vec;
use parley_abi::call::{NULL, prot};
use parley_abi::{Errno, PAGE, USER_END};
use parley_rt::sys::{self, NewThread};

use super::traps_flags::{iretq, iretq_works};
use crate::tool::assembly::DONE;
use crate::tool::sandbox::{CODE_AT, Sandbox};
use crate::tool::verdict::Verdict;

tests![
    system_call_at_the_end_of_user_space,
    the_last_page_cannot_be_mapped,
    threads_that_begin_nowhere,
    iretq_to_nowhere,
    stack_pointers_that_lead_nowhere,
    stack_pointers_at_a_page_fault_and_a_division,
    stack_pointers_at_an_interrupt
];

const DIVISION: u64 = 0;
const INVALID_OPCODE: u64 = 6;
const STACK_FAULT: u64 = 12;
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;

/// Null, misaligned, unmapped, at the end, non-canonical, in the core.
const NOWHERE: [u64; 9] =
    [0, 1, 0x50_0003, 0x7000_0000_0000, USER_END, 1 << 47, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, u64::MAX];

/// `mov rsp, address`, then `code`.
fn with_stack(address: u64, code: &[u8]) -> Vec<u8> {
    let mut bytes = alloc::vec![0x48, 0xbc];
    bytes.extend(address.to_le_bytes());
    bytes.extend(code);
    bytes
}

/// `syscall` as the very last instruction: the return address is the first that ring 3 cannot have, but
/// canonical, so that `sysret` takes it and the fault comes in ring 3 (CVE-2012-0217).
fn system_call_at_the_end_of_user_space() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let last = sandbox.scope().mem(1)?;
    let [low, high] = NULL.to_le_bytes();
    sys::mem_write(last, PAGE as u64 - 7, &[0xb8, low, high, 0, 0, 0x0f, 0x05])?;
    sys::map(sandbox.space, last, USER_END - PAGE as u64, 0, 1, prot::READ | prot::EXECUTE)?;
    // mov rax, USER_END - 7; jmp rax
    let mut code = alloc::vec![0x48, 0xb8];
    code.extend((USER_END - 7).to_le_bytes());
    code.extend([0xff, 0xe0]);
    let fault = sandbox.run(&code)?;
    ensure_eq!((fault.vector, fault.at), (PAGE_FAULT, USER_END), "after a system call at the very end");
    Ok(())
}

fn the_last_page_cannot_be_mapped() -> Verdict {
    let sandbox = Sandbox::new()?;
    let mem = sandbox.scope().mem(2)?;
    for (address, pages) in [(USER_END, 1), (USER_END - PAGE as u64, 2), (1 << 47, 1), (0xffff_8000_0000_0000, 1)] {
        let mapped = sys::map(sandbox.space, mem, address, 0, pages, prot::READ);
        ensure!(mapped.is_err(), "mapped {pages} pages at {address:#x}");
    }
    Ok(())
}

/// A thread whose first instruction is not there: it is refused, or it faults in ring 3.
fn threads_that_begin_nowhere() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for entry in [0, USER_END - 1, USER_END, USER_END + 0xfff, 1 << 47, 1 << 63, 0xffff_8000_0000_0000, u64::MAX] {
        match sandbox.start_at(entry) {
            Ok(()) => {
                let fault = sandbox.fault()?;
                ensure!([PAGE_FAULT, GENERAL_PROTECTION].contains(&fault.vector), "entry {entry:#x}: {fault:?}");
                ensure!(fault.at <= USER_END, "entry {entry:#x} faulted at {:#x}", fault.at);
            }
            Err(Errno::EINVAL) => ensure!(entry >= USER_END, "entry {entry:#x} was refused"),
            Err(errno) => fail!("entry {entry:#x}: {errno}"),
        }
    }
    for stack in NOWHERE {
        let new = NewThread { entry: CODE_AT, stack, argument: 0, priority: 0 };
        // SAFETY: a thread of the sandbox, which is never started.
        if let Ok(thread) = unsafe { sys::thread_create(sandbox.space, sandbox.scope().quota(), new) } {
            sys::handle_drop(thread)?;
        }
    }
    Ok(())
}

/// Ring 3 returns to a non-canonical address by itself, and faults there or here.
fn iretq_to_nowhere() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for target in [1u64 << 47, USER_END, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000] {
        let fault = sandbox.run(&iretq(&[], target))?;
        let (vector, frame) = (fault.vector, fault.at);
        iretq_works(&fault)?;
        ensure!(
            [GENERAL_PROTECTION, PAGE_FAULT].contains(&vector),
            "iretq to {target:#x} gave vector {vector} at {frame:#x}"
        );
    }
    Ok(())
}

fn stack_pointers_that_lead_nowhere() -> Verdict {
    let [low, high] = NULL.to_le_bytes();
    let system_call = [0xb8, low, high, 0, 0, 0x0f, 0x05, DONE[0], DONE[1]];
    let mut sandbox = Sandbox::new()?;
    for stack in NOWHERE {
        for (name, code, vector) in [("syscall", &system_call[..], INVALID_OPCODE), ("int3", &[0xcc], 3)] {
            let fault = sandbox.run(&with_stack(stack, code))?;
            ensure_eq!(fault.vector, vector, "{name} with the stack at {stack:#x}");
            ensure_eq!(fault.stack, stack, "the stack pointer after {name}");
        }
        // push rax
        let vector = sandbox.run(&with_stack(stack, &[0x50, DONE[0], DONE[1]]))?.vector;
        let expected = [STACK_FAULT, GENERAL_PROTECTION, PAGE_FAULT, INVALID_OPCODE];
        ensure!(expected.contains(&vector), "push with the stack at {stack:#x}: vector {vector}");
    }
    Ok(())
}

fn stack_pointers_at_a_page_fault_and_a_division() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // mov al, [0]; xor ecx, ecx; div ecx; hlt
    let faults: [(u64, &[u8]); 3] = [
        (PAGE_FAULT, &[0x8a, 0x04, 0x25, 0, 0, 0, 0]),
        (DIVISION, &[0x31, 0xc9, 0xf7, 0xf1]),
        (GENERAL_PROTECTION, &[0xf4]),
    ];
    for stack in NOWHERE {
        for (vector, code) in faults {
            let fault = sandbox.run(&with_stack(stack, code))?;
            ensure_eq!((fault.vector, fault.stack), (vector, stack), "with the stack at {stack:#x}");
        }
    }
    Ok(())
}

/// Busy long enough for the timer, while the test's thread of the same priority runs and waits.
fn stack_pointers_at_an_interrupt() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // mov ecx, 6,000,000; dec ecx; jnz back; ud2
    let code = [0xb9, 0x80, 0x8d, 0x5b, 0, 0xff, 0xc9, 0x75, 0xfc, DONE[0], DONE[1]];
    for stack in NOWHERE {
        sandbox.start(&with_stack(stack, &code))?;
        let before = sys::clock();
        // More than a slice: the two of them share the processor.
        while sys::clock() < before + 6_000_000 {}
        let fault = sandbox.fault()?;
        ensure_eq!((fault.vector, fault.stack), (INVALID_OPCODE, stack), "interrupted with the stack at {stack:#x}");
    }
    Ok(())
}
