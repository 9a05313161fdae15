//! The short cut of `call` and `reply_recv`: from one address space to another without leaving this page.
//!
//! The entry code comes here for the two calls by which messages travel, when their flags are empty. Each
//! is a straight list of checks that changes nothing until it is sure; whatever is unusual goes back to
//! [`super::entry`] with every register as it was, and is served in Rust ([`crate::ipc`]), which is the
//! specification. What is gained is that the words of the message stay in their registers: they are
//! written down once, in the caller's block, where they must be found if the server dies.
//!
//! Where the instructions of a call go (`cargo xtask trace ipc_round_trip_6` shows each):
//!
//! | part | call | reply_recv |
//! |---|---|---|
//! | entry: stack, which call | 6 | 8 |
//! | refuse at once what is unusual, save what is needed as scratch | 10 | 11 |
//! | check handle, connection, endpoint, partner | 35 | 49 |
//! | write down: request and words, or that the server waits | 35 | 26 |
//! | switch: current thread; page tables (6), FS base (11) and FPU lock (5) where they change | 36 | 36 |
//! | exit | 8 | 8 |
//!
//! That is 268 for a round trip of a caller that has thread-local storage and owns the FPU.

use core::arch::global_asm;
use core::mem::offset_of;

use parley_abi::call::{Rights, kind};
use parley_abi::slot;
use x86_64::structures::tss::TaskStateSegment;

use super::entry::{CPU, CpuLocal, RSP0, SCRATCH};
use super::frame::{Frame, SYSCALL};
use crate::kernel::Core;
use crate::mem::slab::{LIVE, Object, Slab, generation_at, next_free_at, slot_size};
use crate::mem::window::WINDOW;
use crate::object::connection::Connection;
use crate::object::endpoint::Endpoint;
use crate::object::thread::{How, Kind, Request, State, Thread};
use crate::sched::Ready;

/// Where the table of `T` begins, counted from the first window.
const fn table<T: Object>() -> usize {
    (T::WINDOW * WINDOW) as usize
}

/// Offset of a register in a thread block, counted from the end of its frame, where the stack pointer is.
macro_rules! at_end {
    ($($field:tt)*) => {
        (offset_of!(Thread, $($field)*) as isize - size_of::<Frame>() as isize)
    };
}

/// Rights and kind of a handle as the first two bytes of it hold them.
const fn kind_and_rights(kind: u8, rights: Rights) -> u32 {
    kind as u32 | (rights.bits() as u32) << 8
}

/// [`How`] of a native request, as a number.
const NATIVE: u32 = Kind::Native as u32 | 1 << 8;
/// Bits of [`How`] that make a reply unusual: it is to a fault, or a handle is reserved.
const UNUSUAL: u32 = Kind::Fault as u32 | 0xff << 24;
const _: () = assert!(offset_of!(How, first) == 1 && offset_of!(How, reserved) == 3 && Kind::Posix as u32 == 0);

global_asm!(
    ".text",
    ".balign 64",
    ".global parley_fast_call",
    "parley_fast_call:",
    "test r14, r14",
    "jnz parley_slow_entry",
    "cmp rdi, {slots}",
    "jae parley_slow_entry",
    "mov [rsp + {e_rip}], rcx",
    "mov [rsp + {e_rflags}], r11",
    "mov [rsp + {e_rbx}], rbx",
    "mov [rsp + {e_rbp}], rbp",
    "mov [rsp + {e_r13}], r13",
    "mov [rsp + {e_r15}], r15",
    // The handle: a connection that may be called.
    "mov rbx, [rsp + {e_handles}]",
    "mov ebp, edi",
    "shr ebp, 8",
    "mov rbx, [rbx + rbp * 8]",
    "test rbx, rbx",
    "jz 9f",
    "movzx ebp, dil",
    "shl ebp, 4",
    "movzx ecx, word ptr [rbx + rbp]",
    "and ecx, {call_mask}",
    "cmp ecx, {call_want}",
    "jne 9f",
    // The connection, if the handle is not stale, and its endpoint, if that is still there.
    "mov r13, [rbx + rbp + 8]",
    "mov ebp, r13d",
    "imul rbp, rbp, {c_size}",
    "shr r13, 32",
    "cmp r13d, [rbp + __windows + {c_generation}]",
    "jne 9f",
    "mov r11, [rbp + __windows + {c_endpoint}]",
    "mov r15, [rbp + __windows + {c_badge}]",
    "mov ebx, r11d",
    "imul rbx, rbx, {p_size}",
    "mov r13, r11",
    "shr r13, 32",
    "cmp r13d, [rbx + __windows + {p_generation}]",
    "jne 9f",
    // One thread waits there, without a deadline.
    "mov rcx, [rbx + __windows + {p_receivers}]",
    "cmp rcx, [rbx + __windows + {p_receivers} + 8]",
    "jne 9f",
    "mov ebp, ecx",
    "test ebp, ebp",
    "jz 9f",
    "imul rbp, rbp, {t_size}",
    "cmp dword ptr [rbp + __windows + {t_deadline_at}], 0",
    "jne 9f",
    // Sure. The endpoint has a server and nobody who waits.
    "inc qword ptr [rip + {cpu} + {entries}]",
    "mov [rbx + __windows + {p_receivers}], r14",
    "mov [rbx + __windows + {p_receivers} + 8], r14",
    "mov [rbx + __windows + {p_server}], rcx",
    // The request.
    "mov ebx, [rsp + {e_calls}]",
    "inc ebx",
    "mov [rsp + {e_calls}], ebx",
    "mov byte ptr [rsp + {e_state}], {awaiting}",
    "mov [rsp + {e_waits_for}], r11",
    "mov dword ptr [rsp + {e_how}], {native}",
    "shr rax, 32",
    "shl rax, 32",
    "mov [rsp + {e_row}], rax",
    "mov [rsp + {e_row} + 8], r14",
    "mov [rsp + {e_badge}], r15",
    // The words, and the rest of the caller's registers.
    "mov [rsp + {e_args}], rdi",
    "mov [rsp + {e_args} + 8], rsi",
    "mov [rsp + {e_args} + 16], rdx",
    "mov [rsp + {e_args} + 24], r10",
    "mov [rsp + {e_args} + 32], r8",
    "mov [rsp + {e_args} + 40], r9",
    "mov [rsp + {e_args} + 48], r12",
    "mov qword ptr [rsp + {e_kind}], {syscall}",
    "mov [rsp + {e_r14}], r14",
    "mov r14, [rip + {cpu} + {scratch}]",
    "mov [rsp + {e_rsp}], r14",
    // The token, and the priority that the server works at.
    "mov rdi, [rip + {cpu} + {core}]",
    "shl rbx, 32",
    "mov r13d, [rdi + {k_current}]",
    "or r13, rbx",
    "movzx ebx, byte ptr [rsp + {e_priority}]",
    "movzx r11d, byte ptr [rbp + __windows + {t_base}]",
    "cmp r11d, ebx",
    "cmovb r11d, ebx",
    "mov [rbp + __windows + {t_priority}], r11b",
    // The switch: rcx is the next thread, rbp its offset, rdi the core; rax, r13, r15 and the words are live.
    "2:",
    "mov byte ptr [rbp + __windows + {t_state}], {ready}",
    "mov [rdi + {k_current}], rcx",
    "mov rbx, [rbp + __windows + {t_root}]",
    "cmp rbx, [rdi + {k_root}]",
    "je 3f",
    "mov [rdi + {k_root}], rbx",
    "inc qword ptr [rdi + {k_space_switches}]",
    "movzx r11d, word ptr [rbp + __windows + {t_map_base}]",
    "mov [rip + {cpu} + {map_base}], r11w",
    "mov cr3, rbx",
    "3:",
    "lea rsp, [rbp + __windows + {frame_size}]",
    "mov [rip + {cpu} + {rsp0}], rsp",
    "mov rbx, [rsp + {e_fs_base}]",
    "mov r11, rbx",
    "or r11, [rdi + {k_fs_base}]",
    "jz 4f",
    "mov [rdi + {k_fs_base}], rbx",
    "mov r14, rax",
    "mov rbp, rdx",
    "mov eax, ebx",
    "mov rdx, rbx",
    "shr rdx, 32",
    "mov ecx, {msr_fs_base}",
    "wrmsr",
    "mov rax, r14",
    "mov rdx, rbp",
    "mov rcx, [rdi + {k_current}]",
    "4:",
    "cmp rcx, [rdi + {k_fpu_owner}]",
    "setne bl",
    "cmp bl, [rdi + {k_fpu_locked}]",
    "je 5f",
    "mov [rdi + {k_fpu_locked}], bl",
    "movzx ebx, bl",
    "shl ebx, 3",
    "or rbx, [rdi + {k_cr0}]",
    "mov cr0, rbx",
    "5:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rbp, [rsp + {e_rbp}]",
    "mov rdi, [rsp + {e_args}]",
    "mov r14, [rsp + {e_r14}]",
    "mov rsp, [rsp + {e_rsp}]",
    "sysretq",
    // Not sure: as if nothing had been.
    "9:",
    "mov r13, [rsp + {e_r13}]",
    "10:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rbp, [rsp + {e_rbp}]",
    "mov r15, [rsp + {e_r15}]",
    "xor r14d, r14d",
    "jmp parley_slow_entry",
    ".balign 64",
    ".global parley_fast_reply",
    "parley_fast_reply:",
    "test r14, r14",
    "jnz parley_slow_entry",
    "test r13, r13",
    "jz parley_slow_entry",
    "cmp rdi, {slots}",
    "jae parley_slow_entry",
    "mov [rsp + {e_rip}], rcx",
    "mov [rsp + {e_rflags}], r11",
    "mov [rsp + {e_rbx}], rbx",
    "mov [rsp + {e_rbp}], rbp",
    "mov [rsp + {e_r15}], r15",
    // The handle: an endpoint to receive on, if it is not stale.
    "mov rbx, [rsp + {e_handles}]",
    "mov ebp, edi",
    "shr ebp, 8",
    "mov rbx, [rbx + rbp * 8]",
    "test rbx, rbx",
    "jz 10b",
    "movzx ebp, dil",
    "shl ebp, 4",
    "movzx ecx, word ptr [rbx + rbp]",
    "and ecx, {receive_mask}",
    "cmp ecx, {receive_want}",
    "jne 10b",
    "mov r11, [rbx + rbp + 8]",
    "mov ebx, r11d",
    "imul rbx, rbx, {p_size}",
    "mov r15, r11",
    "shr r15, 32",
    "cmp r15d, [rbx + __windows + {p_generation}]",
    "jne 10b",
    // Nothing has happened there, and nobody else waits.
    "mov ebp, [rbx + __windows + {p_untold}]",
    "or rbp, [rbx + __windows + {p_bits}]",
    "or rbp, [rbx + __windows + {p_events}]",
    "or rbp, [rbx + __windows + {p_callers}]",
    "or rbp, [rbx + __windows + {p_receivers}]",
    "jnz 10b",
    // The caller: its token is good, and its request an ordinary one.
    "mov rcx, [rip + {cpu} + {core}]",
    "mov ebp, r13d",
    "cmp ebp, [rcx + {k_threads_len}]",
    "jae 10b",
    "imul rbp, rbp, {t_size}",
    "cmp dword ptr [rbp + __windows + {t_next_free}], {live}",
    "jne 10b",
    "mov r15, r13",
    "shr r15, 32",
    "cmp r15d, [rbp + __windows + {t_calls}]",
    "jne 10b",
    "cmp byte ptr [rbp + __windows + {t_state}], {awaiting}",
    "jne 10b",
    "cmp r11, [rbp + __windows + {t_waits_for}]",
    "jne 10b",
    "cmp dword ptr [rbp + __windows + {t_deadline_at}], 0",
    "jne 10b",
    "mov r15d, [rbp + __windows + {t_how}]",
    "test r15d, {unusual}",
    "jnz 10b",
    // Nobody who is ready is as urgent as the caller.
    "mov r14d, [rcx + {k_occupied}]",
    "movzx ecx, byte ptr [rbp + __windows + {t_priority}]",
    "shr r14d, cl",
    "jnz 10b",
    // Sure. (r14 is 0 again.) The server waits, alone.
    "inc qword ptr [rip + {cpu} + {entries}]",
    "mov [rsp + {e_args}], rdi",
    "mov qword ptr [rsp + {e_kind}], {syscall}",
    "mov [rsp + {e_r14}], r14",
    "mov rcx, [rip + {cpu} + {scratch}]",
    "mov [rsp + {e_rsp}], rcx",
    "mov rdi, [rip + {cpu} + {core}]",
    "mov rcx, [rdi + {k_current}]",
    "mov [rbx + __windows + {p_receivers}], rcx",
    "mov [rbx + __windows + {p_receivers} + 8], rcx",
    "mov byte ptr [rsp + {e_state}], {receiving}",
    "mov [rsp + {e_waits_for}], r11",
    "movzx ecx, byte ptr [rsp + {e_base}]",
    "mov [rsp + {e_priority}], cl",
    "mov [rsp + {e_next}], r14",
    "mov [rsp + {e_previous}], r14",
    // The caller goes on. A native one gets label and words, which are in their registers.
    "mov ecx, [rbp + __windows + {t_generation}]",
    "shl rcx, 32",
    "mov ebx, r13d",
    "or rcx, rbx",
    "mov r13, [rbp + __windows + {f_r13}]",
    "test r15b, r15b",
    "mov r15, [rbp + __windows + {f_r15}]",
    "jz 6f",
    "shr rax, 32",
    "jmp 2b",
    // A POSIX one gets its registers back, and the result.
    "6:",
    "mov rax, rsi",
    "mov rsi, [rbp + __windows + {f_args} + 8]",
    "mov rdx, [rbp + __windows + {f_args} + 16]",
    "mov r10, [rbp + __windows + {f_args} + 24]",
    "mov r8, [rbp + __windows + {f_args} + 32]",
    "mov r9, [rbp + __windows + {f_args} + 40]",
    "mov r12, [rbp + __windows + {f_args} + 48]",
    "jmp 2b",
    cpu = sym CPU,
    scratch = const SCRATCH,
    rsp0 = const RSP0,
    entries = const offset_of!(CpuLocal, entries),
    core = const CpuLocal::CORE_AT,
    map_base = const offset_of!(CpuLocal, tss) + offset_of!(TaskStateSegment, iomap_base),
    slots = const slot::END,
    syscall = const SYSCALL,
    native = const NATIVE,
    unusual = const UNUSUAL,
    live = const LIVE as i32,
    msr_fs_base = const 0xc000_0100u32,
    frame_size = const table::<Thread>() + size_of::<Frame>(),
    call_mask = const kind_and_rights(0xff, Rights::CALL),
    call_want = const kind_and_rights(kind::CONNECTION, Rights::CALL),
    receive_mask = const kind_and_rights(0xff, Rights::RECEIVE),
    receive_want = const kind_and_rights(kind::ENDPOINT, Rights::RECEIVE),
    ready = const State::Ready as u8,
    receiving = const State::Receiving as u8,
    awaiting = const State::Awaiting as u8,
    e_rip = const at_end!(frame.rip),
    e_rflags = const at_end!(frame.rflags),
    e_rsp = const at_end!(frame.rsp),
    e_kind = const at_end!(frame.kind),
    e_rbx = const at_end!(frame.rbx),
    e_rbp = const at_end!(frame.rbp),
    e_r13 = const at_end!(frame.r13),
    e_r14 = const at_end!(frame.r14),
    e_r15 = const at_end!(frame.r15),
    e_args = const at_end!(frame.args),
    e_handles = const at_end!(handle_pages),
    e_calls = const at_end!(calls),
    e_state = const at_end!(state),
    e_waits_for = const at_end!(waits_for),
    e_how = const at_end!(request) + offset_of!(Request, how) as isize,
    e_row = const at_end!(request) + offset_of!(Request, row) as isize,
    e_badge = const at_end!(request) + offset_of!(Request, badge) as isize,
    e_priority = const at_end!(priority),
    e_base = const at_end!(base),
    e_next = const at_end!(next),
    e_previous = const at_end!(previous),
    e_fs_base = const at_end!(fs_base),
    t_size = const slot_size::<Thread>(),
    t_generation = const table::<Thread>() + generation_at::<Thread>(),
    t_next_free = const table::<Thread>() + next_free_at::<Thread>(),
    t_deadline_at = const table::<Thread>() + offset_of!(Thread, deadline_at),
    t_base = const table::<Thread>() + offset_of!(Thread, base),
    t_priority = const table::<Thread>() + offset_of!(Thread, priority),
    t_state = const table::<Thread>() + offset_of!(Thread, state),
    t_root = const table::<Thread>() + offset_of!(Thread, root),
    t_map_base = const table::<Thread>() + offset_of!(Thread, map_base),
    t_calls = const table::<Thread>() + offset_of!(Thread, calls),
    t_waits_for = const table::<Thread>() + offset_of!(Thread, waits_for),
    t_how = const table::<Thread>() + offset_of!(Thread, request) + offset_of!(Request, how),
    f_r13 = const table::<Thread>() + offset_of!(Frame, r13),
    f_r15 = const table::<Thread>() + offset_of!(Frame, r15),
    f_args = const table::<Thread>() + offset_of!(Frame, args),
    c_size = const slot_size::<Connection>(),
    c_generation = const table::<Connection>() + generation_at::<Connection>(),
    c_endpoint = const table::<Connection>() + offset_of!(Connection, endpoint),
    c_badge = const table::<Connection>() + offset_of!(Connection, badge),
    p_size = const slot_size::<Endpoint>(),
    p_generation = const table::<Endpoint>() + generation_at::<Endpoint>(),
    p_receivers = const table::<Endpoint>() + offset_of!(Endpoint, receivers),
    p_callers = const table::<Endpoint>() + offset_of!(Endpoint, callers),
    p_events = const table::<Endpoint>() + offset_of!(Endpoint, events),
    p_bits = const table::<Endpoint>() + offset_of!(Endpoint, bits),
    p_untold = const table::<Endpoint>() + offset_of!(Endpoint, untold),
    p_server = const table::<Endpoint>() + offset_of!(Endpoint, server),
    k_current = const offset_of!(Core, current),
    k_root = const offset_of!(Core, root),
    k_fs_base = const offset_of!(Core, fs_base),
    k_fpu_owner = const offset_of!(Core, fpu_owner),
    k_fpu_locked = const offset_of!(Core, fpu_locked),
    k_cr0 = const offset_of!(Core, cr0),
    k_space_switches = const offset_of!(Core, counters) + offset_of!(parley_abi::counters::Counters, space_switches),
    k_occupied = const offset_of!(Core, ready) + Ready::OCCUPIED_AT,
    k_threads_len = const offset_of!(Core, threads) + Slab::<Thread>::LEN_AT,
);
