//! Threads that cells start: a few instructions each, which need no stack.

use core::arch::naked_asm;
use parley_abi::call::{CALL, REPLY_RECV, THREAD_EXIT, YIELD};

/// Entry points for new threads; rdi is what the creator gave them.
pub fn entries() -> [u64; 5] {
    [serve, call, give_way, fault, leave].map(|entry: extern "C" fn()| entry as *const () as u64)
}

/// Answers requests on endpoint rdi with their own words, for ever.
#[unsafe(naked)]
extern "C" fn serve() {
    naked_asm!(
        "xor r13d, r13d",
        "2:",
        "mov eax, {call}",
        "xor r14d, r14d",
        "syscall",
        "test rax, rax",
        "jns 2b",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        call = const REPLY_RECV, exit = const THREAD_EXIT,
    )
}

/// Calls connection rdi sixteen times, waiting for ever.
#[unsafe(naked)]
extern "C" fn call() {
    naked_asm!(
        "mov ebx, 16",
        "2:",
        "mov eax, {call}",
        "xor r14d, r14d",
        "syscall",
        "dec ebx",
        "jnz 2b",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        call = const CALL, exit = const THREAD_EXIT,
    )
}

/// Yields 64 times, with a vector register in use.
#[unsafe(naked)]
extern "C" fn give_way() {
    naked_asm!(
        "mov ebx, 64",
        "2:",
        "movq xmm3, rbx",
        "mov eax, {call}",
        "syscall",
        "dec ebx",
        "jnz 2b",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        call = const YIELD, exit = const THREAD_EXIT,
    )
}

/// Faults.
#[unsafe(naked)]
extern "C" fn fault() {
    naked_asm!("mov [rdi], edi", "ud2")
}

/// Ends at once.
#[unsafe(naked)]
extern "C" fn leave() {
    naked_asm!("mov eax, {exit}", "syscall", "ud2", exit = const THREAD_EXIT)
}
