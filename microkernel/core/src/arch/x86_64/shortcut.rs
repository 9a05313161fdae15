//! The short cuts: a message from one address space to another without leaving this page.
//!
//! The entry code comes here for the two calls by which messages travel, when their flags are empty, for the
//! rows of the call table that are plain messages, for notifications, and for interrupts whose driver waits. Each short cut is
//! a straight list of checks that changes nothing until it is sure; whatever is unusual goes back to
//! [`super::entry`] with every register as it was, and is served in Rust ([`crate::ipc`]), which is the
//! specification. What is gained is that the words of the message stay in their registers: they are
//! written down once, in the caller's block, where they must be found if the server dies.
//!
//! What makes the lists short:
//! - a reference is found by adding and is good if the slot says the same ([`crate::mem::slab`]);
//! - the door of an endpoint says in one word whether one thread waits and nothing else is going on;
//! - a token moves on when its request ends, so one that is equal is good;
//! - a server runs in its caller's turn: the priority is handed on, and the time slice goes on;
//! - the FS base has an instruction. Where the processor lacks it (`wrfsbase`), there are no short cuts.
//!
//! Where the instructions of a round trip go (`cargo xtask trace ipc_round_trip_6 --steps` lists each):
//!
//! | part | call | reply_recv |
//! |---|---|---|
//! | entry: stack, which call | 5 | 7 |
//! | refuse at once what is unusual, save what is needed as scratch | 10 | 9 |
//! | checks: handle, connection, endpoint, partner | 22 | 30 |
//! | write down: request and words, or that the server waits | 27 | 17 |
//! | switch: current thread, page tables (6 where they change), segment bases, FPU (2 where its owner changes) | 20 | 20 |
//! | exit | 8 | 8 |
//!
//! That is 183, and 198 with the 15 of the two programs.

use core::arch::global_asm;
use core::mem::offset_of;

use parley_abi::call::{Rights, kind};
use parley_abi::counters::Counters;
use parley_abi::msg::Flags;
use parley_abi::row::Shape;
use parley_abi::slot;
use x86_64::structures::tss::TaskStateSegment;

use super::clock::Clock;
use super::entry::{CPU, CpuLocal, KERNEL_TOP, RSP0, SCRATCH, on_native};
use super::frame::Frame;
use super::paging::{self, Leaf};
use super::{apic, vectors};
use crate::kernel::Core;
use crate::mem::slab::{Object, Ref, me_at};
use crate::mem::window::WINDOW;
use crate::object::connection::Connection;
use crate::object::doomed::Doomed;
use crate::object::endpoint::{BUSY, CROWDED, Endpoint, RESIDENT};
use crate::object::handle::{Handle, Handles, PER_PAGE};
use crate::object::irq::Irq;
use crate::object::space::Space;
use crate::object::table::{Packed, SEND_BIT, SEND_TO_BIT, Table};
use crate::object::thread::{How, Kind, Request, State, Thread};
use crate::sched::{LONGEST_SLICE, Queue, Ready};

/// Where the table of `T` begins, counted from the first window.
pub(super) const fn table<T: Object>() -> usize {
    (T::WINDOW * WINDOW) as usize
}

/// Offset of a register in a thread block, counted from the end of its frame, where the stack pointer is.
macro_rules! at_end {
    ($($field:tt)*) => {
        (offset_of!(Thread, $($field)*) as isize - size_of::<Frame>() as isize)
    };
}

pub(super) use at_end;

/// From the list of a space's pages of handles to the space's call table.
pub(super) const TABLE_AT: isize =
    offset_of!(Space, table) as isize - (offset_of!(Space, handles) + Handles::PAGES_AT) as isize;

/// Rights and kind of a handle as the first two bytes of it hold them.
const fn kind_and_rights(kind: u8, rights: Rights) -> u32 {
    kind as u32 | (rights.bits() as u32) << 8
}

/// [`How`] of a native request, as a number.
const NATIVE: u32 = Kind::Native as u32 | 1 << 8;
/// [`How`] of a row with its slot in rdi, as a number. That of a row with a fixed slot is 0.
const POSIX_TO: u32 = Kind::Posix as u32 | 1 << 8;
/// Bits of [`How`] that make a reply unusual: it is to a fault, or a handle is reserved.
const UNUSUAL: u32 = Kind::Fault as u32 | 0xff << 24;
const _: () = assert!(offset_of!(How, first) == 1 && offset_of!(How, reserved) == 3 && Kind::Posix as u32 == 0);
/// The bit that tells a resident or crowded door, behind which somebody must be told, from one that is busy or open.
const SOMEBODY_BIT: u32 = 33;
const _: () = assert!(RESIDENT.key() & CROWDED.key() == 1 << SOMEBODY_BIT && BUSY.key() == 1 << 32);

/// Puts the handle in slot `rcx` (below END) of the current thread's table at `rbx + rcx`; `r11` is lost. `listed`: the list
/// of pages of handles is in `rbx` already.
macro_rules! find_handle {
    () => {
        concat!("mov rbx, [rsp + {e_handles}]\n", find_handle!(listed))
    };
    (listed) => {
        "mov r11d, ecx\n\
         shr r11d, {page_shift}\n\
         mov rbx, [rbx + r11 * 8]\n\
         movzx ecx, cl\n\
         shl ecx, 4"
    };
}

/// From the connection's slot in `rcx` (below END) to the endpoint, at `rbx` in its window and named by `r11`, the
/// badge in `r15`, and the thread that waits there in `rcx`, its block at `rbp`. To 9 if there is no such
/// connection, or no thread waits. `r13` is lost.
macro_rules! find_server {
    ($($listed:ident)?) => {
        concat!(
            find_handle!($($listed)?),
            "\ntest byte ptr [rbx + rcx + {rights}], {call}\n\
             jz 9f\n\
             mov r13, [rbx + rcx + 8]\n\
             mov ebx, r13d\n\
             cmp r13, [rbx + __windows + {c_me}]\n\
             jne 9f\n\
             mov r11, [rbx + __windows + {c_endpoint}]\n\
             mov r15, [rbx + __windows + {c_badge}]\n\
             mov ebx, r11d\n\
             cmp r11, [rbx + __windows + {p_me}]\n\
             jne 9f\n\
             mov rcx, [rbx + __windows + {p_door}]\n\
             mov ebp, ecx\n\
             test ebp, ebp\n\
             jz 9f"
        )
    };
}

/// Writes the argument registers down.
macro_rules! store_args {
    () => {
        "mov [rsp + {e_args}], rdi\n\
         mov [rsp + {e_args} + 8], rsi\n\
         mov [rsp + {e_args} + 16], rdx\n\
         mov [rsp + {e_args} + 24], r10\n\
         mov [rsp + {e_args} + 32], r8\n\
         mov [rsp + {e_args} + 40], r9\n\
         mov [rsp + {e_args} + 48], r12"
    };
}

/// The rest of a request to the server that [`find_server`] found, which works in the caller's turn. `r14` is 0.
macro_rules! hand_over {
    () => {
        "inc qword ptr [rip + {cpu} + {entries}]\n\
         mov [rbx + __windows + {p_door}], r14\n\
         mov [rbx + __windows + {p_server}], rcx\n\
         mov byte ptr [rsp + {e_state}], {awaiting}\n\
         mov [rsp + {e_waits_for}], r11\n\
         mov [rsp + {e_served_by}], rcx\n\
         mov [rsp + {e_badge}], r15\n\
         mov rbx, [rip + {cpu} + {scratch}]\n\
         mov [rsp + {e_rsp}], rbx\n\
         mov rdi, [rip + {cpu} + {core}]\n\
         mov r13, [rsp + {e_token}]\n\
         mov [rbp + __windows + {t_serving}], r13\n\
         movzx ebx, byte ptr [rsp + {e_priority}]\n\
         mov [rbp + __windows + {t_priority}], bl"
    };
}

/// Switches to thread `rcx`, whose block is at `rbp` in its window, and leaves ring 0. `rdi` is the core, `r14` is 0;
/// rax, r13, r15 and the words are the thread's already. `rbx` and `r11` are lost.
macro_rules! switch {
    ($name:literal) => {
        concat!(
            ".global ",
            $name,
            "_switch\n",
            $name,
            "_switch:\n\
         mov byte ptr [rbp + __windows + {t_state}], {ready}\n\
         mov [rdi + {k_current}], rcx\n\
         mov rbx, [rbp + __windows + {t_root}]\n\
         cmp rbx, [rdi + {k_root}]\n\
         je 3f\n\
         mov [rdi + {k_root}], rbx\n\
         inc qword ptr [rdi + {k_space_switches}]\n\
         movzx r11d, word ptr [rbp + __windows + {t_map_base}]\n\
         mov [rip + {cpu} + {map_base}], r11w\n\
         mov cr3, rbx\n\
         3:\n\
         lea rsp, [rbp + __windows + {frame_size}]\n\
         mov [rip + {cpu} + {rsp0}], rsp\n\
         mov rbx, [rsp + {e_fs_base}]\n\
         wrfsbase rbx\n\
         wrgsbase r14\n\
         mov rbx, [rsp + {e_cr0}]\n\
         cmp rbx, [rdi + {k_cr0}]\n\
         je 5f\n\
         mov [rdi + {k_cr0}], rbx\n\
         mov cr0, rbx\n\
         5:\n\
         .global ",
            $name,
            "_exit\n",
            $name,
            "_exit:\n\
         mov rcx, [rsp + {e_rip}]\n\
         mov r11, [rsp + {e_rflags}]\n\
         mov rbx, [rsp + {e_rbx}]\n\
         mov rbp, [rsp + {e_rbp}]\n\
         mov rdi, [rsp + {e_args}]\n\
         mov r14, [rsp + {e_r14}]\n\
         mov rsp, [rsp + {e_rsp}]\n\
         sysretq"
        )
    };
}

/// The checks of `reply_recv`, from flags and slot on; these bits of how the caller asked are unusual (bytes are for POSIX
/// callers, whose kind is 0). Afterwards `rbx` is the endpoint, `rbp` the caller's block, `r15`
/// how it asked.
macro_rules! reply_checks {
    ($unusual:literal) => {
        concat!(
            "test r14, r14\n\
         jnz parley_slow_entry\n\
         cmp rdi, {slots}\n\
         jae parley_slow_entry\n\
         mov [rsp + {e_rip}], rcx\n\
         mov [rsp + {e_rflags}], r11\n\
         mov [rsp + {e_rbx}], rbx\n\
         mov [rsp + {e_rbp}], rbp\n\
         mov [rsp + {e_r15}], r15\n\
         mov ecx, edi\n",
            find_handle!(),
            "\ntest byte ptr [rbx + rcx + {rights}], {receive}\n\
         jz 9f\n\
         mov r11, [rbx + rcx + 8]\n\
         mov ebx, r11d\n\
         cmp r11, [rbx + __windows + {p_me}]\n\
         jne 9f\n\
         cmp qword ptr [rbx + __windows + {p_door}], 0\n\
         jne 9f\n\
         cmp r13, [rsp + {e_serving}]\n\
         jne 9f\n\
         mov ebp, r13d\n\
         cmp r13, [rbp + __windows + {t_token}]\n\
         jne 9f\n\
         cmp r11, [rbp + __windows + {t_waits_for}]\n\
         jne 9f\n\
         cmp dword ptr [rbp + __windows + {t_deadline_at}], 0\n\
         jne 9f\n\
         mov r15d, [rbp + __windows + {t_how}]\n\
         test r15d, ",
            $unusual,
            "\n\
         jnz 9f\n\
         movzx ecx, byte ptr [rbp + __windows + {t_priority}]\n\
         cmp cl, [rsp + {e_priority}]\n\
         jne 9f"
        )
    };
}

/// The server waits, alone, on the endpoint at `rbx` that `r11` names, and the caller's request has ended. Afterwards `rcx` is the caller, `rdi` the core.
macro_rules! reply_waits {
    () => {
        "mov [rsp + {e_r14}], r14\n\
         mov rcx, [rip + {cpu} + {scratch}]\n\
         mov [rsp + {e_rsp}], rcx\n\
         mov rdi, [rip + {cpu} + {core}]\n\
         mov rcx, [rdi + {k_current}]\n\
         mov [rbx + __windows + {p_door}], rcx\n\
         mov byte ptr [rsp + {e_state}], {receiving}\n\
         mov [rsp + {e_waits_for}], r11\n\
         inc dword ptr [rbp + __windows + {t_token} + 4]\n\
         mov rcx, [rbp + __windows + {t_me}]\n\
         mov r13, [rbp + __windows + {f_r13}]"
    };
}

/// A POSIX caller gets its registers back.
macro_rules! posix_resumes {
    () => {
        "mov rsi, [rbp + __windows + {f_args} + 8]\n\
         mov rdx, [rbp + __windows + {f_args} + 16]\n\
         mov r10, [rbp + __windows + {f_args} + 24]\n\
         mov r8, [rbp + __windows + {f_args} + 32]\n\
         mov r9, [rbp + __windows + {f_args} + 40]\n\
         mov r12, [rbp + __windows + {f_args} + 48]\n\
         mov r15, [rbp + __windows + {f_r15}]"
    };
}

/// Whether the thread at the door `rbx` may go on at once with the notification bits in `rsi`: it is more urgent than
/// the current one, which has no equals and nobody more urgent waiting, and works for nobody. To 8 if not. Afterwards
/// `rbp` is its block, `r8` its priority, and `r12` and `r15` are the current one's, as a number and as a bit.
macro_rules! waiter_checks {
    () => {
        "test rsi, rsi\n\
         jz 8f\n\
         mov ebp, ebx\n\
         movzx r12d, byte ptr [rsp + {e_priority}]\n\
         movzx r8d, byte ptr [rbp + __windows + {t_base}]\n\
         cmp r8d, r12d\n\
         jbe 8f\n\
         xor r15d, r15d\n\
         bts r15d, r12d\n\
         cmp [rdi + {k_occupied}], r15d\n\
         jae 8f\n\
         cmp qword ptr [rsp + {e_serving}], 0\n\
         jne 8f"
    };
}

global_asm!(
    ".text",
    // `call`, with a waiting server.
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
    "mov ecx, edi",
    find_server!(),
    // Sure. The words stay in their registers, and are written down.
    store_args!(),
    "mov dword ptr [rsp + {e_how}], {native}",
    "mov [rsp + {e_row}], rax",
    "mov [rsp + {e_row} + 8], r14",
    "mov [rsp + {e_r14}], r14",
    "shr rax, 32",
    "shl rax, 32",
    hand_over!(),
    switch!("parley_call"),
    // Not sure: as if nothing had been.
    "9:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rbp, [rsp + {e_rbp}]",
    "mov r13, [rsp + {e_r13}]",
    "mov r15, [rsp + {e_r15}]",
    "jmp parley_slow_entry",
    // A row of the call table that is a message and opens nothing, with a waiting server.
    ".balign 64",
    ".global parley_fast_row",
    "parley_fast_row:",
    "mov [rsp + {e_rip}], rcx",
    "mov [rsp + {e_rflags}], r11",
    "mov [rsp + {e_rbx}], rbx",
    "mov [rsp + {e_rbp}], rbp",
    "mov [rsp + {e_r13}], r13",
    "mov [rsp + {e_r14}], r14",
    "mov [rsp + {e_r15}], r15",
    // The row.
    "mov rbx, [rsp + {e_handles}]",
    "mov r11, [rbx + {table_at}]",
    "mov ebp, r11d",
    "cmp r11, [rbp + __windows + {tb_me}]",
    "jne 9f",
    "mov ecx, eax",
    "mov r14, [rbp + rcx * 8 + __windows + {tb_heads}]",
    "mov r15, [rbp + rcx * 8 + __windows + {tb_leases}]",
    "mov [rsp + {e_row}], r14",
    "mov [rsp + {e_row} + 8], r15",
    "bt r14d, {send_to_bit}",
    "jnc 6f",
    // Its slot is in rdi.
    "cmp rdi, {slots}",
    "jae 9f",
    "mov ecx, edi",
    find_server!(listed),
    store_args!(),
    "mov dword ptr [rsp + {e_how}], {posix_to}",
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
    store_args!(),
    "mov rax, r14",
    "shr rax, 32",
    "shl rax, 32",
    "xor r14d, r14d",
    "mov [rsp + {e_how}], r14d",
    "mov r12, r9",
    "mov r9, r8",
    "mov r8, r10",
    "mov r10, rdx",
    "mov rdx, rsi",
    "mov rsi, rdi",
    hand_over!(),
    switch!("parley_row"),
    "9:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rbp, [rsp + {e_rbp}]",
    "mov r13, [rsp + {e_r13}]",
    "mov r14, [rsp + {e_r14}]",
    "mov r15, [rsp + {e_r15}]",
    "jmp parley_posix_entry",
    // `reply_recv`, with nothing else to receive, to the caller whose turn it is.
    ".balign 64",
    ".global parley_fast_reply",
    "parley_fast_reply:",
    reply_checks!("{unusual}"),
    // Sure.
    "inc qword ptr [rip + {cpu} + {entries}]",
    "mov [rsp + {e_args}], rdi",
    reply_waits!(),
    "test r15b, r15b",
    "jz 7f",
    // A native caller gets label and words, which are in their registers.
    "mov r15, [rbp + __windows + {f_r15}]",
    "shr rax, 32",
    switch!("parley_reply"),
    "7:",
    "mov rax, rsi",
    posix_resumes!(),
    switch!("parley_reply_row"),
    // The same with bytes for the caller.
    ".balign 64",
    ".global parley_fast_reply_data",
    "parley_fast_reply_data:",
    reply_checks!("{unusual_for_bytes}"),
    "cmp word ptr [rbp + __windows + {t_leases}], {plain_read}",
    "jne 6f",
    // The caller's buffer is that of a `read`. At most a page of bytes, from where the last came from to where the last
    // went, is copied here, in as many pieces as pages say: `r8` bytes are left of `r13`, from `rdx` to `rdi`.
    "mov [rsp + {e_args}], rdi",
    "mov [rsp + {e_args} + 8], rsi",
    "mov [rsp + {e_args} + 16], rdx",
    "mov [rsp + {e_args} + 32], r8",
    "mov [rsp + {e_args} + 40], r9",
    "mov [rsp + {e_args} + 48], r12",
    "movzx ecx, byte ptr [rbp + __windows + {t_first}]",
    "mov rdi, [rbp + rcx * 8 + __windows + {f_args}]",
    "mov r13, [rbp + rcx * 8 + __windows + {f_args} + 8]",
    "cmp r13, r10",
    "cmova r13, r10",
    "cmp r13, {page}",
    "ja 5f",
    "mov r8, r13",
    "mov r11, [rip + {cpu} + {core}]",
    "mov rcx, [r11 + {k_root}]",
    "cmp rcx, [r11 + {k_read} + {leaf_root}]",
    "jne 5f",
    "mov rcx, [rbp + __windows + {t_root}]",
    "cmp rcx, [r11 + {k_written} + {leaf_root}]",
    "jne 5f",
    "mov rcx, rdx",
    "shr rcx, 21",
    "cmp rcx, [r11 + {k_read} + {leaf_region}]",
    "jne 5f",
    "mov rcx, rdi",
    "shr rcx, 21",
    "cmp rcx, [r11 + {k_written} + {leaf_region}]",
    "jne 5f",
    // A piece: `esi` bytes, up to the end of either page.
    "2:",
    "mov r9d, edx",
    "and r9d, {page} - 1",
    "mov r15d, edi",
    "and r15d, {page} - 1",
    "mov esi, r9d",
    "cmp esi, r15d",
    "cmovb esi, r15d",
    "neg esi",
    "add esi, {page}",
    "cmp esi, r8d",
    "cmova esi, r8d",
    // The entries of the page tables say that ring 3 may read the one and write the other.
    "mov r12d, edx",
    "shr r12d, 9",
    "and r12d, 0xff8",
    "add r12, [r11 + {k_read} + {leaf_entries}]",
    "mov r12, [r12]",
    "mov ecx, edi",
    "shr ecx, 9",
    "and ecx, 0xff8",
    "add rcx, [r11 + {k_written} + {leaf_entries}]",
    "mov rcx, [rcx]",
    "mov r14d, r12d",
    "or r14d, {writable}",
    "and r14d, ecx",
    "not r14d",
    "test r14b, {all_allowed}",
    "jnz 5f",
    // Where the pages lie.
    "and r12, [rip + {address}]",
    "and rcx, [rip + {address}]",
    "add r9, r12",
    "add r15, rcx",
    "add r9, [rip + {direct}]",
    "add r15, [rip + {direct}]",
    "xchg rdi, r15",
    "xchg rsi, r9",
    "mov ecx, r9d",
    "shr ecx, 3",
    "jz 3f",
    "add [r11 + {k_rep_extra}], rcx",
    "rep movsq",
    "3:",
    "mov ecx, r9d",
    "and ecx, 7",
    "add [r11 + {k_rep_extra}], rcx",
    "rep movsb",
    "sub r8d, r9d",
    "jz 4f",
    "add rdx, r9",
    "lea rdi, [r15 + r9]",
    "test edx, {region} - 1",
    "jz 5f",
    "test edi, {region} - 1",
    "jnz 2b",
    // Not in this way: as if nothing had been copied.
    "5:",
    "mov rdi, [rsp + {e_args}]",
    "mov rsi, [rsp + {e_args} + 8]",
    "mov rdx, [rsp + {e_args} + 16]",
    "mov r8, [rsp + {e_args} + 32]",
    "mov r9, [rsp + {e_args} + 40]",
    "mov r12, [rsp + {e_args} + 48]",
    "mov r13, [rsp + {e_serving}]",
    "xor r14d, r14d",
    // Any other way.
    "6:",
    "mov [rsp + {e_rax}], rax",
    "mov [rsp + {e_args}], rdi",
    "mov [rsp + {e_args} + 8], rsi",
    "mov [rsp + {e_args} + 16], rdx",
    "mov [rsp + {e_args} + 24], r10",
    "mov [rsp + {e_args} + 32], r8",
    "mov [rsp + {e_args} + 40], r9",
    "mov rcx, rsi",
    "mov r8, r10",
    "mov r9, rax",
    "mov rdi, [rip + {cpu} + {core}]",
    "mov rsi, [rbp + __windows + {t_me}]",
    "lea rsp, [rip + {cpu} + {kernel_top}]",
    "call {reply_bytes}",
    "mov rsp, [rip + {cpu} + {rsp0}]",
    "test edx, edx",
    "jnz 7f",
    "mov rax, [rsp + {e_rax}]",
    "mov rdi, [rsp + {e_args}]",
    "mov rsi, [rsp + {e_args} + 8]",
    "mov rdx, [rsp + {e_args} + 16]",
    "mov r10, [rsp + {e_args} + 24]",
    "mov r8, [rsp + {e_args} + 32]",
    "mov r9, [rsp + {e_args} + 40]",
    "9:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rbp, [rsp + {e_rbp}]",
    "mov r15, [rsp + {e_r15}]",
    "jmp parley_slow_entry",
    // The result is the number of bytes, or the reply's if all went.
    "4:",
    "xor r14d, r14d",
    "add [r11 + {k_bytes_copied}], r13",
    "test eax, {fill}",
    "jnz 8f",
    "mov rax, r13",
    // Sure.
    "7:",
    "mov r11, [rbx + __windows + {p_me}]",
    "inc qword ptr [rip + {cpu} + {entries}]",
    reply_waits!(),
    posix_resumes!(),
    switch!("parley_reply_data"),
    "8:",
    "cmp r13, r10",
    "jne 5b",
    "mov rax, [rsp + {e_args} + 8]",
    "jmp 7b",
    // `notify`, where nobody waits and whoever serves is in no less of a hurry than usual.
    ".balign 64",
    ".global parley_fast_notify",
    "parley_fast_notify:",
    "cmp rdi, {slots}",
    "jae parley_slow_entry",
    "mov [rsp + {e_rip}], rcx",
    "mov [rsp + {e_rflags}], r11",
    "mov [rsp + {e_rbx}], rbx",
    "mov ecx, edi",
    find_handle!(),
    "movzx r11d, word ptr [rbx + rcx]",
    "and r11d, {notify_mask}",
    "cmp r11d, {notify_want}",
    "jne 9f",
    "mov r11, [rbx + rcx + 8]",
    "mov ecx, r11d",
    "cmp r11, [rcx + __windows + {p_me}]",
    "jne 9f",
    "mov rbx, [rcx + __windows + {p_door}]",
    "test ebx, ebx",
    "jnz 4f",
    "bt rbx, {somebody_bit}",
    "jc 9f",
    "mov ebx, [rcx + __windows + {p_server}]",
    "movzx r11d, byte ptr [rbx + __windows + {t_base}]",
    "cmp [rbx + __windows + {t_priority}], r11b",
    "jb 9f",
    "or [rcx + __windows + {p_bits}], rsi",
    "mov dword ptr [rcx + __windows + {p_door} + 4], 1",
    "inc qword ptr [rip + {cpu} + {entries}]",
    "xor eax, eax",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "mov rsp, [rip + {cpu} + {scratch}]",
    "sysretq",
    // Somebody waits there: he goes on, or the long way is taken. All registers are written down for both.
    "4:",
    "inc qword ptr [rip + {cpu} + {entries}]",
    store_args!(),
    "mov rdi, [rip + {cpu} + {scratch}]",
    "mov [rsp + {e_rsp}], rdi",
    "mov [rsp + {e_number}], rax",
    "mov [rsp + {e_rbp}], rbp",
    "mov [rsp + {e_r13}], r13",
    "mov [rsp + {e_r14}], r14",
    "mov [rsp + {e_r15}], r15",
    "mov rdi, [rip + {cpu} + {core}]",
    "cmp dword ptr [rdi + {k_doomed}], 0",
    "jne 8f",
    waiter_checks!(),
    "mov qword ptr [rsp + {e_rax}], 0",
    "jmp parley_fast_wake",
    "8:",
    "mov esi, {notify}",
    "lea rsp, [rip + {cpu} + {kernel_top}]",
    "call {on_native}",
    "jmp parley_exit",
    "9:",
    "mov rcx, [rsp + {e_rip}]",
    "mov r11, [rsp + {e_rflags}]",
    "mov rbx, [rsp + {e_rbx}]",
    "jmp parley_slow_entry",
    // A device interrupt in ring 3, for a driver that waits. All registers are in the frame, which begins at the
    // stack pointer.
    ".balign 64",
    ".global parley_fast_irq",
    "parley_fast_irq:",
    "add rsp, {all_of_frame}",
    "mov rdi, [rip + {cpu} + {core}]",
    "cmp byte ptr [rdi + {k_fast_irqs}], 0",
    "je 8f",
    "mov eax, [rsp + {e_kind}]",
    "sub eax, {irq}",
    "mov rdx, [rdi + {k_level}]",
    "bt rdx, rax",
    "jc 8f",
    "lea eax, [rax + rax * 2]",
    "lea rax, [rdi + rax * 8 + {k_irqs}]",
    "cmp byte ptr [rax + {i_taken}], 0",
    "je 8f",
    "mov r11, [rax + {i_endpoint}]",
    "mov rsi, [rax + {i_bits}]",
    "mov ecx, r11d",
    "cmp r11, [rcx + __windows + {p_me}]",
    "jne 8f",
    "mov rbx, [rcx + __windows + {p_door}]",
    "test ebx, ebx",
    "jz 8f",
    waiter_checks!(),
    "inc qword ptr [rip + {cpu} + {entries}]",
    "mov rax, [rdi + {k_apic}]",
    "mov dword ptr [rax + {eoi}], 0",
    // Sure. The waiter at the door `rbx` of the endpoint at `rcx` gets the bits in `rsi`. The current thread, whose
    // registers are written down, goes into its queue, which is empty, with what is left of its turn.
    "parley_fast_wake:",
    "xor r14d, r14d",
    "mov [rcx + __windows + {p_door}], r14",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "sub rax, [rdi + {k_clock_start}]",
    "mul qword ptr [rdi + {k_clock_scale}]",
    "shld rdx, rax, 32",
    "mov rax, rdx",
    "sub rax, [rdi + {k_accounted}]",
    "add [rsp + {e_cpu_time}], rax",
    "mov [rdi + {k_accounted}], rdx",
    "mov rax, [rdi + {k_slice_end}]",
    "sub rax, rdx",
    "cmovb rax, r14",
    "mov [rsp + {e_slice}], rax",
    "mov [rsp + {e_next}], r14",
    "mov [rsp + {e_previous}], r14",
    "mov rax, [rdi + {k_current}]",
    "or [rdi + {k_occupied}], r15d",
    "mov dword ptr [rdi + r12 * 4 + {k_counts}], 1",
    "shl r12d, 4",
    "mov [rdi + r12 + {k_queues}], rax",
    "mov [rdi + r12 + {k_queues} + 8], rax",
    "mov rax, [rbp + __windows + {t_slice}]",
    "mov [rbp + __windows + {t_slice}], r14",
    "mov r9d, {longest}",
    "test rax, rax",
    "cmovz rax, r9",
    "add rax, rdx",
    "mov [rdi + {k_slice_end}], rax",
    "mov [rbp + __windows + {t_serving}], r14",
    "mov [rbp + __windows + {t_priority}], r8b",
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
    cpu = sym CPU,
    reply_bytes = sym reply_bytes,
    on_native = sym on_native,
    notify = const parley_abi::call::NOTIFY,
    notified = const parley_abi::msg::event::NOTIFIED,
    irq = const vectors::IRQ,
    eoi = const 4 * apic::local::EOI,
    longest = const LONGEST_SLICE,
    all_of_frame = const size_of::<Frame>(),
    kernel_top = const KERNEL_TOP,
    scratch = const SCRATCH,
    rsp0 = const RSP0,
    entries = const offset_of!(CpuLocal, entries),
    core = const CpuLocal::CORE_AT,
    map_base = const offset_of!(CpuLocal, tss) + offset_of!(TaskStateSegment, iomap_base),
    slots = const slot::END,
    page_shift = const PER_PAGE.trailing_zeros(),
    send_bit = const SEND_BIT,
    send_to_bit = const SEND_TO_BIT,
    table_at = const TABLE_AT,
    native = const NATIVE,
    posix_to = const POSIX_TO,
    unusual = const UNUSUAL,
    unusual_for_bytes = const UNUSUAL | 0xff,
    somebody_bit = const SOMEBODY_BIT,
    page = const parley_abi::PAGE,
    region = const paging::REGION,
    writable = const paging::WRITABLE,
    all_allowed = const paging::PRESENT | paging::WRITABLE | paging::USER,
    address = sym ADDRESS,
    direct = sym DIRECT,
    fill = const (Flags::FILL.bits() as u64) << 16,
    plain_read = const Shape::Write as u16,
    frame_size = const table::<Thread>() + size_of::<Frame>(),
    rights = const Handle::RIGHTS_AT,
    call = const Rights::CALL.bits(),
    receive = const Rights::RECEIVE.bits(),
    notify_mask = const kind_and_rights(0xff, Rights::NOTIFY),
    notify_want = const kind_and_rights(kind::ENDPOINT, Rights::NOTIFY),
    ready = const State::Ready as u8,
    receiving = const State::Receiving as u8,
    awaiting = const State::Awaiting as u8,
    e_rip = const at_end!(frame.rip),
    e_rflags = const at_end!(frame.rflags),
    e_rsp = const at_end!(frame.rsp),
    e_number = const at_end!(frame.number),
    e_rax = const at_end!(frame.rax),
    e_rbx = const at_end!(frame.rbx),
    e_rbp = const at_end!(frame.rbp),
    e_r13 = const at_end!(frame.r13),
    e_r14 = const at_end!(frame.r14),
    e_r15 = const at_end!(frame.r15),
    e_args = const at_end!(frame.args),
    e_handles = const at_end!(handle_pages),
    e_token = const at_end!(token),
    e_serving = const at_end!(serving),
    e_served_by = const at_end!(served_by),
    e_state = const at_end!(state),
    e_waits_for = const at_end!(waits_for),
    e_how = const at_end!(request) + offset_of!(Request, how) as isize,
    e_row = const at_end!(request) + offset_of!(Request, row) as isize,
    e_badge = const at_end!(request) + offset_of!(Request, badge) as isize,
    e_priority = const at_end!(priority),
    e_slice = const at_end!(slice),
    e_cpu_time = const at_end!(cpu_time),
    e_next = const at_end!(next),
    e_previous = const at_end!(previous),
    e_kind = const at_end!(frame.kind),
    e_fs_base = const at_end!(fs_base),
    e_cr0 = const at_end!(cr0),
    t_me = const table::<Thread>() + me_at::<Thread>(),
    t_deadline_at = const table::<Thread>() + offset_of!(Thread, deadline_at),
    t_slice = const table::<Thread>() + offset_of!(Thread, slice),
    t_base = const table::<Thread>() + offset_of!(Thread, base),
    t_priority = const table::<Thread>() + offset_of!(Thread, priority),
    t_state = const table::<Thread>() + offset_of!(Thread, state),
    t_root = const table::<Thread>() + offset_of!(Thread, root),
    t_map_base = const table::<Thread>() + offset_of!(Thread, map_base),
    t_token = const table::<Thread>() + offset_of!(Thread, token),
    t_serving = const table::<Thread>() + offset_of!(Thread, serving),
    t_waits_for = const table::<Thread>() + offset_of!(Thread, waits_for),
    t_first = const table::<Thread>() + offset_of!(Thread, request) + offset_of!(Request, how) + 1,
    t_leases = const table::<Thread>() + offset_of!(Thread, request) + offset_of!(Request, row) + Packed::LEASES_AT,
    t_how = const table::<Thread>() + offset_of!(Thread, request) + offset_of!(Request, how),
    f_r13 = const table::<Thread>() + offset_of!(Frame, r13),
    f_r15 = const table::<Thread>() + offset_of!(Frame, r15),
    f_args = const table::<Thread>() + offset_of!(Frame, args),
    tb_me = const table::<Table>() + me_at::<Table>(),
    tb_heads = const table::<Table>() + Table::HEADS_AT,
    tb_leases = const table::<Table>() + Table::LEASES_AT,
    c_me = const table::<Connection>() + me_at::<Connection>(),
    c_endpoint = const table::<Connection>() + offset_of!(Connection, endpoint),
    c_badge = const table::<Connection>() + offset_of!(Connection, badge),
    p_me = const table::<Endpoint>() + me_at::<Endpoint>(),
    p_door = const table::<Endpoint>() + offset_of!(Endpoint, door),
    p_bits = const table::<Endpoint>() + offset_of!(Endpoint, bits),
    p_server = const table::<Endpoint>() + offset_of!(Endpoint, server),
    k_read = const offset_of!(Core, leaves),
    k_written = const offset_of!(Core, leaves) + size_of::<Leaf>(),
    leaf_root = const offset_of!(Leaf, root),
    leaf_region = const offset_of!(Leaf, region),
    leaf_entries = const offset_of!(Leaf, entries),
    k_bytes_copied = const offset_of!(Core, counters) + offset_of!(Counters, bytes_copied),
    k_rep_extra = const offset_of!(Core, counters) + offset_of!(Counters, rep_extra),
    i_taken = const offset_of!(Irq, taken),
    i_endpoint = const offset_of!(Irq, endpoint),
    i_bits = const offset_of!(Irq, bits),
    k_irqs = const offset_of!(Core, irqs),
    k_fast_irqs = const offset_of!(Core, fast_irqs),
    k_level = const offset_of!(Core, apic) + offset_of!(apic::Apic, level),
    k_apic = const offset_of!(Core, apic) + offset_of!(apic::Apic, local),
    k_doomed = const offset_of!(Core, doomed) + offset_of!(Doomed, count),
    k_clock_start = const offset_of!(Core, clock) + offset_of!(Clock, start),
    k_clock_scale = const offset_of!(Core, clock) + offset_of!(Clock, scale),
    k_accounted = const offset_of!(Core, accounted),
    k_slice_end = const offset_of!(Core, slice_end),
    k_queues = const offset_of!(Core, ready) + Ready::QUEUES_AT,
    k_occupied = const offset_of!(Core, ready) + Ready::OCCUPIED_AT,
    k_counts = const offset_of!(Core, ready) + Ready::COUNTS_AT,
    k_current = const offset_of!(Core, current),
    k_root = const offset_of!(Core, root),
    k_cr0 = const offset_of!(Core, cr0),
    k_space_switches = const offset_of!(Core, counters) + offset_of!(Counters, space_switches),
);

const _: () = assert!(size_of::<Packed>() == 16 && offset_of!(Frame, r11) == 0);

/// What an entry of a page table says of where the page is.
static ADDRESS: u64 = paging::ADDRESS;
/// Where the direct map begins.
static DIRECT: u64 = crate::mem::frames::DIRECT;
const _: () = assert!(size_of::<Irq>() == 24 && size_of::<Queue>() == 16);

/// Copies the bytes of a reply to its POSIX caller, and says what the result is, or that it can't be done here.
extern "sysv64" fn reply_bytes(
    core: &mut Core,
    caller: Ref<Thread>,
    address: u64,
    word: u64,
    len: u64,
    rax: u64,
) -> Bytes {
    let fills = rax >> 16 & Flags::FILL.bits() as u64 != 0;
    match core.reply_data(caller, core.claim(address, len)) {
        Ok(copied) if !fills => Bytes { result: copied as u64, done: 1 },
        Ok(copied) if copied as u64 == len => Bytes { result: word, done: 1 },
        _ => Bytes { result: 0, done: 0 }, // the slow path copies again, and says what is wrong
    }
}

/// What [`reply_bytes`] returns, in rax and rdx.
#[repr(C)]
struct Bytes {
    result: u64,
    done: u64,
}
