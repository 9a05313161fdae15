//! The last instructions: into the state that the protocol prescribes.
//!
//! The kernel's page tables have no lower half, so the code first continues at its own address in the direct map, which
//! the loader's tables and the kernel's share, and changes tables there.

use core::arch::{asm, x86_64::__cpuid};

use direct_boot::{boot::Launch, protocol::HHDM};

use super::ports;

const PAT_FEATURE: u32 = 1 << 16;
const PAT_MSR: u32 = 0x277;
/// WB, WT, UC-, UC, WP, WC in slots 0 to 5, as the protocol lists them; one byte a slot.
const PAT: u64 = 0x0000_0105_0007_0406;
const GDT_LIMIT: u16 = 7 * 8 - 1;

unsafe extern "C" {
    static boot_gdt: u8;
}

/// The operand of `lgdt`.
#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

/// Leaves the loader for good.
///
/// # Safety
/// `launch` must describe page tables that map the first 4 GiB at the direct map, a stack and a kernel.
pub unsafe fn enter(launch: Launch) -> ! {
    ports::mask_pics();
    set_pat();
    let gdt = TablePointer { limit: GDT_LIMIT, base: HHDM + (&raw const boot_gdt).addr() as u64 };
    // SAFETY: 1. the GDT and this code are in the first 4 GiB, hence at the direct map in both sets of tables;
    // 2. its descriptors equal those that are loaded, so cs and the data segments stay valid;
    // 3. root, stack and entry are right by the caller's promise, and nothing of the loader is used after them.
    unsafe {
        asm!(
            "lgdt [r9]",
            "lea rax, [rip + 2f]",
            "add rax, r8",
            "jmp rax",
            "2: mov cr3, rdi",
            "mov rsp, rsi",
            "push 2", // rflags: all clear but the bit that is always set
            "popfq",
            "push 0", // the kernel's return address, which leads nowhere
            "push rdx",
            "xor eax, eax",
            "xor ebx, ebx",
            "xor ecx, ecx",
            "xor edx, edx",
            "xor esi, esi",
            "xor edi, edi",
            "xor ebp, ebp",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r11d, r11d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "ret",
            in("r9") &raw const gdt,
            in("r8") HHDM,
            in("rdi") launch.root,
            in("rsi") launch.stack_top,
            in("rdx") launch.entry,
            options(noreturn),
        )
    }
}

/// Sets the page attribute table where the processor has one.
fn set_pat() {
    if __cpuid(1).edx & PAT_FEATURE == 0 {
        return;
    }
    // SAFETY: the register exists, and every mapping in use selects slot 0, which stays write-back.
    unsafe {
        asm!("wrmsr", in("ecx") PAT_MSR, in("eax") PAT as u32, in("edx") (PAT >> 32) as u32, options(nostack));
    }
}
