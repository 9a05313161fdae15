//! Exceptions: each arrives at the fault endpoint with its vector, and nothing else happens.

use parley_abi::USER_END;
use parley_abi::call::NULL;
use parley_rt::sys;

use crate::tool::sandbox::{CODE_AT, DATA_AT, Sandbox};
use crate::tool::verdict::Verdict;

tests![
    privileged_instructions,
    page_faults,
    other_exceptions,
    every_interrupt_number,
    flags_at_a_system_call,
    resumed,
    readable_by_the_handler
];

const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;

fn privileged_instructions() -> Verdict {
    let instructions: [(&str, &[u8]); 20] = [
        ("hlt", &[0xf4]),
        ("cli", &[0xfa]),
        ("sti", &[0xfb]),
        ("in al, dx", &[0xec]),
        ("out dx, al", &[0xee]),
        ("in al, 0x60", &[0xe4, 0x60]),
        ("insb", &[0x6c]),
        ("mov cr3, rax", &[0x0f, 0x22, 0xd8]),
        ("mov rax, cr0", &[0x0f, 0x20, 0xc0]),
        ("mov dr7, rax", &[0x0f, 0x23, 0xf8]),
        ("rdmsr", &[0x0f, 0x32]),
        ("wrmsr", &[0x0f, 0x30]),
        ("clts", &[0x0f, 0x06]),
        ("invlpg [rax]", &[0x0f, 0x01, 0x38]),
        ("wbinvd", &[0x0f, 0x09]),
        ("swapgs", &[0x0f, 0x01, 0xf8]),
        ("sysretq", &[0x48, 0x0f, 0x07]),
        ("lgdt [rsp - 16]", &[0x0f, 0x01, 0x54, 0x24, 0xf0]),
        ("lidt [rsp - 16]", &[0x0f, 0x01, 0x5c, 0x24, 0xf0]),
        ("mov ax, 8; mov ss, ax", &[0x66, 0xb8, 8, 0, 0x8e, 0xd0]),
    ];
    let mut sandbox = Sandbox::new()?;
    for (name, code) in instructions {
        ensure_eq!(sandbox.run(code)?.vector, GENERAL_PROTECTION, "vector of {name}");
    }
    Ok(())
}

/// `mov rax, ADDRESS`, then `code`.
fn with_rax(address: u64, code: &[u8]) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec![0x48, 0xb8];
    bytes.extend(address.to_le_bytes());
    bytes.extend(code);
    bytes
}

fn page_faults() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let (read, write, jump) = ([0x8a, 0x00], [0x88, 0x00], [0xff, 0xe0]);
    let kernel = [0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, 0xffff_ffff_ffff_fff8];
    for address in [0, 0x10, DATA_AT + 0x1000, USER_END].into_iter().chain(kernel) {
        for (name, code) in [("read", read), ("write", write), ("jump", jump)] {
            let fault = sandbox.run(&with_rax(address, &code))?;
            ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, address), "{name} at {address:#x}");
        }
    }
    let fault = sandbox.run(&with_rax(CODE_AT, &write))?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, CODE_AT), "writing to code");
    let fault = sandbox.run(&with_rax(DATA_AT, &jump))?;
    ensure_eq!((fault.vector, fault.at), (PAGE_FAULT, DATA_AT), "executing data");
    // push rax; jmp back
    let fault = sandbox.run(&[0x50, 0xeb, 0xfd])?;
    ensure_eq!((fault.vector, fault.address), (PAGE_FAULT, DATA_AT - 8), "overflowing the stack");
    for (name, code) in [("read", read), ("write", write), ("jump", jump)] {
        let fault = sandbox.run(&with_rax(1 << 47, &code))?;
        ensure_eq!(fault.vector, GENERAL_PROTECTION, "{name} at a non-canonical address");
    }
    Ok(())
}

fn other_exceptions() -> Verdict {
    let exceptions: [(&str, u64, &[u8]); 6] = [
        ("div by zero", 0, &[0x31, 0xc9, 0xf7, 0xf1]),
        ("the trap flag", 1, &[0x9c, 0x48, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90, 0xf4]),
        ("int3", 3, &[0xcc]),
        ("ud2", 6, &[0x0f, 0x0b]),
        ("an instruction that is none", 6, &[0x06]),
        // 1 / 0 with every x87 exception unmasked, then fwait
        ("x87 division by zero", 16, &[0x6a, 0, 0xd9, 0x2c, 0x24, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b]),
    ];
    let mut sandbox = Sandbox::new()?;
    for (name, vector, code) in exceptions {
        ensure_eq!(sandbox.run(code)?.vector, vector, "vector of {name}");
    }
    Ok(())
}

/// Only the breakpoint and overflow gates may be open to ring 3.
fn every_interrupt_number() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for number in 0..=255u8 {
        let vector = sandbox.run(&[0xcd, number])?.vector;
        let open = [1, 3, 4].contains(&number) && vector == u64::from(number);
        ensure!(open || vector == GENERAL_PROTECTION, "int {number:#x} gave vector {vector}");
    }
    Ok(())
}

/// Flags that must not follow a thread into ring 0, and must be back afterwards: `pushfq; or [rsp],
/// FLAG; popfq; mov eax, NULL; syscall; ud2`.
fn flags_at_a_system_call() -> Verdict {
    let [low, high] = NULL.to_le_bytes();
    let mut sandbox = Sandbox::new()?;
    for (name, flag, vector) in [("direction", 0x400u32, 6), ("alignment", 0x4_0000, 6), ("nested", 0x4000, 6)] {
        let [a, b, c, d] = flag.to_le_bytes();
        let code = [0x9c, 0x48, 0x81, 0x0c, 0x24, a, b, c, d, 0x9d, 0xb8, low, high, 0, 0, 0x0f, 0x05, 0x0f, 0x0b];
        ensure_eq!(sandbox.run(&code)?.vector, vector, "a system call with the {name} flag");
    }
    // mov rsp, 1 << 47; mov eax, NULL; syscall; ud2
    let mut code = alloc::vec![0x48, 0xbc];
    code.extend((1u64 << 47).to_le_bytes());
    code.extend([0xb8, low, high, 0, 0, 0x0f, 0x05, 0x0f, 0x0b]);
    ensure_eq!(sandbox.run(&code)?.vector, 6, "a system call with a non-canonical stack pointer");
    Ok(())
}

fn resumed() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let first = sandbox.run(&[0xcc, 0x0f, 0x0b])?;
    ensure_eq!((first.vector, first.at), (3, CODE_AT + 1), "the breakpoint");
    let second = sandbox.resume(first)?;
    ensure_eq!((second.vector, second.at), (6, CODE_AT + 1), "what comes after it");
    let again = sandbox.resume(second)?;
    ensure_eq!((again.vector, again.at), (6, CODE_AT + 1), "the same instruction again");
    ensure!(again.token != second.token, "two faults with one token");
    Ok(())
}

/// Lease 0 of a fault is the whole address space.
fn readable_by_the_handler() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let code = [0x0f, 0x0b, 1, 2, 3, 4];
    let fault = sandbox.run(&code)?;
    let mut bytes = [0; 6];
    ensure_eq!(sys::copy_in(sandbox.faults, fault.token, 0, CODE_AT, &mut bytes), Ok(6), "reading the code");
    ensure_eq!(bytes, code, "the code");
    let outside = sys::copy_in(sandbox.faults, fault.token, 0, 0xffff_8000_0000_0000, &mut bytes);
    ensure!(!matches!(outside, Ok(1..)), "read kernel memory through a fault: {outside:?}");
    ensure!(sys::copy_out(sandbox.faults, fault.token, 0, DATA_AT, &[1]).is_err(), "wrote through a readable lease");
    Ok(())
}
