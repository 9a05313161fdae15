//! The few PC devices that the loader talks to, all through ports.
//!
//! They are COM1, the CMOS clock, the legacy interrupt controllers and QEMU's exit port.

use core::{arch::asm, fmt};

use direct_boot::clock;

const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;
const CMOS_INDEX: u16 = 0x70;
const CMOS_DATA: u16 = 0x71;
const PIC_MASKS: [u16; 2] = [0x21, 0xa1];
const DEBUG_EXIT: u16 = 0xf4;
/// QEMU's isa-debug-exit turns value v into exit status 2v + 1: here 35.
const FAILURE: u32 = 0x11;

/// COM1 at 115,200 baud, 8N1, without interrupts.
pub struct Serial;

impl Serial {
    /// Sets the port up.
    pub fn open() -> Self {
        // Interrupts off; divisor latch open; divisor 1; 8N1; FIFOs on and empty.
        for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7)] {
            out8(COM1 + register, value);
        }
        Self
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // Bounded, because a machine may have no COM1.
            for _ in 0..100_000 {
                if in8(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                    break;
                }
            }
            out8(COM1, byte);
        }
        Ok(())
    }
}

/// Reads the wall clock: seconds since 1970. The chip may tick between two reads, so only equal ones count.
pub fn now() -> Option<i64> {
    let read = || {
        clock::REGISTERS.map(|register| {
            out8(CMOS_INDEX, register);
            in8(CMOS_DATA)
        })
    };
    let mut last = read();
    for _ in 0..10 {
        let next = read();
        if next == last {
            return clock::unix_seconds(next);
        }
        last = next;
    }
    None
}

/// Masks every interrupt of the legacy controllers.
pub fn mask_pics() {
    for port in PIC_MASKS {
        out8(port, 0xff);
    }
}

/// Ends QEMU through its `isa-debug-exit` device, or halts for good where there is none.
pub fn exit() -> ! {
    // SAFETY: the port either ends the machine or does nothing.
    unsafe { asm!("out dx, eax", in("dx") DEBUG_EXIT, in("eax") FAILURE, options(nomem, nostack)) };
    loop {
        // SAFETY: halting touches no memory; with interrupts off it is for ever.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

fn out8(port: u16, value: u8) {
    // SAFETY: the ports above belong to devices that access no memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

fn in8(port: u16) -> u8 {
    let value;
    // SAFETY: as for `out8`.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}
