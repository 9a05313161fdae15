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

/// Names of the exceptions (Intel SDM volume 3, table 6-1).
pub fn name(vector: u8) -> &'static str {
    const NAMES: [&str; 22] = [
        "divide error",
        "debug",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "device not available",
        "double fault",
        "coprocessor segment overrun",
        "invalid TSS",
        "segment not present",
        "stack fault",
        "general protection",
        "page fault",
        "reserved",
        "x87 floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point error",
        "virtualization exception",
        "control protection",
    ];
    NAMES.get(vector as usize).copied().unwrap_or("interrupt")
}
