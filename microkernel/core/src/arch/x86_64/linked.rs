//! The short cut to a service that is linked into ring 0: from a number to a function, with no message built.
//!
//! Images with resident services come here for the rows of the call table. From the row to its slot, to the
//! handle in it, to the connection, to the function that the service has for such rows
//! ([`crate::ipc::resident::Rows`]): as Linux goes from a descriptor to `file->f_op`. Everything unusual, and whatever
//! is served in ring 3, goes on in [`super::shortcut`] with every register as it was.
//!
//! Where the instructions of `getpid` go (`cargo xtask trace getpid --kernel mono --steps` lists each): entry 6, registers
//! down 8, row 9, handle 6, connection 4, the call 6, the function 8, its result 4, back 10; that is 61, and 69 with the
//! program's 8.

use core::arch::global_asm;
use core::mem::offset_of;

use parley_abi::call::Rights;
use parley_abi::slot;

use super::entry::{CPU, CpuLocal, KERNEL_TOP, RSP0, SCRATCH};
use super::frame::Frame;
use super::shortcut::{TABLE_AT, at_end, table};
use crate::ipc::resident::{LEFT, Rows};
use crate::kernel::Core;
use crate::mem::slab::me_at;
use crate::object::connection::Connection;
use crate::object::handle::{Handle, PER_PAGE};
use crate::object::table::{SEND_TO_BIT, Table};
use crate::object::thread::Thread;

/// From the row in `ecx`, whose slot is in its low half, to the function; `r8` is the list of pages of handles.
macro_rules! call_function {
    () => {
        "movzx esi, ch\n\
         mov r8, [r8 + rsi * 8]\n\
         movzx esi, cl\n\
         shl esi, 4\n\
         test byte ptr [r8 + rsi + {rights}], {call}\n\
         jz 9f\n\
         mov rdi, [r8 + rsi + 8]\n\
         mov esi, edi\n\
         cmp rdi, [rsi + __windows + {c_me}]\n\
         jne 9f\n\
         mov rdx, [rsi + __windows + {c_badge}]\n\
         mov rsi, [rsi + __windows + {c_rows}]\n\
         shr ecx, 24\n\
         mov rdi, [rip + {cpu} + {core}]\n\
         lea rsp, [rip + {cpu} + {kernel_top}]\n\
         call [rsi + rcx * 8 + {functions}]\n\
         mov rsp, [rip + {cpu} + {rsp0}]\n\
         inc qword ptr [rip + {cpu} + {entries}]\n\
         cmp rax, {left}\n\
         je 8f"
    };
}

/// The arguments as they were.
macro_rules! restore_args {
    () => {
        "mov rdi, [rsp + {e_args}]\n\
         mov rsi, [rsp + {e_args} + 8]\n\
         mov rdx, [rsp + {e_args} + 16]\n\
         mov r10, [rsp + {e_args} + 24]\n\
         mov r8, [rsp + {e_args} + 32]\n\
         mov r9, [rsp + {e_args} + 40]\n\
         mov rcx, [rsp + {e_rip}]\n\
         mov r11, [rsp + {e_rflags}]"
    };
}

global_asm!(
    ".pushsection .text.parley_linked_row, \"ax\", @progbits",
    ".balign 64",
    ".global parley_linked_row",
    "parley_linked_row:",
    "mov [rsp + {e_rip}], rcx",
    "mov [rsp + {e_rflags}], r11",
    "mov [rsp + {e_args}], rdi",
    "mov [rsp + {e_args} + 8], rsi",
    "mov [rsp + {e_args} + 16], rdx",
    "mov [rsp + {e_args} + 24], r10",
    "mov [rsp + {e_args} + 32], r8",
    "mov [rsp + {e_args} + 40], r9",
    // The row.
    "mov r8, [rsp + {e_handles}]",
    "mov r9, [r8 + {table_at}]",
    "mov esi, r9d",
    "cmp r9, [rsi + __windows + {tb_me}]",
    "jne 9f",
    "mov ecx, eax",
    "mov rcx, [rsi + rcx * 8 + __windows + {tb_heads}]",
    "bt ecx, {send_to_bit}",
    "jc 6f",
    call_function!(),
    restore_args!(),
    "mov rsp, [rip + {cpu} + {scratch}]",
    "sysretq",
    // Its slot is in rdi.
    "6:",
    "cmp rdi, {slots}",
    "jae 9f",
    "or ecx, edi",
    call_function!(),
    restore_args!(),
    "mov rsp, [rip + {cpu} + {scratch}]",
    "sysretq",
    // The thread waits for an answer, or perhaps somebody else goes first: all its registers go into its block.
    "8:",
    "mov rcx, [rip + {cpu} + {scratch}]",
    "mov [rsp + {e_rsp}], rcx",
    "mov [rsp + {e_rbx}], rbx",
    "mov [rsp + {e_rbp}], rbp",
    "mov [rsp + {e_args} + 48], r12",
    "mov [rsp + {e_r13}], r13",
    "mov [rsp + {e_r14}], r14",
    "mov [rsp + {e_r15}], r15",
    "mov rdi, [rip + {cpu} + {core}]",
    "lea rsp, [rip + {cpu} + {kernel_top}]",
    "call {on_left}",
    "jmp parley_exit",
    // No service in ring 0 has a function for it.
    ".global parley_not_linked",
    "parley_not_linked:",
    "mov rsp, [rip + {cpu} + {rsp0}]",
    "9:",
    restore_args!(),
    "jmp parley_fast_row",
    // Nor is it a message.
    ".global parley_no_message",
    "parley_no_message:",
    "mov rsp, [rip + {cpu} + {rsp0}]",
    restore_args!(),
    "jmp parley_posix_entry",
    ".popsection",
    cpu = sym CPU,
    on_left = sym on_left,
    core = const CpuLocal::CORE_AT,
    kernel_top = const KERNEL_TOP,
    scratch = const SCRATCH,
    rsp0 = const RSP0,
    entries = const offset_of!(CpuLocal, entries),
    slots = const slot::END,
    left = const LEFT,
    call = const Rights::CALL.bits(),
    rights = const Handle::RIGHTS_AT,
    send_to_bit = const SEND_TO_BIT,
    functions = const Rows::FUNCTIONS_AT,
    table_at = const TABLE_AT,
    e_rip = const at_end!(frame.rip),
    e_rflags = const at_end!(frame.rflags),
    e_rsp = const at_end!(frame.rsp),
    e_rbx = const at_end!(frame.rbx),
    e_rbp = const at_end!(frame.rbp),
    e_r13 = const at_end!(frame.r13),
    e_r14 = const at_end!(frame.r14),
    e_r15 = const at_end!(frame.r15),
    e_args = const at_end!(frame.args),
    e_handles = const at_end!(handle_pages),
    tb_me = const table::<Table>() + me_at::<Table>(),
    tb_heads = const table::<Table>() + Table::HEADS_AT,
    c_me = const table::<Connection>() + me_at::<Connection>(),
    c_badge = const table::<Connection>() + offset_of!(Connection, badge),
    c_rows = const table::<Connection>() + offset_of!(Connection, rows),
);

const _: () = assert!(PER_PAGE == 256 && size_of::<Handle>() == 16);

/// A function that gives up the call that is being made, and serves the row in another way. The tests on the host link no
/// entry code, and call nothing.
macro_rules! gives_up {
    ($(#[$about:meta])* $name:ident, $way:ident) => {
        #[cfg(target_os = "none")]
        unsafe extern "C" {
            fn $way();
        }

        $(#[$about])*
        ///
        /// # Safety
        /// It is called by the entry code alone, and does not return.
        #[cfg_attr(target_os = "none", unsafe(naked))]
        pub unsafe extern "sysv64" fn $name(_: &mut Core, _: &Rows, _: u64) -> i64 {
            #[cfg(target_os = "none")]
            core::arch::naked_asm!("jmp {}", sym $way);
            #[cfg(not(target_os = "none"))]
            unreachable!("no entry code calls it");
        }
    };
}

gives_up!(
    /// Stands where a service has no function.
    not_linked,
    parley_not_linked
);
gives_up!(
    /// Stands where a row is no message, or opens something in ring 3: nothing but the core's own way is left.
    no_message,
    parley_no_message
);

extern "sysv64" fn on_left(core: &mut Core) {
    core.settle();
}
