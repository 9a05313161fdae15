//! Flags that ring 3 sets before it enters ring 0, by every door: they stay outside, and come back.

use alloc::vec::Vec;
use parley_abi::PAGE;
use parley_abi::call::{NULL, YIELD};
use parley_abi::linux::nr;

use crate::tool::assembly::DONE;
use crate::tool::sandbox::{CODE_AT, DATA_AT, Fault, Sandbox};
use crate::tool::verdict::{Trouble, Verdict};

tests![
    flags_before_system_calls,
    flags_before_faults,
    trap_flag_over_a_system_call,
    trap_flag_before_faults,
    mov_ss_before_entries,
    privilege_level_is_not_raised,
    privilege_level_is_not_raised_by_iretq,
    system_call_registers
];

const DEBUG: u64 = 1;
const INVALID_OPCODE: u64 = 6;
const GENERAL_PROTECTION: u64 = 13;
const PAGE_FAULT: u64 = 14;
const ALIGNMENT: u64 = 17;

/// Flags that ring 3 may set by itself: sign of copies, nested task, resume, alignment check, and the
/// identification bit, which means nothing.
const FLAGS: [(&str, u32); 5] = [("DF", 0x400), ("NT", 0x4000), ("RF", 0x1_0000), ("AC", 0x4_0000), ("ID", 0x20_0000)];

/// `pushfq; or dword [rsp], flag; popfq`.
fn set(flag: u32) -> Vec<u8> {
    let mut code = alloc::vec![0x9c, 0x81, 0x0c, 0x24];
    code.extend(flag.to_le_bytes());
    code.push(0x9d);
    code
}

/// `mov eax, number; syscall`.
fn system_call(number: u16) -> Vec<u8> {
    let [low, high] = number.to_le_bytes();
    alloc::vec![0xb8, low, high, 0, 0, 0x0f, 0x05]
}

/// `pushfq; pop rax; mov [DATA_AT], eax`, so that the test can read the flags.
const KEEP_FLAGS: [u8; 9] = [0x9c, 0x58, 0x89, 0x04, 0x25, 0, 0, 0x50, 0];

/// The flags that the code kept.
fn kept(sandbox: &Sandbox) -> Verdict<u32> {
    let mut bytes = [0; 4];
    sandbox.read_data(0, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn flags_before_system_calls() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for (name, flag) in FLAGS {
        for number in [NULL, YIELD, nr::GETPID, 511] {
            let code = [set(flag), system_call(number), KEEP_FLAGS.to_vec(), DONE.to_vec()].concat();
            ensure_eq!(sandbox.run(&code)?.vector, INVALID_OPCODE, "call {number:#x} with {name}");
            // `sysret` clears RF, and so does whatever `popfq` sets there.
            let wanted = if flag == 0x1_0000 { 0 } else { flag };
            ensure_eq!(kept(&sandbox)? & flag, wanted, "{name} after call {number:#x}");
        }
    }
    Ok(())
}

/// Every fault that can be had on purpose, with each flag.
fn flags_before_faults() -> Verdict {
    // ud2; int3; hlt; mov al, [0]; div by zero
    let faults: [(u64, &[u8]); 5] = [
        (INVALID_OPCODE, &DONE),
        (3, &[0xcc]),
        (GENERAL_PROTECTION, &[0xf4]),
        (PAGE_FAULT, &[0x8a, 0x04, 0x25, 0, 0, 0, 0]),
        (0, &[0x31, 0xc9, 0xf7, 0xf1]),
    ];
    let mut sandbox = Sandbox::new()?;
    for (name, flag) in FLAGS {
        for (vector, fault) in faults {
            let code = [set(flag), fault.to_vec()].concat();
            let seen = sandbox.run(&code)?;
            ensure_eq!(seen.vector, vector, "a fault with {name}");
        }
    }
    let misaligned = [set(0x4_0000), alloc::vec![0x8b, 0x04, 0x25, 1, 0, 0x50, 0], DONE.to_vec()].concat();
    let vector = sandbox.run(&misaligned)?.vector;
    // The emulator may not check alignment; if it does, this is the exception for it.
    ensure!([ALIGNMENT, INVALID_OPCODE].contains(&vector), "a misaligned load with AC gave vector {vector}");
    Ok(())
}

/// The exception comes after the instruction behind `syscall`, or right behind it: in ring 3 in any case.
fn trap_flag_over_a_system_call() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for number in [NULL, YIELD, nr::GETPID, 511] {
        let before = [set(0x100), system_call(number)].concat();
        let code = [before.clone(), alloc::vec![0x90, 0x90], DONE.to_vec()].concat();
        let mut fault = sandbox.run(&code)?;
        let end = CODE_AT + before.len() as u64;
        for _ in 0..4 {
            ensure_eq!(fault.vector, DEBUG, "the trap flag over call {number:#x} at {:#x}", fault.at);
            ensure!((CODE_AT..=end + 2).contains(&fault.at), "the exception came at {:#x}", fault.at);
            if fault.at >= end {
                break;
            }
            fault = sandbox.resume(fault)?;
        }
        ensure!(fault.at >= end, "call {number:#x} was not reached");
    }
    Ok(())
}

fn trap_flag_before_faults() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // ud2; int3; hlt; mov al, [0]
    for fault in [&DONE[..], &[0xcc], &[0xf4], &[0x8a, 0x04, 0x25, 0, 0, 0, 0]] {
        let code = [set(0x100), fault.to_vec()].concat();
        let vector = sandbox.run(&code)?.vector;
        ensure!([DEBUG, 3, INVALID_OPCODE, GENERAL_PROTECTION, PAGE_FAULT].contains(&vector), "vector {vector}");
    }
    Ok(())
}

/// `mov ss, ax` holds exceptions back for an instruction, which here is a way into ring 0
/// (CVE-2018-8897), alone and with a single step waiting.
fn mov_ss_before_entries() -> Verdict {
    let load = alloc::vec![0x8c, 0xd0, 0x8e, 0xd0];
    let entries: [(&str, &[u8], &[u64]); 5] = [
        ("int3", &[0xcc], &[3]),
        ("int 3", &[0xcd, 3], &[3]),
        ("int 1", &[0xcd, 1], &[GENERAL_PROTECTION]),
        // QEMU 7 does not know this instruction.
        ("int1", &[0xf1], &[DEBUG, INVALID_OPCODE]),
        ("ud2", &DONE, &[INVALID_OPCODE]),
    ];
    let mut sandbox = Sandbox::new()?;
    for flag in [0x2, 0x100] {
        for (name, entry, vectors) in entries {
            let code = [load.clone(), set(flag), load.clone(), entry.to_vec(), DONE.to_vec()].concat();
            let vector = sandbox.run(&code)?.vector;
            let stepped = flag == 0x100 && vector == DEBUG;
            ensure!(vectors.contains(&vector) || stepped, "mov ss before {name}: vector {vector}");
        }
        // mov ecx, ss; mov eax, NULL; mov ss, cx; syscall
        let [low, high] = NULL.to_le_bytes();
        let call = alloc::vec![0x8c, 0xd1, 0xb8, low, high, 0, 0, 0x8e, 0xd1, 0x0f, 0x05, 0x90, 0x90];
        let code = [set(flag), call, DONE.to_vec()].concat();
        let vector = sandbox.run(&code)?.vector;
        let wanted = if flag == 0x100 { DEBUG } else { INVALID_OPCODE };
        ensure_eq!(vector, wanted, "mov ss before syscall, flags {flag:#x}");
    }
    Ok(())
}

/// IOPL, IF, VM, VIF and VIP are not ring 3's to set: `popfq` leaves them alone, and ports stay shut.
fn privilege_level_is_not_raised() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let code = [set(0x3000), KEEP_FLAGS.to_vec(), alloc::vec![0xec]].concat();
    ensure_eq!(sandbox.run(&code)?.vector, GENERAL_PROTECTION, "in al, dx after setting IOPL");
    ensure_eq!(kept(&sandbox)? & 0x3000, 0, "IOPL");
    // pushfq; and dword [rsp], ~0x200; popfq
    let clear = alloc::vec![0x9c, 0x81, 0x24, 0x24, 0xff, 0xfd, 0xff, 0xff, 0x9d];
    let code = [clear, system_call(NULL), KEEP_FLAGS.to_vec(), DONE.to_vec()].concat();
    sandbox.run(&code)?;
    ensure_eq!(kept(&sandbox)? & 0x200, 0x200, "IF after clearing it");
    Ok(())
}

fn privilege_level_is_not_raised_by_iretq() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    let flags = iretq(&[0x81, 0x0c, 0x24, 0, 0x30, 0, 0], CODE_AT + IRETQ as u64 + 7);
    let code = [flags, KEEP_FLAGS.to_vec(), DONE.to_vec()].concat();
    let fault = sandbox.run(&code)?;
    iretq_works(&fault)?;
    ensure_eq!(fault.vector, INVALID_OPCODE, "iretq in ring 3");
    ensure_eq!(kept(&sandbox)? & 0x3000, 0, "IOPL after iretq");
    Ok(())
}

/// Bytes of [`iretq`] without the code that it is given.
const IRETQ: usize = 21;

/// Builds a frame on the own stack, lets `change` change the flags at its top, and returns to `target`.
pub fn iretq(change: &[u8], target: u64) -> Vec<u8> {
    // mov eax, ss; push rax; push rsp; pushfq
    let mut code = alloc::vec![0x8c, 0xd0, 0x50, 0x54, 0x9c];
    code.extend(change);
    // mov eax, cs; push rax; mov rax, target; push rax; iretq
    code.extend([0x8c, 0xc8, 0x50, 0x48, 0xb8]);
    code.extend(target.to_le_bytes());
    code.extend([0x50, 0x48, 0xcf]);
    code
}

/// QEMU before version 9 reads the frame as ring 0 would, which SMAP forbids: nothing can be learned then.
pub fn iretq_works(fault: &Fault) -> Verdict {
    let own_stack = DATA_AT..DATA_AT + PAGE as u64;
    match fault.vector == PAGE_FAULT && own_stack.contains(&fault.address) {
        true => Err(Trouble::Skip("the emulator's iretq in ring 3 cannot read the own stack under SMAP".into())),
        false => Ok(()),
    }
}

/// After `syscall`, rcx is the address behind it and r11 the flags: nothing of ring 0.
fn system_call_registers() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    for number in [NULL, YIELD, nr::GETPID, nr::READ, 511, 0x10ff] {
        let before = system_call(number);
        // mov [DATA_AT], rcx; mov [DATA_AT + 8], r11
        let keep = [0x48, 0x89, 0x0c, 0x25, 0, 0, 0x50, 0, 0x4c, 0x89, 0x1c, 0x25, 8, 0, 0x50, 0];
        let end = CODE_AT + before.len() as u64;
        sandbox.run(&[before, keep.to_vec(), DONE.to_vec()].concat())?;
        let mut words = [0; 16];
        sandbox.read_data(0, &mut words)?;
        let words = u128::from_le_bytes(words);
        ensure_eq!(words as u64, end, "rcx after call {number:#x}");
        ensure_eq!((words >> 64) as u64 & !0xcd5, 0x202, "r11 after call {number:#x}");
    }
    ensure_eq!(DATA_AT, 0x50_0000, "the address in the code above");
    Ok(())
}
