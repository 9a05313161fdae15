//! The registers of a thread that is not running, at the start of its thread block.
//!
//! The processor and the entry code push straight into the block: the stack pointer that ring 0 starts
//! with (`rsp0` of the TSS, and what the `syscall` entry loads) is the end of the current thread's frame.
//! So there is nothing to copy at a switch.

use super::descriptors::{USER_CODE, USER_DATA};
use parley_abi::{WORDS, Words};

/// [`Frame::kind`] of a thread that entered by `syscall`; otherwise it is the vector, 0 to 255. The exit code puts it
/// back when a thread that was interrupted goes on, so that the short cuts find it there.
pub const SYSCALL: u64 = 0x100;

/// rflags that a new thread starts with: interrupts on, and the bit that always reads 1.
const START_FLAGS: u64 = 0x202;

/// Everything that the exit code loads, lowest address first.
///
/// rcx and r11 are live only in frames of interrupts: `syscall` overwrites both.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
#[allow(missing_docs)]
pub struct Frame {
    pub r11: u64,
    pub rcx: u64,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rax: u64,
    /// rdi rsi rdx r10 r8 r9 r12: the handle and the words of a message, or the arguments of a POSIX
    /// call, in order.
    pub args: [u64; 7],
    /// [`SYSCALL`], or the vector.
    pub kind: u64,
    /// rax as it was when a system call was made; the error code of an exception.
    pub number: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

const _: () = assert!(size_of::<Frame>() == 176 && size_of::<Frame>().is_multiple_of(16));

impl Frame {
    /// Registers of a thread that has not run yet: it starts by `iretq`, at `entry`.
    pub fn starting(entry: u64, stack: u64, argument: u64) -> Frame {
        let mut frame = Frame {
            rip: entry,
            rsp: stack,
            rflags: START_FLAGS,
            cs: USER_CODE as u64,
            ss: USER_DATA as u64,
            ..Frame::default()
        };
        frame.args[0] = argument;
        frame
    }

    /// The words of a message: six registers from `first` on (0 for a row with a fixed slot, else 1).
    #[inline(always)]
    pub fn words(&self, first: usize) -> Words {
        let [a, b, c, d, e, f, g] = self.args;
        if first == 0 { [a, b, c, d, e, f] } else { [b, c, d, e, f, g] }
    }

    /// Puts the words of a message into their registers.
    #[inline(always)]
    pub fn set_words(&mut self, words: &Words) {
        self.args[1..1 + WORDS].copy_from_slice(words);
    }

    /// Makes the thread repeat its system call: the `syscall` instruction is two bytes long.
    pub fn restart(&mut self) {
        self.rip -= 2;
        self.rax = self.number;
    }
}
