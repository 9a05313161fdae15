//! What a panic does: a message, a backtrace, the end.
//!
//! A server tells the kernel log and then executes an undefined instruction, so that init sees a fault
//! and reports it like any other. A program tells its standard error and exits with 101, Rust's custom.

use core::fmt::{self, Write};
use core::panic::PanicInfo;

use parley_abi::info::reason;

use crate::args::Args;
use crate::supervised::last_words;
use crate::{backtrace, start, sys};

/// Exit status of a program that panicked.
const STATUS: i32 = 101;
/// Standard error.
const STDERR: u32 = 2;

/// The panic handler of a program.
pub fn program_panicked(info: &PanicInfo<'_>) -> ! {
    report(info);
    start::exit(STATUS)
}

/// The panic handler of a server.
pub fn server_panicked(info: &PanicInfo<'_>) -> ! {
    last_words(reason::PANICKED);
    report(info);
    // SAFETY: the instruction raises an invalid-opcode exception and nothing else.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// Tells what happened and how the thread got there.
fn report(info: &PanicInfo<'_>) {
    let name = Args::of_process().map_or("?", |args| args.name());
    let mut out = Lines::new();
    let _ = writeln!(out, "{name}: {info}");
    backtrace::each(|address| {
        let _ = writeln!(out, "  at {address:#x} ({name})");
    });
}

/// Collects lines and sends each as a whole, without a heap: the heap may be what panicked.
struct Lines {
    line: [u8; 256],
    used: usize,
}

impl Lines {
    fn new() -> Lines {
        Lines { line: [0; 256], used: 0 }
    }

    fn flush(&mut self) {
        let line = &self.line[..self.used];
        self.used = 0;
        let logged = core::str::from_utf8(line).is_ok_and(|text| sys::log(text).is_ok());
        if !logged {
            let _ = parley_proto::file::write(&mut crate::Trap, STDERR, line);
        }
    }
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.used + char.len_utf8() > self.line.len() {
                self.flush();
            }
            self.used += char.encode_utf8(&mut self.line[self.used..]).len();
            if char == '\n' {
                self.flush();
            }
        }
        Ok(())
    }
}
