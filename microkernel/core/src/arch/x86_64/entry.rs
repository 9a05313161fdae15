//! The ways into ring 0 and back: the part to read twice.
//!
//! Every entry pushes the registers into the current thread's block ([`super::frame`]), switches to the
//! one kernel stack, and calls a Rust function with the `Core`. Every exit loads the block of whatever
//! thread is current by then. `gs` is not used: a second processor would get an entry stub of its own
//! (LSTAR and the TSS are per processor), so `swapgs` and its traps do not exist here.
//!
//! There are three doors. The common cases of the first two leave the list below at once, for the short cuts of
//! [`super::shortcut`]:
//! - `syscall` below `call::FIRST` (POSIX): only what Rust may clobber is saved; rbx, rbp, r13, r14, r15
//!   are saved after the handler, and only if it decided to switch threads.
//! - `syscall` from `call::FIRST` on: all registers are saved, since they carry the message.
//! - vectors: exceptions and interrupts, all registers. From ring 0 they can only be the idle loop's
//!   interrupts; anything else is a bug of the core, and a panic.

use core::arch::asm;
use core::mem::offset_of;

use super::descriptors::{Descriptors, TaskState, USER_CODE, USER_DATA};
use super::frame::{Frame, SYSCALL};
use crate::kernel::Core;
use parley_abi::msg::pack;
use parley_abi::{Flags, ROWS};

/// Bytes of a stack for exceptions that may strike anywhere.
const INTERRUPT_STACK: usize = 8192;
/// Bytes of the kernel stack.
const KERNEL_STACK: usize = 32 * 1024;
/// Bytes between two vector stubs.
pub const STUB_SIZE: usize = 9;

/// A stack, with its top at the end.
#[repr(C, align(4096))]
pub struct Stack<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Stack<SIZE> {
    /// The address that a stack pointer starts with.
    pub fn top(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64 + SIZE as u64
    }
}

/// A stack for exceptions, and the page below it.
#[repr(C, align(4096))]
pub struct InterruptStack {
    guard: [u8; 4096],
    /// The stack itself.
    pub stack: Stack<INTERRUPT_STACK>,
}

/// What the entry code of one processor needs at a fixed address. The guard pages under the stacks are
/// unmapped once the core has page tables of its own.
#[repr(C, align(4096))]
pub struct CpuLocal {
    /// Left unmapped: running off the kernel stack is a double fault, not a corruption.
    guard: [u8; 4096],
    kernel_stack: Stack<KERNEL_STACK>,
    /// Stacks for NMI, double fault, machine check and debug exceptions.
    pub interrupt_stacks: [InterruptStack; 4],
    /// GDT and IDT.
    pub descriptors: Descriptors,
    /// Where the core lies.
    pub core: *mut Core,
    /// Ring 3's stack pointer while a system call begins.
    pub scratch: u64,
    debug_scratch: u64,
    posix_frame: u64,
    /// Entries from ring 3, for `compare`.
    pub entries: u64,
    /// rsp0, interrupt stacks, port bitmaps.
    pub tss: TaskState,
}

// SAFETY: there is one processor, and only the entry code and the core, never at once, touch the block.
unsafe impl Sync for CpuLocal {}

/// The boot processor's block.
#[unsafe(no_mangle)]
pub static mut CPU: CpuLocal = CpuLocal {
    guard: [0; 4096],
    kernel_stack: Stack([0; KERNEL_STACK]),
    interrupt_stacks: [const { InterruptStack { guard: [0; 4096], stack: Stack([0; INTERRUPT_STACK]) } }; 4],
    descriptors: Descriptors::EMPTY,
    core: core::ptr::null_mut(),
    scratch: 0,
    debug_scratch: 0,
    posix_frame: 0,
    entries: 0,
    tss: TaskState::EMPTY,
};

/// Borrows the processor's block.
///
/// # Safety
/// The caller holds no other borrow of it. In the core that is so by construction: the one borrow is
/// made here at boot and kept in `Core`.
pub unsafe fn cpu_local() -> &'static mut CpuLocal {
    let place = &raw mut CPU;
    // SAFETY: the caller promises that this is the only borrow.
    unsafe { &mut *place }
}

impl CpuLocal {
    /// Addresses of the pages that are left unmapped.
    pub fn guards(&self) -> [u64; 5] {
        let [a, b, c, d] = self.interrupt_stacks.each_ref().map(|stack| &stack.guard);
        [&self.guard, a, b, c, d].map(|guard| core::ptr::from_ref(guard).addr() as u64)
    }

    /// Top of the kernel stack.
    pub fn kernel_top(&self) -> u64 {
        self.kernel_stack.top()
    }

    /// Makes the next entry save to `frame`.
    #[inline(always)]
    pub fn set_frame(&mut self, frame: *mut Frame) {
        let end = (frame.addr() + size_of::<Frame>()) as u64;
        // SAFETY: a frame lies in the core's half of the address space, so the address is canonical.
        self.tss.hardware.privilege_stack_table[0] = unsafe { x86_64::VirtAddr::new_unsafe(end) };
    }
}

const _: () = assert!(parley_abi::call::CALL == parley_abi::call::FIRST + 1);
const _: () = assert!(offset_of!(CpuLocal, kernel_stack) + KERNEL_STACK == offset_of!(CpuLocal, interrupt_stacks));

/// Pushes what `syscall` leaves of ring 3's state, as an interrupt would have, and the arguments.
macro_rules! push_syscall {
    () => {
        "push {user_data}
         push qword ptr [rip + {cpu} + cpu_scratch]
         push r11
         push {user_code}
         push_each rcx, rax
         push {syscall}
         push_each r12, r9, r8, r10, rdx, rsi, rdi"
    };
}

crate::entry_code!(
    {}
    {}
    ".text",
    ".balign 64",
    ".global parley_syscall_entry",
    "parley_syscall_entry:",
    "mov [rip + {cpu} + cpu_scratch], rsp",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "cmp eax, {call}",
    "jb 9f",
    "je parley_fast_call",
    "cmp eax, {reply_recv}",
    "je parley_fast_reply",
    "cmp eax, {reply_data}",
    "je parley_fast_reply_data",
    "cmp eax, {notify}",
    "je parley_fast_notify",
    "cmp eax, {reply_fill}",
    "je parley_fast_reply_data",
    "jmp 4f",
    // A row of the call table, or `null`, the first of the core's calls.
    "9:",
    "cmp eax, {rows}",
    "jb parley_row_entry",
    "cmp eax, {first}",
    "jne 4f",
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "xor eax, eax",
    "mov rsp, [rip + {cpu} + cpu_scratch]",
    "sysretq",
    // The same door without short cuts.
    ".global parley_plain_entry",
    "parley_plain_entry:",
    "mov [rip + {cpu} + cpu_scratch], rsp",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "4:",
    "cmp ax, {first}",
    "jae parley_slow_entry",
    // A POSIX call: callee-saved registers stay where they are until a switch is certain.
    ".global parley_posix_entry",
    "parley_posix_entry:",
    push_syscall!(),
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "mov [rip + {cpu} + {posix_frame}], rsp",
    "movzx esi, ax",
    "run {on_posix}",
    "mov rsp, [rip + {cpu} + {posix_frame}]",
    "test edx, edx",
    "jnz 3f",
    "pop_each rdi, rsi, rdx, r10, r8, r9",
    "mov rcx, [rsp + 24]",
    "mov r11, [rsp + 40]",
    "mov rsp, [rsp + 48]",
    "sysretq",
    "3:",
    "sub rsp, 8",
    "push_each rbx, rbp, r13, r14, r15",
    "jmp parley_exit",
    // A call of the core: every register may be part of the message.
    ".global parley_slow_entry",
    "parley_slow_entry:",
    push_syscall!(),
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "push_each rax, rbx, rbp, r13, r14, r15",
    "mov rsi, rax",
    "run {on_native}",
    // Fall through: leave by the frame of whoever is current now.
    ".global parley_exit",
    "parley_exit:",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    "sub rsp, {exit_offset}",
    "cmp dword ptr [rsp + {kind_from_r15}], {syscall}",
    "jne 4f",
    "pop_each r15, r14, r13, rbp, rbx, rax, rdi, rsi, rdx, r10, r8, r9, r12",
    "mov rcx, [rsp + 16]",
    "mov r11, [rsp + 32]",
    "mov rsp, [rsp + 40]",
    "sysretq",
    "4:",
    "mov dword ptr [rsp + {kind_from_r15}], {syscall}",
    "sub rsp, 16",
    "pop_each r11, rcx, r15, r14, r13, rbp, rbx, rax, rdi, rsi, rdx, r10, r8, r9, r12",
    "add rsp, 16",
    "iretq",
    // Every system call while the trace is on.
    ".global parley_traced_entry",
    "parley_traced_entry:",
    "mov [rip + {cpu} + cpu_scratch], rsp",
    "mov rsp, [rip + {cpu} + cpu_rsp0]",
    push_syscall!(),
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "push_each rax, rbx, rbp, r13, r14, r15",
    "mov rsi, rax",
    "run {on_traced}",
    "jmp parley_exit",
    // Vectors. Each stub is STUB_SIZE bytes long: it pushes the error code, and the vector less 128, which fits a byte.
    ".balign 64",
    ".global parley_vectors",
    "parley_vectors:",
    ".set vector, 0",
    ".rept 256",
    ".if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)",
    "nop",
    "nop",
    ".else",
    "push 0",
    ".endif",
    "push vector - 128",
    ".byte 0xe9", // jmp, in its long form
    ".if (vector == 1) || (vector == 2) || (vector == 8) || (vector == 18)",
    ".long 6f - . - 4",
    ".elseif (vector >= {irq}) && (vector < {irq} + {irqs})",
    ".long 11f - . - 4",
    ".else",
    ".long 5f - . - 4",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".balign 64",
    "5:",
    "sub qword ptr [rsp], -128",
    "test byte ptr [rsp + 24], 3",
    "jz 7f",
    "8:",
    "push_each r12, r9, r8, r10, rdx, rsi, rdi, rax, rbx, rbp, r13, r14, r15, rcx, r11",
    ".global parley_vector",
    "parley_vector:",
    "inc qword ptr [rip + {cpu} + cpu_entries]",
    "lea rsp, [rip + {cpu} + cpu_top]",
    // Ring 3's flags are its own: AC would let the core touch user pages, DF would turn copies round.
    "push 2",
    "popfq",
    "mov rdi, [rip + {cpu} + cpu_core]",
    "call {on_vector}",
    "jmp parley_exit",
    // Device interrupts may have a short cut.
    "11:",
    "sub qword ptr [rsp], -128",
    "test byte ptr [rsp + 24], 3",
    "jz 7f",
    "push_each r12, r9, r8, r10, rdx, rsi, rdi, rax, rbx, rbp, r13, r14, r15, rcx, r11",
    "jmp parley_fast_irq",
    // From a stack of its own: if ring 3 was running, move what was pushed into the thread block.
    "6:",
    "sub qword ptr [rsp], -128",
    "test byte ptr [rsp + 24], 3",
    "jz 7f",
    "mov [rip + {cpu} + {debug_scratch}], rax",
    "mov rax, [rip + {cpu} + cpu_rsp0]",
    "push rbx",
    ".irp from, 56, 48, 40, 32, 24, 16, 8",
    "mov rbx, [rsp + \\from]",
    "mov [rax + \\from - 64], rbx",
    ".endr",
    "pop rbx",
    "lea rsp, [rax - 56]",
    "mov rax, [rip + {cpu} + {debug_scratch}]",
    "jmp 8b",
    // From ring 0: the idle loop's interrupts, or a bug.
    "7:",
    "cmp qword ptr [rsp], 1",
    "je 9f",
    "cmp qword ptr [rsp], 2",
    "je 9f",
    "cmp qword ptr [rsp], 32",
    "jae 10f",
    "push_each r12, r9, r8, r10, rdx, rsi, rdi, rax, rbx, rbp, r13, r14, r15, rcx, r11",
    "cld",
    "mov rdi, rsp",
    "mov rbp, rsp",
    "and rsp, -16",
    "call {on_kernel_exception}",
    "ud2",
    // Nothing to do in ring 0: a debug exception (1) can only be one that MOV SS held back (AMD APM, "debug
    // traps"), and a non-maskable interrupt (2) has no owner here.
    "9:",
    "add rsp, 16",
    "iretq",
    "10:",
    "mov rsi, [rsp]",
    "run {on_idle_interrupt}",
    "jmp parley_exit",
    debug_scratch = const offset_of!(CpuLocal, debug_scratch),
    posix_frame = const offset_of!(CpuLocal, posix_frame),
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    syscall = const SYSCALL,
    first = const parley_abi::call::FIRST,
    rows = const ROWS,
    exit_offset = const size_of::<Frame>() - offset_of!(Frame, r15),
    kind_from_r15 = const offset_of!(Frame, kind) - offset_of!(Frame, r15),
    irq = const super::vectors::IRQ,
    irqs = const super::vectors::IRQS,
    on_posix = sym on_posix,
    call = const parley_abi::call::CALL,
    reply_recv = const parley_abi::call::REPLY_RECV,
    reply_data = const pack(parley_abi::call::REPLY_RECV, Flags::DATA, 0),
    reply_fill = const pack(parley_abi::call::REPLY_RECV, Flags::FILL, 0),
    notify = const parley_abi::call::NOTIFY,
    on_native = sym on_native,
    on_traced = sym on_traced,
    on_vector = sym on_vector,
    on_kernel_exception = sym on_kernel_exception,
    on_idle_interrupt = sym on_idle_interrupt,
);

unsafe extern "C" {
    fn parley_syscall_entry();
    fn parley_plain_entry();
    fn parley_traced_entry();
    fn parley_vectors();
    fn parley_exit() -> !;
}

/// Points `syscall` at the entry that records every call, or at the usual one, with the
/// [short cuts](super::shortcut) or without.
pub fn choose_syscall_entry(traced: bool, short_cuts: bool) {
    let entry = match (traced, short_cuts) {
        (true, _) => parley_traced_entry,
        (false, true) => parley_syscall_entry,
        (false, false) => parley_plain_entry,
    };
    x86_64::registers::model_specific::LStar::write(x86_64::VirtAddr::new(entry as *const () as u64));
}

/// Address of the first vector stub.
pub fn vector_stubs() -> u64 {
    parley_vectors as *const () as u64
}

/// What a POSIX call returns to the entry code: rax, and in rdx whether another thread is current now.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Posix {
    /// The result, if the caller goes on.
    pub result: i64,
    /// Not 0: it does not. Another thread is current, and the result has been or will be stored.
    pub switched: u64,
}

impl Posix {
    /// Another thread is current now.
    pub const SWITCHED: Posix = Posix { result: 0, switched: 1 };

    /// The caller goes on with this result.
    #[inline(always)]
    pub fn of(result: i64) -> Posix {
        Posix { result, switched: 0 }
    }
}

/// From the entry code, and from the trace.
#[inline(never)]
pub extern "sysv64" fn on_posix(core: &mut Core, number: u16) -> Posix {
    core.posix_call(number, 0)
}

/// From the entry code, and from the trace.
#[inline(never)]
pub extern "sysv64" fn on_native(core: &mut Core, rax: u64) {
    core.native_call(rax);
}

extern "sysv64" fn on_traced(core: &mut Core, rax: u64) {
    core.traced_call(rax);
}

extern "sysv64" fn on_vector(core: &mut Core) {
    match core.trace.on {
        false => core.vector_from_ring_3(),
        true => core.traced_vector(),
    }
}

extern "sysv64" fn on_idle_interrupt(core: &mut Core, vector: u64) {
    match core.trace.on {
        false => core.interrupt_while_idle(vector as u8),
        true => core.traced_idle_interrupt(vector as u8),
    }
}

extern "sysv64" fn on_kernel_exception(frame: &Frame) -> ! {
    crate::panic::kernel_exception(frame)
}

/// Leaves ring 0 for the current thread. Used once, at the end of boot.
pub fn leave() -> ! {
    // SAFETY: the exit code needs nothing but rsp0, which always points at a complete frame.
    unsafe { parley_exit() }
}

/// Waits for an interrupt with nothing to run. It does not come back: the interrupt's entry starts on a
/// fresh kernel stack.
pub fn idle() -> ! {
    // SAFETY: 1. no borrow of the core is used after this point, as the function does not return;
    // 2. the stack below is abandoned, and the entry code resets it.
    unsafe {
        asm!(
            "lea rsp, [rip + {cpu} + {kernel_top}]",
            "2:",
            "sti",
            "hlt",
            "cli",
            "jmp 2b",
            cpu = sym CPU,
            kernel_top = const offset_of!(CpuLocal, interrupt_stacks),
            options(noreturn)
        )
    }
}
