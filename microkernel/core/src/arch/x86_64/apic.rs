//! Interrupt controllers: the local APIC with its timer, and the I/O APIC (Intel SDM volume 3, chapter
//! 11; Intel 82093AA data sheet).

use crate::arch::clock::Clock;
use crate::arch::ports::out8;
use crate::arch::vectors;
use crate::mem::Phys;

/// What the firmware says about the controllers (ACPI MADT).
#[derive(Clone, Debug)]
pub struct Controllers {
    /// Physical address of the local APIC.
    pub local: u64,
    /// Physical address of the I/O APIC.
    pub io: u64,
    /// First global interrupt of the I/O APIC.
    pub first: u32,
    /// Lines that are not as the bus has them: global interrupt, active low, level-triggered.
    pub overrides: heapless::Vec<(u32, bool, bool), 16>,
}

/// Both controllers.
pub struct Apic {
    pub(super) local: *mut u32,
    io: *mut u32,
    first: u32,
    lines: u32,
    pub(super) level: u64,
    low: u64,
    armed: u64,
}

/// Registers of the local APIC, as indices of 32-bit words.
pub(super) mod local {
    pub const EOI: usize = 0xb0 / 4;
    pub const SPURIOUS: usize = 0xf0 / 4;
    pub const LVT_TIMER: usize = 0x320 / 4;
    pub const LVT_LINT0: usize = 0x350 / 4;
    pub const LVT_LINT1: usize = 0x360 / 4;
    pub const TIMER_START: usize = 0x380 / 4;
    pub const TIMER_NOW: usize = 0x390 / 4;
    pub const TIMER_DIVIDE: usize = 0x3e0 / 4;
}

const MASKED: u32 = 1 << 16;
/// The timer begins again by itself: an interrupt of it that is lost comes late, and not never.
const PERIODIC: u32 = 1 << 17;
/// Of the timer, in nanoseconds: longer than it takes to serve its interrupt.
const SHORTEST_PERIOD: u64 = 1000;
const NMI: u32 = 0b100 << 8;
const LEVEL: u32 = 1 << 15;
const ACTIVE_LOW: u32 = 1 << 13;
/// Lines of the ISA bus; those above are PCI's, which are level-triggered and active low.
const ISA_LINES: u32 = 16;

impl Apic {
    /// Controllers that are not there yet: nothing may be called but `set_up`.
    pub const fn absent() -> Apic {
        let none = core::ptr::null_mut();
        Apic { local: none, io: none, first: 0, lines: 0, level: 0, low: 0, armed: u64::MAX }
    }

    /// Takes over the controllers: every line masked, the timer stopped, the old PIC silent.
    pub fn set_up(&mut self, found: &Controllers) {
        out8(0x21, 0xff);
        out8(0xa1, 0xff);
        self.local = Phys(found.local).pointer();
        self.io = Phys(found.io).pointer();
        self.first = found.first;
        self.lines = ((self.io_read(1) >> 16 & 0xff) + 1).min(vectors::IRQS as u32);
        for line in self.first.max(ISA_LINES)..self.first + self.lines {
            self.set_mode(line, true, true);
        }
        for &(line, low, level) in &found.overrides {
            self.set_mode(line, low, level);
        }
        (self.first..self.first + self.lines).for_each(|line| self.mask(line));
        self.write(local::LVT_LINT0, MASKED);
        self.write(local::LVT_LINT1, NMI); // where a PC reports that its hardware is in trouble (MP Specification 3.6.2)
        self.write(local::TIMER_DIVIDE, 0b1011);
        self.write(local::LVT_TIMER, PERIODIC | vectors::TIMER as u32);
        self.write(local::SPURIOUS, 0x100 | vectors::SPURIOUS as u32);
    }

    fn set_mode(&mut self, line: u32, low: bool, level: bool) {
        if line < u64::BITS {
            let bit = 1 << line;
            self.low = self.low & !bit | if low { bit } else { 0 };
            self.level = self.level & !bit | if level { bit } else { 0 };
        }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: `local` is the local APIC's register page in the direct map, uncached; each register is
        // an aligned 32-bit word.
        unsafe { self.local.add(register).write_volatile(value) };
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: as `write`.
        unsafe { self.local.add(register).read_volatile() }
    }

    fn io_read(&self, register: u32) -> u32 {
        // SAFETY: `io` is the I/O APIC in the direct map; its first word selects a register, and the word
        // 16 bytes on is that register.
        unsafe {
            self.io.write_volatile(register);
            self.io.add(4).read_volatile()
        }
    }

    fn io_write(&self, register: u32, value: u32) {
        // SAFETY: as `io_read`.
        unsafe {
            self.io.write_volatile(register);
            self.io.add(4).write_volatile(value);
        }
    }

    /// Whether there is a global interrupt `line`.
    pub fn has_line(&self, line: u32) -> bool {
        line >= self.first && line < self.first + self.lines
    }

    /// Whether `line` stays active until the device is served.
    pub fn is_level(&self, line: u32) -> bool {
        self.level >> line & 1 != 0
    }

    /// Lets `line` interrupt with `vector`.
    pub fn unmask(&self, line: u32, vector: u8) {
        let level = if self.is_level(line) { LEVEL } else { 0 };
        let low = if self.low >> line & 1 != 0 { ACTIVE_LOW } else { 0 };
        let entry = 0x10 + 2 * (line - self.first);
        self.io_write(entry + 1, 0);
        self.io_write(entry, vector as u32 | level | low);
    }

    /// Silences `line`.
    pub fn mask(&self, line: u32) {
        self.io_write(0x10 + 2 * (line - self.first), MASKED);
    }

    /// Ends the interrupt in service.
    pub fn acknowledge(&self) {
        self.write(local::EOI, 0);
    }

    /// Lets the timer run down from the top, for calibration.
    pub fn start_counting(&self) {
        self.write(local::TIMER_START, u32::MAX);
    }

    /// Stops the timer and returns how far it came.
    pub fn stop_counting(&self) -> u32 {
        let counted = u32::MAX - self.read(local::TIMER_NOW);
        self.write(local::TIMER_START, 0);
        counted
    }

    /// The timer's interrupt was taken: it must be set to whatever is next, or it comes again.
    pub fn timer_has_fired(&mut self) {
        self.armed = 0;
    }

    /// Lets the timer interrupt at `at` (nanoseconds since boot), if it would do so later.
    pub fn bring_forward(&mut self, clock: &Clock, at: u64) {
        self.set_timer(clock, self.armed.min(at));
    }

    /// Lets the timer interrupt at `at` (nanoseconds since boot), or never for `u64::MAX`.
    pub fn set_timer(&mut self, clock: &Clock, at: u64) {
        if at == self.armed {
            return;
        }
        self.armed = at;
        let ticks = match at {
            u64::MAX => 0,
            _ => clock.timer_ticks(at.saturating_sub(clock.now()).max(SHORTEST_PERIOD)),
        };
        self.write(local::TIMER_START, ticks);
    }
}
