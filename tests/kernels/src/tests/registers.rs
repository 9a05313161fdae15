//! Registers: a call changes what it says, and nobody sees another's.

use alloc::sync::Arc;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::call;
use parley_abi::linux::nr;

use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![
    posix_calls_preserve_registers,
    core_calls_preserve_registers,
    vector_registers_survive_switches,
    vector_registers_do_not_leak
];

/// Every register but rax, rcx, r11 and rsp: marked, `syscall`, how many came back changed.
fn changed_by(number: u16) -> u64 {
    let changed: u64;
    // SAFETY: 1. rbx and rbp are put back; 2. the calls tried here take no pointer; 3. the stack is
    // used below the pointer that the compiler knows, which is allowed without `nostack`.
    unsafe {
        asm!(
            "push rbx", "push rbp",
            "mov ebx, 0x1b", "mov ebp, 0x1c", "mov edi, 0x1d", "mov esi, 0x1e", "mov edx, 0x1f",
            "mov r8d, 0x20", "mov r9d, 0x21", "mov r10d, 0x22", "mov r12d, 0x23", "mov r13d, 0x24",
            "mov r14d, 0x25", "mov r15d, 0x26",
            "syscall",
            "xor eax, eax", "xor ecx, ecx",
            "cmp rbx, 0x1b", "setne cl", "add eax, ecx", "cmp rbp, 0x1c", "setne cl", "add eax, ecx",
            "cmp rdi, 0x1d", "setne cl", "add eax, ecx", "cmp rsi, 0x1e", "setne cl", "add eax, ecx",
            "cmp rdx, 0x1f", "setne cl", "add eax, ecx", "cmp r8, 0x20", "setne cl", "add eax, ecx",
            "cmp r9, 0x21", "setne cl", "add eax, ecx", "cmp r10, 0x22", "setne cl", "add eax, ecx",
            "cmp r12, 0x23", "setne cl", "add eax, ecx", "cmp r13, 0x24", "setne cl", "add eax, ecx",
            "cmp r14, 0x25", "setne cl", "add eax, ecx", "cmp r15, 0x26", "setne cl", "add eax, ecx",
            "pop rbp", "pop rbx",
            inlateout("rax") u64::from(number) => changed,
            out("rcx") _, out("r11") _, out("rdi") _, out("rsi") _, out("rdx") _, out("r8") _, out("r9") _,
            out("r10") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _,
        );
    }
    changed
}

fn posix_calls_preserve_registers() -> Verdict {
    // Served, served with an error, refused by the core, unknown.
    for number in [nr::GETPID, nr::OWN, nr::CLOCK_GETTIME, nr::READ, nr::CLOSE, nr::SCHED_YIELD, 511, 4000] {
        ensure_eq!(changed_by(number), 0, "registers changed by call {number}");
    }
    Ok(())
}

fn core_calls_preserve_registers() -> Verdict {
    for number in [call::NULL, call::YIELD, call::CLOCK, call::HANDLE_DROP, call::MAP, call::FIRST + 0xff] {
        ensure_eq!(changed_by(number), 0, "registers changed by core call {number:#x}");
    }
    Ok(())
}

/// Fills xmm0, xmm7, xmm15 and an x87 register with `mark`, lets others run, and counts what changed.
fn vector_rounds(mark: u64, rounds: u64) -> u64 {
    let changed: u64;
    // SAFETY: 1. programs are built soft-float, so that the compiler keeps nothing in these registers;
    // 2. the x87 stack is left as it was; 3. `sched_yield` changes rax, rcx and r11 only; 4. the stack
    // is used below the pointer that the compiler knows.
    unsafe {
        asm!(
            "movq xmm0, {mark}", "movq xmm7, {mark}", "movq xmm15, {mark}",
            "push {mark}", "fild qword ptr [rsp]",
            "2:",
            "mov eax, {number}", "syscall",
            "dec {rounds}", "jnz 2b",
            "xor eax, eax", "xor ecx, ecx",
            "movq r11, xmm0", "cmp r11, {mark}", "setne cl", "add eax, ecx",
            "movq r11, xmm7", "cmp r11, {mark}", "setne cl", "add eax, ecx",
            "movq r11, xmm15", "cmp r11, {mark}", "setne cl", "add eax, ecx",
            "fistp qword ptr [rsp]", "pop r11", "cmp r11, {mark}", "setne cl", "add eax, ecx",
            mark = in(reg) mark, rounds = inout(reg) rounds => _, number = const nr::SCHED_YIELD,
            out("rax") changed, out("rcx") _, out("r11") _,
        );
    }
    changed
}

fn vector_registers_survive_switches() -> Verdict {
    let lost = Arc::new(AtomicU64::new(0));
    let theirs = lost.clone();
    let thread = Thread::start(move || theirs.store(vector_rounds(0x1111_2222_3333, 200), Ordering::Release))?;
    ensure_eq!(vector_rounds(0x4444_5555_6666, 200), 0, "registers lost by one thread");
    thread.join()?;
    ensure_eq!(lost.load(Ordering::Acquire), 0, "registers lost by the other");
    Ok(())
}

/// A new thread finds the FPU as the ABI wants it, not as the last one left it.
fn vector_registers_do_not_leak() -> Verdict {
    let found = Arc::new([const { AtomicU64::new(1) }; 2]);
    let theirs = found.clone();
    vector_rounds(0x7777_8888, 1);
    let thread = Thread::start(move || {
        let (low, control): (u64, u64);
        // SAFETY: reads two registers; the stack is used below the pointer that the compiler knows.
        unsafe {
            asm!(
                "movq {low}, xmm7", "push 0", "stmxcsr [rsp]", "pop {control}",
                low = out(reg) low, control = out(reg) control,
            );
        }
        theirs[0].store(low, Ordering::Release);
        theirs[1].store(control, Ordering::Release);
    })?;
    thread.join()?;
    ensure_eq!(found[0].load(Ordering::Acquire), 0, "xmm7 of a new thread");
    ensure_eq!(found[1].load(Ordering::Acquire), 0x1f80, "mxcsr of a new thread");
    Ok(())
}
