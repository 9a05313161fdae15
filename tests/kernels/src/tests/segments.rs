//! The FS base: a thread's own, whatever others do to the register, and nobody else's to see.

use core::arch::asm;
use parley_rt::sys;

use crate::tool::sandbox::Sandbox;
use crate::tool::verdict::Verdict;

tests![fs_base_survives_strangers, fs_base_is_not_shown];

/// Which of two words, 8 bytes apart, a load through FS reads: 1 if the base is 8, 0 if it is 0.
fn probe() -> u64 {
    let words = [0u64, 1];
    let value: u64;
    // SAFETY: with a base of 0 or 8 the load reads one of the two words.
    unsafe { asm!("mov {}, fs:[{}]", out(reg) value, in(reg) words.as_ptr(), options(readonly, nostack)) };
    value
}

/// `xor eax, eax; mov fs, eax; ud2` in another process: the base is 0 there, and the old one here.
fn fs_base_survives_strangers() -> Verdict {
    let mut stranger = Sandbox::new()?;
    // SAFETY: nothing in this program uses thread-local storage.
    unsafe { sys::set_fs_base(8) }?;
    let before = probe();
    let fault = stranger.run(&[0x31, 0xc0, 0x8e, 0xe0, 0x0f, 0x0b]);
    let after = probe();
    // SAFETY: as above.
    unsafe { sys::set_fs_base(0) }?;
    ensure_eq!(fault?.vector, 6, "the stranger");
    ensure_eq!((before, after), (1, 1), "what was read through FS before and after a stranger loaded it");
    Ok(())
}

/// `mov al, fs:[0x40]` in a process that has no FS base faults at 0x40, and not at another's base.
fn fs_base_is_not_shown() -> Verdict {
    let mut stranger = Sandbox::new()?;
    // SAFETY: nothing in this program uses thread-local storage.
    unsafe { sys::set_fs_base(0x123_4000) }?;
    let fault = stranger.run(&[0x64, 0x8a, 0x04, 0x25, 0x40, 0, 0, 0]);
    // SAFETY: as above.
    unsafe { sys::set_fs_base(0) }?;
    ensure_eq!(fault?.address, 0x40, "where a load through FS went");
    Ok(())
}
