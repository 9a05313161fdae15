//! The core's own polled serial port: log until a driver claims it, and panics always.

use super::ports::{in8, out8};

/// A 16550 that is written by polling (National Semiconductor PC16550D data sheet).
#[derive(Clone, Copy)]
pub struct Serial {
    base: u16,
}

/// The console.
pub const COM1: Serial = Serial { base: 0x3f8 };
/// A second port, for the log alone.
pub const COM2: Serial = Serial { base: 0x2f8 };

/// Polls before a byte is given up: a port that is not there must not hang the machine.
const PATIENCE: u32 = 100_000;

impl Serial {
    /// 115,200 baud, eight bits, no parity, FIFO on, no interrupts.
    pub fn init(self) {
        for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 3)] {
            out8(self.base + register, value);
        }
    }

    fn put(self, byte: u8) {
        for _ in 0..PATIENCE {
            if in8(self.base + 5) & 0x20 != 0 {
                break;
            }
        }
        out8(self.base, byte);
    }

    /// Writes bytes, with a carriage return before each line feed.
    pub fn write(self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.put(b'\r');
            }
            self.put(byte);
        }
    }
}

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
