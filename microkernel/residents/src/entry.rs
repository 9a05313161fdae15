//! The short cut to a service that is linked into ring 0: from a number to a function, with no message built.
//!
//! An image with resident services comes here for the rows of the call table, and one without goes to the core's short cut
//! at once: the core's linker script says so. From the row to its slot, to the handle in it, to the connection, to the
//! function that the service has for such rows ([`crate::rows::Rows`]): as Linux goes from a descriptor to `file->f_op`.
//! Everything unusual, and whatever is served in ring 3, goes on in the core's short cut with every register as it was.
//!
//! Where the instructions of `getpid` go (`cargo xtask trace getpid --kernel mono --steps` lists each): entry 6, registers
//! down 8, row 9, handle 6, connection 4, the call 6, the function 8, its result 4, back 10; that is 61, and 69 with the
//! program's 8.

use core::mem::offset_of;

use parley_abi::call::Rights;
use parley_abi::slot::END;
use parley_core::Core;
use parley_core::entry_code;
use parley_core::mem::slab::Slot;
use parley_core::object::connection::Connection;
use parley_core::object::handle::{Handle, PER_PAGE};
use parley_core::object::space::Space;
use parley_core::object::table::{SEND_TO_BIT, Table};

use crate::rows::{LEFT, Rows};

/// From the row in `ecx`, whose slot is in its low half, to the function; `r8` is the list of pages of handles.
macro_rules! call_function {
    () => {
        "movzx esi, ch
         mov r8, [r8 + rsi * 8]
         movzx esi, cl
         shl esi, 4
         test byte ptr [r8 + rsi + rights], {call}
         jz 9f
         mov rdi, [r8 + rsi + 8]
         mov esi, edi
         cmp rdi, [rsi + __windows + c_me]
         jne 9f
         mov rdx, [rsi + __windows + c_badge]
         mov rsi, [rsi + __windows + c_rows]
         shr ecx, 24
         mov rdi, [rip + {cpu} + cpu_core]
         lea rsp, [rip + {cpu} + cpu_top]
         call [rsi + rcx * 8 + functions]
         mov rsp, [rip + {cpu} + cpu_rsp0]
         inc qword ptr [rip + {cpu} + cpu_entries]
         cmp rax, {left}
         je 8f"
    };
}

entry_code!(
    {
        place Slot<Table> { tb_me = me, tb_heads = value.heads }
        place Slot<Connection> { c_me = me, c_badge = value.badge, c_rows = value.rows }
        start Handle { rights = rights }
        start Rows { functions = functions }
    }
    {}
    ".pushsection .text.parley_row_entry, \"ax\", @progbits",
    ".balign 64",
    ".global parley_row_entry",
    "parley_row_entry:",
    "save rcx, r11, rdi, rsi, rdx, r10, r8, r9",
    // The row.
    "mov r8, [rsp + e_handles]",
    "mov r9, [r8 + {table_at}]",
    "mov esi, r9d",
    "cmp r9, [rsi + __windows + tb_me]",
    "jne 9f",
    "mov ecx, eax",
    "mov rcx, [rsi + rcx * 8 + __windows + tb_heads]",
    "bt ecx, {send_to_bit}",
    "jc 6f",
    call_function!(),
    "load rdi, rsi, rdx, r10, r8, r9, rcx, r11",
    "mov rsp, [rip + {cpu} + cpu_scratch]",
    "sysretq",
    // Its slot is in rdi.
    "6:",
    "cmp rdi, {slots}",
    "jae 9f",
    "or ecx, edi",
    call_function!(),
    "load rdi, rsi, rdx, r10, r8, r9, rcx, r11",
    "mov rsp, [rip + {cpu} + cpu_scratch]",
    "sysretq",
    // The thread waits for an answer, or perhaps somebody else goes first: all its registers go into its block.
    "8:",
    "mov rcx, [rip + {cpu} + cpu_scratch]",
    "mov [rsp + e_rsp], rcx",
    "save rbx, rbp, r12, r13, r14, r15",
    "run {on_left}",
    "jmp parley_exit",
    // No service in ring 0 has a function for it.
    ".global parley_not_linked",
    "parley_not_linked:",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "9:",
    "load rdi, rsi, rdx, r10, r8, r9, rcx, r11",
    "jmp parley_fast_row",
    // Nor is it a message.
    ".global parley_no_message",
    "parley_no_message:",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "load rdi, rsi, rdx, r10, r8, r9, rcx, r11",
    "jmp parley_posix_entry",
    ".popsection",
    on_left = sym on_left,
    slots = const END,
    left = const LEFT,
    call = const Rights::CALL.bits(),
    send_to_bit = const SEND_TO_BIT,
    table_at = const offset_of!(Space, table) as isize - offset_of!(Space, handles.pages) as isize,
);

const _: () = assert!(PER_PAGE == 256 && size_of::<Handle>() == 16);

unsafe extern "C" {
    fn parley_not_linked();
    fn parley_no_message();
}

/// Stands where a service has no function: gives the call up that is being made, which then may be a message.
///
/// # Safety
/// It is called by the entry code alone, and does not return.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn not_linked(_: &mut Core, _: &Rows, _: u64) -> i64 {
    core::arch::naked_asm!("jmp {}", sym parley_not_linked);
}

/// Stands where a row is no message, or opens something in ring 3: nothing but the core's own way is left.
///
/// # Safety
/// As [`not_linked`].
#[unsafe(naked)]
pub unsafe extern "sysv64" fn no_message(_: &mut Core, _: &Rows, _: u64) -> i64 {
    core::arch::naked_asm!("jmp {}", sym parley_no_message);
}

extern "sysv64" fn on_left(core: &mut Core) {
    core.settle();
}
