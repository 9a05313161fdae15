//! Steps that use registers ring 0 has to keep, and steps that fault.

use core::arch::asm;

use super::Fuzzer;

impl Fuzzer {
    /// Uses vector and x87 registers, and leaves flags and selectors that a system call must survive.
    pub(super) fn registers(&mut self) {
        let value = self.random.next();
        // SAFETY: the program is built soft-float and uses no thread-local storage: nothing of Rust's is in
        // these registers. The stack and the flags are put back.
        unsafe {
            match self.random.below(5) {
                0 => asm!("movq xmm0, {0}", "movq xmm15, {0}", in(reg) value),
                1 => asm!("push {0}", "fild qword ptr [rsp]", "fstp st(0)", "pop {0}", inout(reg) value => _),
                2 => asm!("mov fs, {0:x}", "mov gs, {0:x}", in(reg) [0u64, 3, 0x1b][value as usize % 3]),
                3 => flags_at_a_system_call([0x400, 0x4_0000, 0x4000, 0x1_0000, 0x20_0000][value as usize % 5]),
                _ => asm!("push 0x1f80", "ldmxcsr [rsp]", "pop {0}", out(reg) _),
            }
        }
    }

    /// Faults in one of several ways, some of which go on when the parent answers.
    pub(super) fn harm(&mut self) {
        let address = self.word();
        // SAFETY: the thread does not go on after most of these; where it does, memory that changed was
        // not Rust's, or belongs to a cell, which may break.
        unsafe {
            match self.random.below(12) {
                0 => asm!("ud2"),
                1 => asm!("mov al, [{}]", in(reg) address, out("al") _),
                2 => asm!("mov byte ptr [{}], 0", in(reg) address),
                3 => asm!("call {}", in(reg) address, clobber_abi("sysv64")),
                4 => asm!("xor ecx, ecx", "div ecx", out("ecx") _, out("eax") _, out("edx") _),
                5 => asm!("hlt"),
                6 => asm!("in al, dx", out("al") _, in("dx") address as u16),
                7 => asm!("mov ss, {0:x}", in(reg) address),
                8 => asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "nop"),
                // What holds debug exceptions back, and then the way into ring 0.
                9 => asm!("mov {0:e}, ss", "mov ss, {0:x}", "syscall", out(reg) _, inout("rax") 0x1000u64 => _,
                    out("rcx") _, out("r11") _),
                _ => asm!("int3"),
            }
        }
    }
}

/// Sets `flag` and makes a system call; afterwards the flags are as before.
///
/// # Safety
/// The flag is none that Rust relies on, or the instructions here put it back.
unsafe fn flags_at_a_system_call(flag: u64) {
    // SAFETY: `null` changes rax, rcx and r11 only, and the flags are restored.
    unsafe {
        asm!(
            "pushfq", "pushfq", "or [rsp], {flag}", "popfq",
            "mov eax, {null}", "syscall",
            "popfq",
            flag = in(reg) flag, null = const parley_abi::call::NULL,
            out("rax") _, out("rcx") _, out("r11") _,
        );
    }
}
