//! What all entry code has in common: where the fields lie that it uses, and words for moving several registers.
//!
//! Entry code is assembly, and begins with the stack pointer at the end of the current thread's frame. An object is found
//! at its place in `__windows`, so a field of one is `[rbx + __windows + c_badge]` if its reference is in `ebx`.
//!
//! | name | field of | counted from |
//! |---|---|---|
//! | `e_` | the current thread | the end of its frame |
//! | `t_`, `f_` | a thread, its frame | the first window |
//! | `tb_`, `c_`, `p_` | a call table, a connection, an endpoint | the first window |
//! | `k_`, `cpu_` | the core, the processor's block | its address |
//! | `i_`, `leaf_` | an interrupt line, a [`Leaf`](super::paging::Leaf) | its address |

use super::frame::Frame;
use crate::mem::Object;
use crate::mem::window::WINDOW;

/// Fields are counted from the end of a thread's frame, with which its block begins.
pub const fn end<T>() -> isize {
    -(size_of::<Frame>() as isize)
}

/// Fields are counted from the first window: to be added to an object's place.
pub const fn place<T: Object>() -> isize {
    (T::WINDOW * WINDOW) as isize
}

/// Fields are counted from the start.
pub const fn start<T>() -> isize {
    0
}

/// `global_asm!` for entry code. The fields of `{ from Type { name = field } }` and the values of `{ name = value }` have
/// names in it, beside those that all entry code needs, and there are these words:
/// - `save`, `load`: registers into the current thread's block, and back; rcx and r11 are its rip and rflags there, as
///   `syscall` leaves them;
/// - `fetch`: registers from the frame of the thread at `rbp`;
/// - `push_each`, `pop_each`: registers, in this order;
/// - `run`: a function of Rust, with the core as first argument, on the kernel's stack.
#[macro_export]
macro_rules! entry_code {
    ({ $($fields:tt)* } { $($values:tt)* } $($code:tt)*) => {
        $crate::named_asm! {
            {
                end $crate::object::thread::Thread {
                    e_args = frame.args, e_rcx = frame.rip, e_r11 = frame.rflags, e_rsp = frame.rsp, e_rax = frame.rax,
                    e_rbx = frame.rbx, e_rbp = frame.rbp, e_r13 = frame.r13, e_r14 = frame.r14, e_r15 = frame.r15,
                    e_kind = frame.kind, e_handles = handle_pages,
                }
                place $crate::object::thread::Thread { f_args = frame.args, f_r13 = frame.r13, f_r15 = frame.r15 }
                start $crate::arch::entry::CpuLocal {
                    cpu_core = core, cpu_scratch = scratch, cpu_entries = entries, cpu_top = interrupt_stacks,
                    cpu_rsp0 = tss.hardware.privilege_stack_table,
                }
                $($fields)*
            }
            { $($values)* }
            ".set at, 0",
            ".irp reg, rdi, rsi, rdx, r10, r8, r9, r12",
            ".set e_\\reg, e_args + at",
            ".set f_\\reg, f_args + at",
            ".set at, at + 8",
            ".endr",
            ".ifndef parley_words", // blocks of entry code may end up in one file
            ".set parley_words, 1",
            $crate::for_each!("save", "mov [rsp + e_\\reg], \\reg"),
            $crate::for_each!("load", "mov \\reg, [rsp + e_\\reg]"),
            $crate::for_each!("fetch", "mov \\reg, [rbp + __windows + f_\\reg]"),
            $crate::for_each!("push_each", "push \\reg"),
            $crate::for_each!("pop_each", "pop \\reg"),
            ".macro run function",
            "mov rdi, [rip + {cpu} + cpu_core]",
            "lea rsp, [rip + {cpu} + cpu_top]",
            "call \\function",
            ".endm",
            ".endif",
            $($code)*
            cpu = sym $crate::arch::entry::CPU,
        }
    };
}

/// `global_asm!` in which fields and values have names.
#[macro_export]
macro_rules! named_asm {
    (
        { $($from:ident $type:ty { $($field:ident = $($path:ident).+),* $(,)? })* }
        { $($name:ident = $value:expr),* $(,)? }
        $($code:tt)*
    ) => {
        core::arch::global_asm!(
            $($(concat!(".set ", stringify!($field), ", {", stringify!($field), "}"),)*)*
            $(concat!(".set ", stringify!($name), ", {", stringify!($name), "}"),)*
            $($code)*
            $($($field = const $crate::arch::asm::$from::<$type>() + core::mem::offset_of!($type, $($path).+) as isize,)*)*
            $($name = const $value,)*
        );
    };
}

/// A word that does something with each of several registers.
#[macro_export]
macro_rules! for_each {
    ($word:literal, $what:literal) => {
        concat!(".macro ", $word, " regs:vararg\n.irp reg, \\regs\n", $what, "\n.endr\n.endm")
    };
}
