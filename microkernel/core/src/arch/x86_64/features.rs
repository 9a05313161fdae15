//! Turns on what protects ring 0, where the processor has it, and the `syscall` instruction.

use core::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use core::fmt;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::{SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::gdt::SegmentSelector;

use super::descriptors::{KERNEL_CODE, KERNEL_DATA, USER_CODE, USER_DATA};

/// What this processor offers, as far as the core asks: what of CR4 it can turn on.
#[derive(Clone, Copy)]
pub struct Features(Cr4Flags);

/// Leaf, register (ebx is 1), and bit of CPUID that say whether the processor has it, what turns it on, and its name:
/// supervisor mode may not execute user pages, or touch them; ring 3 may not read descriptor table addresses;
/// translations are tagged with the space they belong to; XSAVE and its state components; instructions for the bases of
/// FS and GS; machine checks are exceptions, without which they are a reset without a word.
const KNOWN: [(u32, usize, u32, Cr4Flags, &str); 7] = [
    (7, 1, 7, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, "smep"),
    (7, 1, 20, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, "smap"),
    (7, 2, 2, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, "umip"),
    (1, 2, 17, Cr4Flags::PCID, "pcid"),
    (1, 2, 26, Cr4Flags::OSXSAVE, "xsave"),
    (7, 1, 0, Cr4Flags::FSGSBASE, "fsgsbase"),
    (1, 3, 7, Cr4Flags::MACHINE_CHECK_EXCEPTION, "mce"),
];

/// Flags that a system call clears, so that nothing ring 3 sets bothers the core.
const CLEARED: RFlags = RFlags::INTERRUPT_FLAG
    .union(RFlags::TRAP_FLAG)
    .union(RFlags::DIRECTION_FLAG)
    .union(RFlags::NESTED_TASK)
    .union(RFlags::ALIGNMENT_CHECK)
    .union(RFlags::RESUME_FLAG)
    .union(RFlags::IOPL_LOW)
    .union(RFlags::IOPL_HIGH);

impl Features {
    /// Instructions for the bases of FS and GS.
    pub fn bases(self) -> bool {
        self.0.contains(Cr4Flags::FSGSBASE)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        KNOWN.iter().filter(|known| self.0.contains(known.3)).try_for_each(|known| write!(f, " {}", known.4))
    }
}

/// Reads what there is.
pub fn detect() -> Features {
    let offers = |leaf, register: usize, bit| {
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, 0);
        leaf <= __cpuid(0).eax && [eax, ebx, ecx, edx][register] >> bit & 1 != 0
    };
    let offered = KNOWN.iter().filter(|&&(leaf, register, bit, ..)| offers(leaf, register, bit));
    Features(offered.fold(Cr4Flags::empty(), |all, known| all | known.3))
}

/// Switches the protections on, and `syscall`, which nobody uses before its entry is chosen.
pub fn enable(features: Features) {
    let mut cr4 = Cr4::read() | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE | (features.0 - Cr4Flags::PCID);
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
        cr4 |= features.0 & Cr4Flags::PCID;
        Cr4::write(cr4 | Cr4Flags::PAGE_GLOBAL);
    }
}

/// Whether translations are tagged. On the host, where CR4 cannot be read, they are not.
pub fn tags() -> bool {
    cfg!(target_os = "none") && Cr4::read().contains(Cr4Flags::PCID)
}
