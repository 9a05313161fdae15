//! Which vector means what.

/// Device not available: the FPU belongs to another thread.
pub const NO_FPU: u8 = 7;
/// Page fault.
pub const PAGE_FAULT: u8 = 14;
/// First vector of a device interrupt: global interrupt n arrives at `IRQ + n`.
pub const IRQ: u8 = 32;
/// Global interrupts that the core can hand out.
pub const IRQS: usize = 64;
/// The timer of the local APIC.
pub const TIMER: u8 = 0xf0;
/// Spurious interrupts of the local APIC: ignored, and not acknowledged.
pub const SPURIOUS: u8 = 0xff;
