//! Notifications, and interrupts whose driver waits.

use parley_abi::call::NOTIFY;
use parley_abi::msg::event::NOTIFIED;

use super::*;
use crate::arch::entry::on_native;
use crate::arch::{apic, vectors};
use crate::mem::List;
use crate::object::{BUSY, CROWDED, RESIDENT};
use crate::sched::LONGEST_SLICE;

/// Rights and kind of a handle as the first two bytes of it hold them.
const fn kind_and_rights(kind: u8, rights: Rights) -> u32 {
    kind as u32 | (rights.bits() as u32) << 8
}

/// The bit that tells a resident or crowded door, behind which somebody must be told, from one that is busy or open.
const SOMEBODY_BIT: u32 = 33;
const _: () = assert!(RESIDENT.key() & CROWDED.key() == 1 << SOMEBODY_BIT && BUSY.key() == 1 << 32);
const _: () = assert!(size_of::<Irq>() == 24 && size_of::<List<Thread>>() == 16);

/// Whether the thread at the door `rbx` may go on at once with the notification bits in `rsi`: it is more urgent than
/// the current one, which has no equals and nobody more urgent waiting, and works for nobody. To 8 if not. Afterwards
/// `rbp` is its block, `r8` its priority, and `r12` and `r15` are the current one's, as a number and as a bit.
macro_rules! waiter_checks {
    () => {
        "test rsi, rsi
         jz 8f
         mov ebp, ebx
         movzx r12d, byte ptr [rsp + e_priority]
         movzx r8d, byte ptr [rbp + __windows + t_base]
         cmp r8d, r12d
         jbe 8f
         xor r15d, r15d
         bts r15d, r12d
         cmp [rdi + k_occupied], r15d
         jae 8f
         cmp qword ptr [rsp + e_serving], 0
         jne 8f"
    };
}

code!(
    ".text",
    // `notify`, where nobody waits and whoever serves is in no less of a hurry than usual.
    ".balign 64",
    ".global parley_fast_notify",
    "parley_fast_notify:",
    "cmp rdi, slots",
    "jae parley_slow_entry",
    "save rcx, r11, rbx",
    "mov ecx, edi",
    find_handle!(),
    "movzx r11d, word ptr [rbx + rcx]",
    "and r11d, {notify_mask}",
    "cmp r11d, {notify_want}",
    "jne 9f",
    "mov r11, [rbx + rcx + 8]",
    "mov ecx, r11d",
    "cmp r11, [rcx + __windows + p_me]",
    "jne 9f",
    "mov rbx, [rcx + __windows + p_door]",
    "test ebx, ebx",
    "jnz 4f",
    "bt rbx, {somebody_bit}",
    "jc 9f",
    "mov ebx, [rcx + __windows + p_server]",
    "movzx r11d, byte ptr [rbx + __windows + t_base]",
    "cmp [rbx + __windows + t_priority], r11b",
    "jb 9f",
    "or [rcx + __windows + p_bits], rsi",
    "mov dword ptr [rcx + __windows + p_door + 4], 1",
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "xor eax, eax",
    "load rcx, r11, rbx",
    "mov rsp, [rip + {cpu} + cpu_scratch]",
    "sysretq",
    // Somebody waits there: he goes on, or the long way is taken. All registers are written down for both.
    "4:",
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "save rdi, rsi, rdx, r10, r8, r9, r12",
    "mov rdi, [rip + {cpu} + cpu_scratch]",
    "mov [rsp + e_rsp], rdi",
    "mov [rsp + e_number], rax",
    "save rbp, r13, r14, r15",
    "mov rdi, [rip + {cpu} + cpu_core]",
    "cmp dword ptr [rdi + k_doomed], 0",
    "jne 8f",
    waiter_checks!(),
    "mov qword ptr [rsp + e_rax], 0",
    "jmp parley_fast_wake",
    "8:",
    "mov esi, {notify}",
    "run {on_native}",
    "jmp parley_exit",
    "9:",
    "load rcx, r11, rbx",
    "jmp parley_slow_entry",
    // A device interrupt in ring 3, for a driver that waits. All registers are in the frame, which begins at the
    // stack pointer.
    ".balign 64",
    ".global parley_fast_irq",
    "parley_fast_irq:",
    "add rsp, {all_of_frame}",
    "mov rdi, [rip + {cpu} + cpu_core]",
    "cmp byte ptr [rdi + k_fast_irqs], 0",
    "je 8f",
    "mov eax, [rsp + e_kind]",
    "sub eax, {irq}",
    "mov rdx, [rdi + k_level]",
    "bt rdx, rax",
    "jc 8f",
    "lea eax, [rax + rax * 2]",
    "lea rax, [rdi + rax * 8 + k_irqs]",
    "cmp byte ptr [rax + i_taken], 0",
    "je 8f",
    "mov r11, [rax + i_endpoint]",
    "mov rsi, [rax + i_bits]",
    "mov ecx, r11d",
    "cmp r11, [rcx + __windows + p_me]",
    "jne 8f",
    "mov rbx, [rcx + __windows + p_door]",
    "test ebx, ebx",
    "jz 8f",
    waiter_checks!(),
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "mov rax, [rdi + k_apic]",
    "mov dword ptr [rax + {eoi}], 0",
    // Sure. The waiter at the door `rbx` of the endpoint at `rcx` gets the bits in `rsi`. The current thread, whose
    // registers are written down, goes into its queue, which is empty, with what is left of its turn.
    "parley_fast_wake:",
    "xor r14d, r14d",
    "mov [rcx + __windows + p_door], r14",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "sub rax, [rdi + k_clock_start]",
    "mul qword ptr [rdi + k_clock_scale]",
    "shld rdx, rax, 32",
    "mov rax, rdx",
    "sub rax, [rdi + k_accounted]",
    "add [rsp + e_cpu_time], rax",
    "mov [rdi + k_accounted], rdx",
    "mov rax, [rdi + k_slice_end]",
    "sub rax, rdx",
    "cmovb rax, r14",
    "mov [rsp + e_slice], rax",
    "mov [rsp + e_next], r14",
    "mov [rsp + e_previous], r14",
    "mov rax, [rdi + k_current]",
    "or [rdi + k_occupied], r15d",
    "mov dword ptr [rdi + r12 * 4 + k_counts], 1",
    "shl r12d, 4",
    "mov [rdi + r12 + k_queues], rax",
    "mov [rdi + r12 + k_queues + 8], rax",
    "mov rax, [rbp + __windows + t_slice]",
    "mov [rbp + __windows + t_slice], r14",
    "mov r9d, {longest}",
    "test rax, rax",
    "cmovz rax, r9",
    "add rax, rdx",
    "mov [rdi + k_slice_end], rax",
    "mov [rbp + __windows + t_serving], r14",
    "mov [rbp + __windows + t_priority], r8b",
    "mov rcx, rbx",
    "mov eax, {notified}",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r15d, r15d",
    switch!("parley_wake"),
    "8:",
    "jmp parley_vector",
    on_native = sym on_native,
    notify = const NOTIFY,
    notified = const NOTIFIED,
    notify_mask = const kind_and_rights(0xff, Rights::NOTIFY),
    notify_want = const kind_and_rights(kind::ENDPOINT, Rights::NOTIFY),
    somebody_bit = const SOMEBODY_BIT,
    irq = const vectors::IRQ,
    eoi = const 4 * apic::local::EOI,
    longest = const LONGEST_SLICE,
    all_of_frame = const size_of::<Frame>(),
);
