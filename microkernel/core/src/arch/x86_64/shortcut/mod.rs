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

use core::mem::offset_of;

use parley_abi::slot::END;
use parley_abi::{Rights, kind};

use super::asm::place;
use super::entry::CpuLocal;
use super::frame::Frame;
use super::paging::{self, Leaf};
use crate::kernel::Core;
use crate::mem::Slot;
use crate::object::{Connection, Endpoint, Handle, How, Irq, Kind, PER_PAGE, Packed, State, Table, Thread};

/// Bits of [`How`] that make a reply unusual: it is to a fault, or a handle is reserved.
const UNUSUAL: u32 = Kind::Fault as u32 | 0xff << 24;
const _: () = assert!(offset_of!(How, first) == 1 && offset_of!(How, reserved) == 3 && Kind::Posix as u32 == 0);
const _: () = assert!(size_of::<Packed>() == 16 && offset_of!(Frame, r11) == 0);

/// [`entry_code!`](crate::entry_code) with names for all that the short cuts use.
macro_rules! code {
    ($($code:tt)*) => {
        $crate::entry_code! {
            {
                end Thread {
                    e_number = frame.number, e_token = token, e_serving = serving, e_served_by = served_by, e_state = state,
                    e_waits_for = waits_for, e_how = request.how, e_row = request.row, e_badge = request.badge,
                    e_priority = priority, e_slice = slice, e_cpu_time = cpu_time, e_fs_base = fs_base, e_cr0 = cr0,
                }
                end Slot<Thread> { e_next = links.next, e_previous = links.previous }
                place Thread {
                    t_deadline_at = deadline_at, t_slice = slice, t_base = base, t_priority = priority, t_state = state,
                    t_root = root, t_map_base = map_base, t_token = token, t_serving = serving, t_waits_for = waits_for,
                    t_how = request.how, t_first = request.how.first, t_leases = request.row.leases,
                }
                place Slot<Thread> { t_me = me }
                place Slot<Table> { tb_me = me, tb_heads = value.heads, tb_leases = value.leases }
                place Slot<Connection> { c_me = me, c_endpoint = value.endpoint, c_badge = value.badge }
                place Slot<Endpoint> {
                    p_me = me, p_door = value.door, p_bits = value.bits, p_server = value.server,
                }
                start Handle { rights = rights }
                start Irq { i_taken = taken, i_endpoint = endpoint, i_bits = bits }
                start Leaf { leaf_root = root, leaf_region = region, leaf_entries = entries }
                start Core {
                    k_leaves = leaves, k_bytes_copied = counters.bytes_copied, k_rep_extra = counters.rep_extra,
                    k_space_switches = counters.space_switches, k_irqs = irqs, k_fast_irqs = fast_irqs,
                    k_level = apic.level, k_apic = apic.local, k_doomed = doomed.count, k_clock_start = clock.start,
                    k_clock_scale = clock.scale, k_accounted = accounted, k_slice_end = slice_end,
                    k_queues = ready.queues, k_occupied = ready.occupied, k_counts = ready.counts, k_current = current,
                    k_root = root, k_cr0 = cr0,
                }
                start CpuLocal { cpu_map_base = tss.hardware.iomap_base }
            }
            {
                slots = END, handles_shift = PER_PAGE.trailing_zeros(), may_call = Rights::CALL.bits(),
                may_receive = Rights::RECEIVE.bits(), is_ready = State::Ready as u8, is_receiving = State::Receiving as u8,
                is_awaiting = State::Awaiting as u8, t_end = place::<Thread>() as usize + size_of::<Frame>(),
            }
            $($code)*
        }
    };
}

/// Puts the handle in slot `rcx` (below END) of the current thread's table at `rbx + rcx`; `r11` is lost. `listed`: the list
/// of pages of handles is in `rbx` already.
macro_rules! find_handle {
    () => {
        concat!("mov rbx, [rsp + e_handles]\n", find_handle!(listed))
    };
    (listed) => {
        "mov r11d, ecx
         shr r11d, handles_shift
         mov rbx, [rbx + r11 * 8]
         movzx ecx, cl
         shl ecx, 4\n"
    };
}

/// From the connection's slot in `rcx` (below END) to the endpoint, at `rbx` in its window and named by `r11`, the
/// badge in `r15`, and the thread that waits there in `rcx`, its block at `rbp`. To 9 if there is no such
/// connection, or no thread waits. `r13` is lost.
macro_rules! find_server {
    ($($listed:ident)?) => {
        concat!(
            find_handle!($($listed)?),
            "test byte ptr [rbx + rcx + rights], may_call
             jz 9f
             mov r13, [rbx + rcx + 8]
             mov ebx, r13d
             cmp r13, [rbx + __windows + c_me]
             jne 9f
             mov r11, [rbx + __windows + c_endpoint]
             mov r15, [rbx + __windows + c_badge]
             mov ebx, r11d
             cmp r11, [rbx + __windows + p_me]
             jne 9f
             mov rcx, [rbx + __windows + p_door]
             mov ebp, ecx
             test ebp, ebp
             jz 9f"
        )
    };
}

/// The rest of a request to the server that [`find_server`] found, which works in the caller's turn. `r14` is 0.
macro_rules! hand_over {
    () => {
        "inc qword ptr [rip + {cpu} + cpu_entries]
         mov [rbx + __windows + p_door], r14
         mov [rbx + __windows + p_server], rcx
         mov byte ptr [rsp + e_state], is_awaiting
         mov [rsp + e_waits_for], r11
         mov [rsp + e_served_by], rcx
         mov [rsp + e_badge], r15
         mov rbx, [rip + {cpu} + cpu_scratch]
         mov [rsp + e_rsp], rbx
         mov rdi, [rip + {cpu} + cpu_core]
         mov r13, [rsp + e_token]
         mov [rbp + __windows + t_serving], r13
         movzx ebx, byte ptr [rsp + e_priority]
         mov [rbp + __windows + t_priority], bl"
    };
}

/// Switches to thread `rcx`, whose block is at `rbp` in its window, and leaves ring 0. `rdi` is the core, `r14` is 0;
/// rax, r13, r15 and the words are the thread's already. `rbx` and `r11` are lost.
macro_rules! switch {
    ($name:literal) => {
        concat!(
            ".irp name, ",
            $name,
            "
             .global \\name\\()_switch
             \\name\\()_switch:
             mov byte ptr [rbp + __windows + t_state], is_ready
             mov [rdi + k_current], rcx
             mov rbx, [rbp + __windows + t_root]
             cmp rbx, [rdi + k_root]
             je 3f
             mov [rdi + k_root], rbx
             inc qword ptr [rdi + k_space_switches]
             movzx r11d, word ptr [rbp + __windows + t_map_base]
             mov [rip + {cpu} + cpu_map_base], r11w
             mov cr3, rbx
             3:
             lea rsp, [rbp + __windows + t_end]
             mov [rip + {cpu} + cpu_rsp0], rsp
             mov rbx, [rsp + e_fs_base]
             wrfsbase rbx
             wrgsbase r14
             mov rbx, [rsp + e_cr0]
             cmp rbx, [rdi + k_cr0]
             je 5f
             mov [rdi + k_cr0], rbx
             mov cr0, rbx
             5:
             .global \\name\\()_exit
             \\name\\()_exit:
             load rcx, r11, rbx, rbp, rdi, r14, rsp
             sysretq
             .endr"
        )
    };
}

/// The checks of `reply_recv`, from flags and slot on; these bits of how the caller asked are unusual (bytes are for POSIX
/// callers, whose kind is 0). Afterwards `rbx` is the endpoint, `rbp` the caller's block, `r15`
/// how it asked.
macro_rules! reply_checks {
    ($unusual:literal) => {
        concat!(
            "test r14, r14
             jnz parley_slow_entry
             cmp rdi, slots
             jae parley_slow_entry
             save rcx, r11, rbx, rbp, r15
             mov ecx, edi\n",
            find_handle!(),
            "test byte ptr [rbx + rcx + rights], may_receive
             jz 9f
             mov r11, [rbx + rcx + 8]
             mov ebx, r11d
             cmp r11, [rbx + __windows + p_me]
             jne 9f
             cmp qword ptr [rbx + __windows + p_door], 0
             jne 9f
             cmp r13, [rsp + e_serving]
             jne 9f
             mov ebp, r13d
             cmp r13, [rbp + __windows + t_token]
             jne 9f
             cmp r11, [rbp + __windows + t_waits_for]
             jne 9f
             cmp dword ptr [rbp + __windows + t_deadline_at], 0
             jne 9f
             mov r15d, [rbp + __windows + t_how]
             test r15d, ",
            $unusual,
            "
             jnz 9f
             movzx ecx, byte ptr [rbp + __windows + t_priority]
             cmp cl, [rsp + e_priority]
             jne 9f"
        )
    };
}

/// The server waits, alone, on the endpoint at `rbx` that `r11` names, and the caller's request has ended. Afterwards `rcx`
/// is the caller, `rdi` the core.
macro_rules! reply_waits {
    () => {
        "save r14
         mov rcx, [rip + {cpu} + cpu_scratch]
         mov [rsp + e_rsp], rcx
         mov rdi, [rip + {cpu} + cpu_core]
         mov rcx, [rdi + k_current]
         mov [rbx + __windows + p_door], rcx
         mov byte ptr [rsp + e_state], is_receiving
         mov [rsp + e_waits_for], r11
         inc dword ptr [rbp + __windows + t_token + 4]
         mov rcx, [rbp + __windows + t_me]
         fetch r13"
    };
}

// Behind the macros, which they use.
mod bytes;
mod messages;
mod wakeups;
