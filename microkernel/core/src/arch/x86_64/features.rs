//! Turns on what protects ring 0, where the processor has it, and the `syscall` instruction.

use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::fmt;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::gdt::SegmentSelector;

use super::descriptors::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};

/// What this processor offers, as far as the core asks.
#[derive(Clone, Copy, Default)]
pub struct Features {
    /// Supervisor mode may not execute user pages.
    pub smep: bool,
    /// Supervisor mode may not touch user pages.
    pub smap: bool,
    /// Ring 3 may not read descriptor table addresses.
    pub umip: bool,
    /// Translations tagged with the space they belong to.
    pub pcid: bool,
    /// XSAVE and its state components.
    pub xsave: bool,
    /// Instructions for the bases of FS and GS.
    pub bases: bool,
    /// Machine checks are exceptions; without that they are a reset without a word.
    pub machine_check: bool,
}

/// Flags that a system call clears, so that nothing ring 3 sets bothers the core.
const CLEARED: RFlags = RFlags::INTERRUPT_FLAG
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::NESTED_TASK)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::IOPL_LOW)
    .union(RFlags::IOPL_HIGH);

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Features { smep, smap, umip, pcid, xsave, bases, machine_check } = *self;
        let all = [
            (smep, " smep"),
            (smap, " smap"),
            (umip, " umip"),
            (pcid, " pcid"),
            (xsave, " xsave"),
            (bases, " fsgsbase"),
            (machine_check, " mce"),
        ];
        all.into_iter().filter(|(has, _)| *has).try_for_each(|(_, name)| f.write_str(name))
    }
}

/// Reads what there is.
pub fn detect() -> Features {
    let leaf1 = __cpuid(1);
    let leaf7 = if __cpuid(0).eax >= 7 { __cpuid_count(7, 0) } else { __cpuid_count(0, 0xffff) };
    let has7 = __cpuid(0).eax >= 7;
    Features {
        smep: has7 && leaf7.ebx & 1 << 7 != 0,
        smap: has7 && leaf7.ebx & 1 << 20 != 0,
        umip: has7 && leaf7.ecx & 1 << 2 != 0,
        pcid: leaf1.ecx & 1 << 17 != 0,
        xsave: leaf1.ecx & 1 << 26 != 0,
        bases: has7 && leaf7.ebx & 1 != 0,
        machine_check: leaf1.edx & 1 << 7 != 0,
    }
}

/// Switches the protections on, and `syscall`, which nobody uses before its entry is chosen.
pub fn enable(features: Features) {
    let mut cr4 = Cr4::read() | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    cr4.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features.smep);
    cr4.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.smap);
    cr4.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.umip);
    cr4.set(Cr4Flags::OSXSAVE, features.xsave);
    cr4.set(Cr4Flags::FSGSBASE, features.bases);
    cr4.set(Cr4Flags::MACHINE_CHECK_EXCEPTION, features.machine_check);
    cr4.remove(Cr4Flags::TIMESTAMP_DISABLE);
    let mut cr0 = Cr0::read() | Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR;
    cr0.remove(Cr0Flags::EMULATE_COPROCESSOR);
    cr0.insert(Cr0Flags::TASK_SWITCHED | Cr0Flags::ALIGNMENT_MASK);
    let selectors = [USER_CODE, USER_DATA, KERNEL_CODE, KERNEL_DATA].map(SegmentSelector);
    // SAFETY: 1. the flags turned on only restrict, or name features that CPUID reported; 2. the selectors
    // are those of the GDT.
    unsafe {
        Efer::update(|efer| *efer |= EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE);
        Cr4::write(cr4);
        Cr0::write(cr0);
    }
    Star::write(selectors[0], selectors[1], selectors[2], selectors[3]).expect("selectors lie as STAR demands");
    SFMask::write(CLEARED);
}

/// Turns on global pages, and tags where there are any. The core's own page tables are loaded, without a tag;
/// whatever the loader's left in the TLB is gone after this.
pub fn enable_tags(features: Features) {
    let mut cr4 = Cr4::read();
    cr4.remove(Cr4Flags::PAGE_GLOBAL | Cr4Flags::PCID);
    // SAFETY: no mapping changes. Turning global pages off and on forgets every translation, global ones too;
    // PCIDs exist, and CR3 holds none yet, as turning them on demands.
    unsafe {
        Cr4::write(cr4);
        cr4.set(Cr4Flags::PCID, features.pcid);
        Cr4::write(cr4 | Cr4Flags::PAGE_GLOBAL);
    }
}

/// Whether translations are tagged. On the host, where CR4 cannot be read, they are not.
pub fn tags() -> bool {
    cfg!(target_os = "none") && Cr4::read().contains(Cr4Flags::PCID)
}
