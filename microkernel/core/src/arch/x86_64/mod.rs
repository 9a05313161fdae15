//! x86-64: entry and exit, descriptor tables, page tables, interrupt controllers, clock.

pub mod apic;
pub mod asm;
pub mod clock;
pub mod descriptors;
pub mod entry;
pub mod features;
pub mod fpu;
pub mod frame;
pub mod paging;
pub mod ports;
pub mod serial;
pub mod shortcut;
pub mod tlb;
pub mod vectors;
