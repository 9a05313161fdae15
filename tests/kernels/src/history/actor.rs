//! Who acts: a few instructions that make whatever calls they are told to make.
//!
//! An actor waits on an endpoint of its own. When it is notified it makes the calls that are written in its page, one
//! after the other: it loads its registers, makes the system call, and writes down what came back and in which place
//! among all actors. So between two calls of a list it is nobody's but the history's: a server that answers
//! and receives stays in its caller's turn.

use core::arch::global_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::PAGE;
use parley_abi::call::REPLY_RECV;

/// Where the code lies in an actor's address space.
pub const CODE_AT: u64 = 0x40_0000;
/// Where the pages of all actors lie, here and there, and behind them the page with the order.
pub const PAGES_AT: u64 = 0x31_0000_0000;
/// Where in a page the buffer is that is lent and copied from and to, and how long it is.
pub const BUFFER_AT: u64 = 2048;
/// Its length in bytes.
pub const BUFFER: u64 = 2048;

/// Calls in a list, at most.
pub const CALLS: usize = 8;
/// Registers that are loaded: rax rdi rsi rdx r10 r8 r9 r12 r13 r14.
pub const LOADED: usize = 10;
/// Registers that are written down: the same and r15; then the place among all actors.
pub const STORED: usize = 12;
/// For r13: the token that came with the last request.
pub const LAST: u64 = 1;

/// Words of one call in the page.
const CALL: usize = LOADED + STORED;
const LAST_AT: usize = CALLS * CALL;
const DONE_AT: usize = LAST_AT + 1;
const SLOT_AT: usize = LAST_AT + 2;
const LEFT_AT: usize = LAST_AT + 3;
const _: () = assert!(8 * (LEFT_AT + 1) <= BUFFER_AT as usize);

global_asm!(
    ".pushsection .text",
    "history_actor_begin:",
    "mov rbx, rdi",
    "2:",
    "mov edi, [rbx + 8 * {slot}]",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "mov eax, {reply_recv}",
    "syscall",
    "mov rbp, rbx",
    "3:",
    "mov rax, [rbp]",
    "mov rdi, [rbp + 8]",
    "mov rsi, [rbp + 16]",
    "mov rdx, [rbp + 24]",
    "mov r10, [rbp + 32]",
    "mov r8, [rbp + 40]",
    "mov r9, [rbp + 48]",
    "mov r12, [rbp + 56]",
    "mov r13, [rbp + 64]",
    "mov r14, [rbp + 72]",
    "mov r15, rbp",
    "cmp r13, {last_token}",
    "cmove r13, [rbx + 8 * {last}]",
    "syscall",
    "mov [rbp + 80], rax",
    "mov [rbp + 88], rdi",
    "mov [rbp + 96], rsi",
    "mov [rbp + 104], rdx",
    "mov [rbp + 112], r10",
    "mov [rbp + 120], r8",
    "mov [rbp + 128], r9",
    "mov [rbp + 136], r12",
    "mov [rbp + 144], r13",
    "mov [rbp + 152], r14",
    "mov [rbp + 160], r15",
    "mov [rbx + 8 * {last}], r13",
    "movabs rcx, {order}",
    "mov eax, 1",
    "lock xadd [rcx], rax",
    "mov [rbp + 168], rax",
    "inc qword ptr [rbx + 8 * {done}]",
    "add rbp, 8 * {call}",
    "dec qword ptr [rbx + 8 * {left}]",
    "jnz 3b",
    "jmp 2b",
    "history_actor_end:",
    ".popsection",
    slot = const SLOT_AT,
    last = const LAST_AT,
    last_token = const LAST,
    done = const DONE_AT,
    left = const LEFT_AT,
    call = const CALL,
    reply_recv = const REPLY_RECV,
    order = const PAGES_AT + crate::stage::ACTORS as u64 * PAGE as u64,
);

unsafe extern "C" {
    static history_actor_begin: [u8; 0];
    static history_actor_end: [u8; 0];
}

/// The code, which runs wherever it lies.
pub fn code() -> &'static [u8] {
    let (begin, end) = (&raw const history_actor_begin, &raw const history_actor_end);
    // SAFETY: both labels are in this program's constant text, the end behind the beginning.
    unsafe { core::slice::from_raw_parts(begin.cast(), end.addr() - begin.addr()) }
}

/// The page of an actor, as the director sees it.
#[derive(Clone, Copy)]
pub struct Desk(u64);

impl Desk {
    /// That of actor `number`. The pages are mapped at [`PAGES_AT`] for as long as desks are used.
    pub fn new(number: usize) -> Desk {
        Desk(PAGES_AT + (number * PAGE) as u64)
    }

    /// Its address, the same in every address space.
    pub fn address(self) -> u64 {
        self.0
    }

    fn word(self, index: usize) -> &'static AtomicU64 {
        let place = core::ptr::with_exposed_provenance::<AtomicU64>(self.0 as usize + 8 * index);
        // SAFETY: the page is mapped, and actors only run while the director does not.
        unsafe { &*place }
    }

    /// The slot that the actor waits on for commands.
    pub fn set_slot(self, slot: u32) {
        self.word(SLOT_AT).store(u64::from(slot), Ordering::Relaxed);
    }

    /// The registers of its next calls.
    pub fn load(self, calls: &[[u64; LOADED]]) {
        for (call, registers) in calls.iter().enumerate() {
            for (index, &value) in registers.iter().enumerate() {
                self.word(call * CALL + index).store(value, Ordering::Relaxed);
            }
        }
        self.word(LEFT_AT).store(calls.len() as u64, Ordering::Relaxed);
    }

    /// The registers after call `number` of the list, and how many calls of all actors had ended before.
    pub fn stored(self, number: u64) -> [u64; STORED] {
        core::array::from_fn(|index| self.word(number as usize * CALL + LOADED + index).load(Ordering::Relaxed))
    }

    /// How many of its calls have ended.
    pub fn done(self) -> u64 {
        self.word(DONE_AT).load(Ordering::Relaxed)
    }

    /// The words of its buffer.
    pub fn buffer(self) -> impl Iterator<Item = u64> {
        (0..BUFFER as usize / 8).map(move |index| self.word(BUFFER_AT as usize / 8 + index).load(Ordering::Relaxed))
    }

    /// Changes a word of its buffer.
    pub fn scribble(self, index: u64, value: u64) {
        self.word((BUFFER_AT + index % BUFFER) as usize / 8).store(value, Ordering::Relaxed);
    }
}
