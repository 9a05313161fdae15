//! The battery-backed clock of the PC: MC146818 registers behind ports 0x70 and 0x71.
//!
//! The chip changes its registers once a second, one after the other, and shows them in the format
//! that the firmware chose. So they are read until two readings agree, and then decoded; the decoding is
//! arithmetic and lives in [`crate::date`].

use x86_64::instructions::port::Port;

use crate::Rtc;
use crate::date::Raw;

/// Register numbers (MC146818A data sheet; the century is where ACPI's FADT puts it on all PCs).
mod register {
    pub const SECOND: u8 = 0x00;
    pub const MINUTE: u8 = 0x02;
    pub const HOUR: u8 = 0x04;
    pub const DAY: u8 = 0x07;
    pub const MONTH: u8 = 0x08;
    pub const YEAR: u8 = 0x09;
    pub const STATUS_A: u8 = 0x0a;
    pub const STATUS_B: u8 = 0x0b;
    pub const CENTURY: u8 = 0x32;
}

/// Status A: the chip is changing its registers, or will within 244 microseconds.
const UPDATING: u8 = 1 << 7;
/// Looks that outlast an update, which takes at most 1,984 microseconds; a look takes about one.
const UPDATE_LOOKS: u32 = 20_000;
/// Readings until two of them agree. A third is needed only when a second ends between the first two.
const READINGS: u32 = 5;

/// The real-time clock of the PC.
pub struct Cmos {
    index: Port<u8>,
    data: Port<u8>,
}

impl Cmos {
    /// The clock, at I/O ports 0x70 and 0x71.
    pub const fn new() -> Cmos {
        Cmos { index: Port::new(0x70), data: Port::new(0x71) }
    }

    fn register(&mut self, number: u8) -> u8 {
        // SAFETY: 1. these ports are the clock on every PC, and cannot write to memory; 2. all registers
        // that this file names may be read without side effect; 3. ring 3 faults without a grant.
        unsafe {
            self.index.write(number);
            self.data.read()
        }
    }

    /// Waits until no update is going on. False: it never ends, so there is no clock.
    fn settle(&mut self) -> bool {
        (0..UPDATE_LOOKS).any(|_| self.register(register::STATUS_A) & UPDATING == 0)
    }

    fn reading(&mut self) -> Option<Raw> {
        self.settle().then(|| Raw {
            second: self.register(register::SECOND),
            minute: self.register(register::MINUTE),
            hour: self.register(register::HOUR),
            day: self.register(register::DAY),
            month: self.register(register::MONTH),
            year: self.register(register::YEAR),
            century: self.register(register::CENTURY),
            status_b: self.register(register::STATUS_B),
        })
    }
}

impl Default for Cmos {
    fn default() -> Self {
        Cmos::new()
    }
}

impl Rtc for Cmos {
    fn read(&mut self) -> Option<u64> {
        let mut last = self.reading()?;
        for _ in 0..READINGS {
            let next = self.reading()?;
            if next == last {
                return next.seconds();
            }
            last = next;
        }
        None
    }
}
