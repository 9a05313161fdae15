//! How a message lies in the registers.
//!
//! | register | call, in | call, out | reply_recv, in | reply_recv, out |
//! |---|---|---|---|---|
//! | rax | number, flags, label | status (negative: the core's errno) else the reply's label | number, flags, label | event, label |
//! | rdi | handle | kept | handle of the endpoint | kept |
//! | rsi rdx r10 r8 r9 r12 | words 0 to 5 | reply words | reply words | request words |
//! | r13 | | | token to answer, or 0 | token of the request, or 0 |
//! | r14 | deadline | | deadline | badge of a closed connection, with [`event::CLOSED_AND_REQUEST`] |
//! | r15 | | | | badge |
//!
//! rbx, rbp and rsp are preserved; rcx and r11 belong to the `syscall` instruction. A POSIX call
//! changes rax, rcx and r11 only. `rax` holds the number in bits 0 to 15, flags in bits 16 to 31 and
//! the label in bits 32 to 63.

/// Words a message carries in registers.
pub const WORDS: usize = 6;
/// The words of a message.
pub type Words = [u64; WORDS];

/// Absolute time in nanoseconds since boot; 0 waits for ever, anything past polls.
pub type Deadline = u64;
/// Wait for ever.
pub const FOREVER: Deadline = 0;
/// A deadline that has always passed: return at once if there is nothing.
pub const POLL: Deadline = 1;

/// Builds the `rax` of a system call.
pub const fn pack(number: u16, flags: Flags, label: u32) -> u64 {
    number as u64 | (flags.bits() as u64) << 16 | (label as u64) << 32
}

bitflags::bitflags! {
    /// Bits 16 to 31 of rax. A bit that is not listed here is EINVAL.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Flags: u16 {
        /// `call`: words 0 and 1 are address and length of a buffer that the server may read.
        const LEND_READ = 1 << 0;
        /// `call`: words 0 and 1 are address and length of a buffer that the server may write.
        const LEND_WRITE = 1 << 1;
        /// `call`: words 2 and 3 are address and length of a second buffer that the server may read.
        const LEND_READ_2 = 1 << 2;
        /// `call`: words 2 and 3 are address and length of a second buffer that the server may write.
        const LEND_WRITE_2 = 1 << 3;
        /// `call`: the reply may carry a handle; the core reserves room for it first.
        const ACCEPT_HANDLE = 1 << 4;
        /// `reply_recv`: words 1 and 2 are a buffer that is copied into the caller's writable lease;
        /// the bytes copied become the result (word 0 is ignored).
        const DATA = 1 << 5;
        /// `reply_recv`: mint a connection with badge word 1 for the caller; its slot is the result.
        const OPEN = 1 << 6;
        /// With [`Flags::OPEN`]: the new handle is dropped by exec.
        const CLOSE_ON_EXEC = 1 << 7;
        /// `reply_recv`: only the reply half; return at once.
        const NO_RECEIVE = 1 << 8;
        /// `reply_recv`: words 1 and 2 are a structure that is copied, whole, into the caller's writable
        /// lease; the result is word 0. EFAULT if it does not fit.
        const FILL = 1 << 9;
        /// `reply_recv`: the thread has forgotten the closed connection that it was told of last.
        const FORGOTTEN = 1 << 10;
    }
}

/// Names one request in progress: the caller's thread and which of its requests.
///
/// It belongs to the receive right of the endpoint that took the request. A server may keep it and
/// answer later. Never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Token(pub u64);

impl Token {
    /// No request: what r13 holds when there is nothing to answer.
    pub const NONE: Token = Token(0);

    /// The token of request number `generation` of the thread whose object number is `thread` (never 0).
    pub const fn new(thread: u32, generation: u32) -> Token {
        Token((generation as u64) << 32 | thread as u64)
    }
    /// Object number of the calling thread. The core marks those of other things that are to be answered.
    pub const fn thread(self) -> u32 {
        self.0 as u32
    }
    /// Which of that thread's requests.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What a receiver was woken for: bits 0 to 31 of rax after `reply_recv`.
pub mod event {
    /// A request: label, words, token and badge are set. Faults arrive as requests, see [`super::label`].
    pub const REQUEST: u32 = 0;
    /// A submitted call was answered: words hold the reply, token the submitter's cookie.
    pub const DONE: u32 = 1;
    /// The last handle to the connection with this badge is gone. The thread that was told says [`super::Flags::FORGOTTEN`]
    /// when it has forgotten what that was; until then a new server is told again. The news is not urgent: it comes
    /// with the next request, or else within a millisecond of the closer's turn.
    pub const CLOSED: u32 = 2;
    /// The caller with this token no longer waits, or should be answered early.
    pub const CANCEL: u32 = 3;
    /// Word 0 holds the notification bits that were set.
    pub const NOTIFIED: u32 = 4;
    /// The deadline passed.
    pub const TIMEOUT: u32 = 5;
    /// Both at once: [`CLOSED`], and then [`REQUEST`].
    pub const CLOSED_AND_REQUEST: u32 = 6;
}

/// Labels that the core itself puts on messages. Services number theirs from 0 upward.
pub mod label {
    /// A fault of ring 3, sent to the fault connection of its address space: words are vector, error
    /// code, instruction pointer, stack pointer, faulting address, frame pointer. Answer with word 0 =
    /// 0 to resume; drop the address space to kill it. Lease 0 covers the whole address space,
    /// readable.
    pub const FAULT: u32 = 0xffff_0000;
}
