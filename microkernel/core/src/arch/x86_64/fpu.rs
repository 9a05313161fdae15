//! FPU registers, switched only when a second thread wants them, and per-thread special registers.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr2, Cr4, Cr4Flags};
use x86_64::registers::model_specific::FsBase;

use crate::mem::frames::Phys;

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

/// CR0 as it is when FPU instructions do not trap.
pub fn unlocked() -> u64 {
    (Cr0::read() - Cr0Flags::TASK_SWITCHED).bits()
}

/// Makes the next FPU instruction trap, or not. `unlocked` is CR0 without TS, since reading it is slow.
#[inline(always)]
pub fn lock(locked: bool, unlocked: u64) {
    let cr0 = unlocked | if locked { Cr0Flags::TASK_SWITCHED.bits() } else { 0 };
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

/// Loads the base of the FS segment. The address is a user address.
pub fn load_fs_base(base: u64) {
    FsBase::write(x86_64::VirtAddr::new_truncate(base));
}

/// The address that the last page fault was about.
pub fn fault_address() -> u64 {
    Cr2::read_raw()
}
