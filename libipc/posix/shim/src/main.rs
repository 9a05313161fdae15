//! The shim: `poll` and `ppoll`, made of calls that concern one descriptor each.
//!
//! The core sends these calls here (`Op::Reflect`), with the address behind the program's `syscall` in rax. README.md says
//! how it works and why. Nothing here panics, nothing is kept between two calls, and all of the program's registers
//! come back as they were.
#![no_std]
#![no_main]

mod poll;
mod sys;

use core::arch::global_asm;

// One entry every 16 bytes: `parley_proto::calltable::REFLECTED`. The program's red zone (System V ABI, section 3.2.2) is
// left alone. rcx and r11 belong to the `syscall` instruction, which leaves the address behind it and the flags there.
global_asm!(
    ".section .text.shim, \"ax\"",
    ".global parley_shim",
    "parley_shim:",
    "lea rsp, [rsp - 128]",
    "push rax",
    "xor eax, eax",
    "jmp 2f",
    ".balign 16",
    "lea rsp, [rsp - 128]",
    "push rax",
    "mov eax, 1",
    "2:",
    "push r11",
    "push r9",
    "push r8",
    "push r10",
    "push rdx",
    "push rsi",
    "push rdi",
    "push rbp",
    "mov rbp, rsp",
    "mov rdi, rax",
    "lea rsi, [rbp + 8]",
    "and rsp, -16",
    "cld",
    "call {serve}",
    "mov rsp, rbp",
    "pop rbp",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop r10",
    "pop r8",
    "pop r9",
    "mov r11, [rsp]",
    "popfq",
    "pop rcx",
    "lea rsp, [rsp + 128]",
    "jmp rcx",
    serve = sym serve,
);

/// Does what entry number `entry` stands for. Returns what the system call returns.
extern "sysv64" fn serve(entry: u64, args: &[u64; 6]) -> i64 {
    let timeout = if entry == 0 { poll::Timeout::Milliseconds(args[2] as i32) } else { poll::Timeout::At(args[2]) };
    poll::poll(args[0], args[1], timeout).unwrap_or_else(parley_abi::Errno::negated)
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::end_thread()
}
