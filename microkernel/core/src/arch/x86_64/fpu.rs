//! FPU registers, switched only when a second thread wants them, and per-thread special registers.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr2, Cr4, Cr4Flags};
use x86_64::registers::model_specific::FsBase;

use crate::mem::Phys;

/// State components that are switched: x87, SSE, AVX. All of them fit into a page.
const COMPONENTS: u64 = 0b111;
/// What MXCSR and the x87 control word are after a reset (Linux starts programs with the same).
const MXCSR: u32 = 0x1f80;
const CONTROL_WORD: u16 = 0x37f;

fn has_xsave() -> bool {
    Cr4::read().contains(Cr4Flags::OSXSAVE)
}

/// Chooses the components that this processor has.
pub fn init() {
    if !has_xsave() {
        return;
    }
    let offered = __cpuid_count(0xd, 0).eax as u64;
    let chosen = COMPONENTS & offered;
    // SAFETY: XCR0 gets components that CPUID offers, x87 among them.
    unsafe { asm!("xsetbv", in("ecx") 0, in("eax") chosen as u32, in("edx") 0, options(nostack, nomem)) };
}

/// The CR0 of the thread that owns the FPU: its FPU instructions do not trap.
pub fn unlocked(cr0: u64) -> u64 {
    cr0 & !Cr0Flags::TASK_SWITCHED.bits()
}

/// The CR0 that is loaded; on the host, where it cannot be read, none.
pub fn cr0() -> u64 {
    if cfg!(target_os = "none") { Cr0::read_raw() } else { 0 }
}

/// The CR0 of a thread that does not own the FPU: its next FPU instruction traps.
pub fn locked(cr0: u64) -> u64 {
    cr0 | Cr0Flags::TASK_SWITCHED.bits()
}

/// Loads CR0, which differs from what is loaded in TS at most.
#[inline(always)]
pub fn load_cr0(cr0: u64) {
    // SAFETY: TS only decides whether FPU instructions trap; the other bits are as they were.
    unsafe { Cr0::write_raw(cr0) };
}

/// Fills a save area with the state after a reset.
pub fn initialise(area: Phys) {
    let bytes: *mut u8 = area.pointer();
    // SAFETY: the area is a page of its own, zeroed; the offsets are those of the legacy region (Intel SDM,
    // XSAVE area), and MXCSR and the header's first word are aligned.
    unsafe {
        bytes.cast::<u16>().write(CONTROL_WORD);
        bytes.add(24).cast::<u32>().write(MXCSR);
        bytes.add(512).cast::<u64>().write(0b11);
    }
}

/// Saves the registers.
pub fn save(area: Phys) {
    let area: *mut u8 = area.pointer();
    // SAFETY: the area is a page, aligned, and large enough for the chosen components.
    unsafe {
        match has_xsave() {
            true => asm!("xsave64 [{}]", in(reg) area, in("eax") COMPONENTS as u32, in("edx") 0, options(nostack)),
            false => asm!("fxsave64 [{}]", in(reg) area, options(nostack)),
        }
    }
}

/// Loads the registers; components that the area does not have are reset.
pub fn restore(area: Phys) {
    let area: *mut u8 = area.pointer();
    // SAFETY: as `save`; the area was written by `initialise` or `save` and is never shown to ring 3.
    unsafe {
        match has_xsave() {
            true => asm!("xrstor64 [{}]", in(reg) area, in("eax") COMPONENTS as u32, in("edx") 0, options(nostack)),
            false => asm!("fxrstor64 [{}]", in(reg) area, options(nostack)),
        }
    }
}

/// Loads the bases of the segments that have one: FS, a user address, and GS, which nobody is given. With the
/// instructions for it (`fast`), ring 3 has them too and may have changed both; without, it can only clear them.
#[inline(always)]
pub fn load_bases(fs: u64, fast: bool) {
    if !fast {
        return FsBase::write(x86_64::VirtAddr::new_truncate(fs));
    }
    // SAFETY: CR4.FSGSBASE is set, and the address is canonical. Ring 0 uses neither segment.
    unsafe { asm!("wrfsbase {}", "wrgsbase {}", in(reg) fs, in(reg) 0u64, options(nostack, nomem)) };
}

/// The address that the last page fault was about.
pub fn fault_address() -> u64 {
    Cr2::read_raw()
}
