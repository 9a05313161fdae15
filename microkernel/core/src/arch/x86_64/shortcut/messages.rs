//! `call`, a row of the call table, and `reply_recv`: words alone.

use core::mem::offset_of;

use super::*;
use crate::object::{SEND_BIT, SEND_TO_BIT, Space};

/// From the list of a space's pages of handles to the space's call table.
const TABLE_AT: isize = offset_of!(Space, table) as isize - offset_of!(Space, handles.pages) as isize;
/// [`How`] of a native request, as a number.
const NATIVE: u32 = Kind::Native as u32 | 1 << 8;
/// [`How`] of a row with its slot in rdi, as a number. That of a row with a fixed slot is 0.
const POSIX_TO: u32 = Kind::Posix as u32 | 1 << 8;

code!(
    ".text",
    // `call`, with a waiting server.
    ".balign 64",
    ".global parley_fast_call",
    "parley_fast_call:",
    "test r14, r14",
    "jnz parley_slow_entry",
    "cmp rdi, slots",
    "jae parley_slow_entry",
    "save rcx, r11, rbx, rbp, r13, r15",
    "mov ecx, edi",
    find_server!(),
    // Sure. The words stay in their registers, and are written down.
    "save rdi, rsi, rdx, r10, r8, r9, r12",
    "mov dword ptr [rsp + e_how], {native}",
    "mov [rsp + e_row], rax",
    "mov [rsp + e_row + 8], r14",
    "mov [rsp + e_r14], r14",
    "shr rax, 32",
    "shl rax, 32",
    hand_over!(),
    switch!("parley_call"),
    // Not sure: as if nothing had been.
    "9:",
    "load rcx, r11, rbx, rbp, r13, r15",
    "jmp parley_slow_entry",
    // A row of the call table that is a message and opens nothing, with a waiting server.
    ".balign 64",
    ".global parley_fast_row",
    "parley_fast_row:",
    "save rcx, r11, rbx, rbp, r13, r14, r15",
    // The row.
    "mov rbx, [rsp + e_handles]",
    "mov r11, [rbx + {table_at}]",
    "mov ebp, r11d",
    "cmp r11, [rbp + __windows + tb_me]",
    "jne 9f",
    "mov ecx, eax",
    "mov r14, [rbp + rcx * 8 + __windows + tb_heads]",
    "mov r15, [rbp + rcx * 8 + __windows + tb_leases]",
    "mov [rsp + e_row], r14",
    "mov [rsp + e_row + 8], r15",
    "bt r14d, {send_to_bit}",
    "jnc 6f",
    // Its slot is in rdi.
    "cmp rdi, slots",
    "jae 9f",
    "mov ecx, edi",
    find_server!(listed),
    "save rdi, rsi, rdx, r10, r8, r9, r12",
    "mov dword ptr [rsp + e_how], {posix_to}",
    "mov rax, r14",
    "shr rax, 32",
    "shl rax, 32",
    "xor r14d, r14d",
    hand_over!(),
    switch!("parley_row_to"),
    // Or it is a slot of its own, and the words start at rdi.
    "6:",
    "bt r14d, {send_bit}",
    "jnc 9f",
    "movzx ecx, r14w",
    find_server!(listed),
    "save rdi, rsi, rdx, r10, r8, r9, r12",
    "mov rax, r14",
    "shr rax, 32",
    "shl rax, 32",
    "xor r14d, r14d",
    "mov [rsp + e_how], r14d",
    "mov r12, r9",
    "mov r9, r8",
    "mov r8, r10",
    "mov r10, rdx",
    "mov rdx, rsi",
    "mov rsi, rdi",
    hand_over!(),
    switch!("parley_row"),
    "9:",
    "load rcx, r11, rbx, rbp, r13, r14, r15",
    "jmp parley_posix_entry",
    // `reply_recv`, with nothing else to receive, to the caller whose turn it is.
    ".balign 64",
    ".global parley_fast_reply",
    "parley_fast_reply:",
    reply_checks!("{unusual}"),
    // Sure.
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "mov [rsp + e_rdi], rdi",
    reply_waits!(),
    "test r15b, r15b",
    "jz 7f",
    // A native caller gets label and words, which are in their registers.
    "fetch r15",
    "shr rax, 32",
    switch!("parley_reply"),
    "7:",
    "mov rax, rsi",
    "fetch rsi, rdx, r10, r8, r9, r12, r15",
    switch!("parley_reply_row"),
    "9:",
    "load rcx, r11, rbx, rbp, r15",
    "jmp parley_slow_entry",
    table_at = const TABLE_AT,
    native = const NATIVE,
    posix_to = const POSIX_TO,
    unusual = const UNUSUAL,
    send_bit = const SEND_BIT,
    send_to_bit = const SEND_TO_BIT,
);
