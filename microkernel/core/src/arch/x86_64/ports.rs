//! Port input and output, for what the core itself drives: log, power, calibration.

use x86_64::instructions::port::Port;

/// Reads a byte from `port`.
pub fn in8(port: u16) -> u8 {
    // SAFETY: the callers in this crate read only ports of the 16550, the PIT and ACPI, whose reads have
    // no effect on memory.
    unsafe { Port::new(port).read() }
}

/// Writes a byte to `port`.
pub fn out8(port: u16, value: u8) {
    // SAFETY: the callers in this crate write only ports of the 16550, the PIT, the PIC and the debug
    // exit, none of which touches memory.
    unsafe { Port::new(port).write(value) }
}

/// Reads a 16-bit word from `port`.
pub fn in16(port: u16) -> u16 {
    // SAFETY: as `in8`.
    unsafe { Port::new(port).read() }
}

/// Writes a 16-bit word to `port`.
pub fn out16(port: u16, value: u16) {
    // SAFETY: as `out8`; the ACPI PM1 control register powers the machine off.
    unsafe { Port::new(port).write(value) }
}

/// Writes a 32-bit word to `port`.
pub fn out32(port: u16, value: u32) {
    // SAFETY: as `out8`; the debug exit port ends the emulator.
    unsafe { Port::new(port).write(value) }
}
