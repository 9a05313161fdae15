//! `print!` and its kin: formatted text on descriptors 1 and 2.
//!
//! Text is gathered in a small buffer, so that a `println!` is one `write` and lines of different
//! processes do not mix. Nothing is allocated.

use core::fmt::{self, Write};

use crate::write_all;

/// Standard output.
pub const STDOUT: u32 = 1;
/// Standard error.
pub const STDERR: u32 = 2;

/// Bytes that go into one `write`.
const BUFFER: usize = 512;

/// A descriptor as the target of `write!`. What is left in it is written when it is dropped.
///
/// Errors of the descriptor are ignored, as nobody could be told.
#[derive(Debug)]
pub struct Output {
    fd: u32,
    buffer: [u8; BUFFER],
    used: usize,
}

impl Output {
    /// Text for this descriptor.
    pub const fn new(fd: u32) -> Output {
        Output { fd, buffer: [0; BUFFER], used: 0 }
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) {
        let _ = write_all(self.fd, &self.buffer[..self.used]);
        self.used = 0;
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == BUFFER {
                self.flush();
            }
            let (now, later) = rest.split_at(rest.len().min(BUFFER - self.used));
            self.buffer[self.used..self.used + now.len()].copy_from_slice(now);
            self.used += now.len();
            rest = later;
        }
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

/// What the macros call.
#[doc(hidden)]
pub fn print(fd: u32, text: fmt::Arguments<'_>) {
    let _ = Output::new(fd).write_fmt(text);
}

/// Writes formatted text to standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::__print(1, ::core::format_args!($($text)*)) };
}

/// Writes a line of formatted text to standard output, with one `write`.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::__print(1, ::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}

/// Writes a line of formatted text to standard error, with one `write`.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::__print(2, ::core::format_args!("\n")) };
    ($($text:tt)*) => { $crate::__print(2, ::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}
