//! The processor's exceptions, as far as people are told of them.
//!
//! A fault report has the vector, and so has the exit status of what the fault killed: 256 + vector.

/// Vector of a page fault.
pub const PAGE_FAULT: u64 = 14;

/// Name of the exception with this vector (Intel SDM volume 3, table 6-1).
pub const fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack-segment fault",
        13 => "general protection fault",
        PAGE_FAULT => "page fault",
        16 => "floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point exception",
        21 => "control protection exception",
        _ => "exception",
    }
}
