//! From QEMU's 32-bit PVH entry to 64-bit Rust.
//!
//! PVH hands over in protected mode with paging off and the start info's address in ebx. The code below checks that the
//! processor has long mode and NX, maps the first 4 GiB twice (at their own addresses, and at the direct map, where
//! `handoff` needs to run), and calls `loader_main`.
//!
//! Sources: Xen's `docs/misc/pvh.pandoc`; Intel SDM volume 3A, sections 4.5 and 10.8.5 (initialising IA-32e mode).

use core::arch::global_asm;

use direct_boot::protocol::HHDM;

const STACK: usize = 64 << 10;
/// Long mode and NX in edx of CPUID leaf 0x80000001.
const FEATURES: u32 = 1 << 29 | 1 << 20;
/// EFER.LME and EFER.NXE.
const EFER_BITS: u32 = 1 << 8 | 1 << 11;
/// CR0.PG, WP, ET and PE.
const CR0: u32 = 1 << 31 | 1 << 16 | 1 << 4 | 1 << 0;
/// CR4.PAE.
const CR4: u32 = 1 << 5;

// QEMU looks for note type 18 (XEN_ELFNOTE_PHYS32_ENTRY) and reads eight bytes of address from a 64-bit ELF file.
global_asm!(
    ".pushsection .note.pvh, \"a\", @note",
    ".balign 4",
    ".long 4, 8, 18",
    ".asciz \"Xen\"",
    ".quad pvh_entry",
    ".popsection",
);

// The table that the protocol prescribes, with every descriptor's accessed bit set so that nothing writes to it.
global_asm!(
    ".pushsection .data.gdt, \"aw\"",
    ".balign 8",
    ".global boot_gdt",
    "boot_gdt:",
    ".quad 0",
    ".quad 0x00009b000000ffff", // 0x08: 16-bit code
    ".quad 0x000093000000ffff", // 0x10: 16-bit data
    ".quad 0x00cf9b000000ffff", // 0x18: 32-bit code
    ".quad 0x00cf93000000ffff", // 0x20: 32-bit data
    ".quad 0x00209b0000000000", // 0x28: 64-bit code
    ".quad 0x0000930000000000", // 0x30: 64-bit data
    "boot_gdtr:",
    ".word boot_gdtr - boot_gdt - 1",
    ".long boot_gdt",
    ".popsection",
    ".pushsection .bss.boot, \"aw\", @nobits",
    ".balign 4096",
    "boot_pml4: .skip 4096",
    "boot_pdpt: .skip 4096",
    "boot_pd:   .skip 4 * 4096",
    "boot_stack: .skip {stack}",
    "boot_stack_top:",
    ".popsection",
    stack = const STACK,
);

global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".code32",
    ".global pvh_entry",
    "pvh_entry:",
    "cli",
    "cld",
    "mov esp, offset boot_stack_top",
    "mov ebp, ebx", // cpuid overwrites ebx
    "mov eax, 0x80000000",
    "cpuid",
    "cmp eax, 0x80000001",
    "jb 9f",
    "mov eax, 0x80000001",
    "cpuid",
    "not edx",
    "test edx, {features}",
    "jnz 9f",
    // Both upper tables start empty.
    "mov edi, offset boot_pml4",
    "mov ecx, 2 * 1024",
    "xor eax, eax",
    "rep stosd",
    "mov eax, offset boot_pdpt + 3",
    "mov [boot_pml4], eax",
    "mov [boot_pml4 + {hhdm_slot} * 8], eax",
    "mov eax, offset boot_pd + 3",
    "mov edi, offset boot_pdpt",
    "mov ecx, 4",
    "2: mov [edi], eax",
    "add eax, 4096",
    "add edi, 8",
    "loop 2b",
    // 2,048 pages of 2 MiB: present, writable, large.
    "mov edi, offset boot_pd",
    "mov ecx, 2048",
    "mov eax, 0x83",
    "3: mov [edi], eax",
    "mov dword ptr [edi + 4], 0",
    "add eax, 0x200000",
    "add edi, 8",
    "loop 3b",
    "mov eax, offset boot_pml4",
    "mov cr3, eax",
    "mov eax, {cr4}",
    "mov cr4, eax",
    "mov ecx, 0xc0000080",
    "rdmsr",
    "or eax, {efer}",
    "wrmsr",
    "mov eax, {cr0}",
    "mov cr0, eax",
    "lgdt [boot_gdtr]",
    "push 0x28",
    "mov eax, offset entry64",
    "push eax",
    "retf",
    // No 64-bit mode: say so by hand, since Rust cannot run.
    "9: mov esi, offset no_long_mode",
    "mov edx, 0x3f8",
    "7: lodsb",
    "test al, al",
    "jz 6f",
    "out dx, al",
    "jmp 7b",
    "6:",
    "mov eax, 0x11",
    "mov edx, 0xf4",
    "out dx, eax",
    "8: hlt",
    "jmp 8b",
    "no_long_mode: .asciz \"direct-boot: this CPU lacks 64-bit mode or NX; use `-cpu qemu64` or `-cpu max`\\n\"",
    ".code64",
    "entry64:",
    "mov eax, 0x30",
    "mov ds, eax",
    "mov es, eax",
    "mov fs, eax",
    "mov gs, eax",
    "mov ss, eax",
    "mov esp, offset boot_stack_top", // upper halves are undefined after the switch
    "mov edi, ebp",
    "xor ebp, ebp",
    "call {main}",
    "ud2",
    ".popsection",
    features = const FEATURES,
    hhdm_slot = const (HHDM >> 39) as u32 % 512,
    cr4 = const CR4,
    efer = const EFER_BITS,
    cr0 = const CR0,
    main = sym super::loader_main,
);
