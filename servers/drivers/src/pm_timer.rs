//! The ACPI power management timer: one port, which is read.

use x86_64::instructions::port::PortReadOnly;

use crate::{COUNTER_MASK, Counter};

/// The timer.
pub struct PmTimer(PortReadOnly<u32>);

impl PmTimer {
    /// The timer at this I/O port, which the firmware's FADT names.
    pub const fn new(port: u16) -> PmTimer {
        PmTimer(PortReadOnly::new(port))
    }
}

impl Counter for PmTimer {
    fn ticks(&mut self) -> u32 {
        // SAFETY: 1. reading a port writes to no memory; 2. ring 3 faults without a grant, and in ring 0 nobody makes one.
        unsafe { self.0.read() & COUNTER_MASK }
    }
}
