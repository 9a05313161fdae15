//! GDT, TSS and IDT: the tables that tell the processor where ring 0 begins.

use core::arch::asm;
use core::mem::offset_of;
use x86_64::VirtAddr;
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::registers::segmentation::{CS, DS, ES, FS, GS, SS, Segment, SegmentSelector};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::DescriptorFlags;
use x86_64::structures::tss::TaskStateSegment;

use super::entry::{self, CpuLocal};

/// Selectors, in the order that `syscall` and `sysret` demand (Intel SDM, IA32_STAR).
pub const KERNEL_CODE: u16 = 0x08;
/// Stack segment of ring 0.
pub const KERNEL_DATA: u16 = 0x10;
/// Data and stack segment of ring 3.
pub const USER_DATA: u16 = 0x1b;
/// Code segment of ring 3.
pub const USER_CODE: u16 = 0x23;
const TSS: u16 = 0x28;

/// Ports there are; a bitmap has one bit for each, and a byte of ones behind it.
const PORTS: usize = 65536;
/// Address spaces that can hold port grants at the same time.
pub const PORT_BITMAPS: usize = 7;
/// Offset of the first bitmap in [`TaskState`].
const BITMAPS_AT: usize = offset_of!(TaskState, bitmaps);
/// A map base beyond the segment's limit: no port is allowed.
pub const NO_PORTS: u16 = 0xffff;

/// The hardware's task state, and behind it the port bitmaps. A switch selects one by writing its offset.
#[repr(C)]
pub struct TaskState {
    /// The hardware part: `rsp0` and the interrupt stacks.
    pub hardware: TaskStateSegment,
    bitmaps: [[u8; PORTS / 8]; PORT_BITMAPS],
    end: u8,
}

impl TaskState {
    /// No stacks yet, no port allowed.
    pub const EMPTY: TaskState =
        TaskState { hardware: TaskStateSegment::new(), bitmaps: [[0xff; PORTS / 8]; PORT_BITMAPS], end: 0xff };

    /// What the map base must be for bitmap `index` to hold.
    pub const fn map_base(index: usize) -> u16 {
        (BITMAPS_AT + index * (PORTS / 8)) as u16
    }

    /// Allows `count` ports from `first` in bitmap `index`.
    pub fn allow(&mut self, index: usize, first: u16, count: u16) {
        for port in first as usize..(first as usize + count as usize).min(PORTS) {
            self.bitmaps[index][port / 8] &= !(1 << (port % 8));
        }
    }

    /// Forbids all ports in bitmap `index`.
    pub fn forbid_all(&mut self, index: usize) {
        self.bitmaps[index].fill(0xff);
    }
}

/// The limit has to reach the byte behind the last bitmap.
const LIMIT: u64 = (offset_of!(TaskState, end)) as u64;
const _: () = assert!(BITMAPS_AT + (PORT_BITMAPS - 1) * (PORTS / 8) < NO_PORTS as usize);

/// Empties the segment registers that ring 3 can fill. They mean nothing in 64-bit mode, but what one
/// process leaves there another could read. It may clear the FS base, which is loaded afterwards.
pub fn clear_selectors() {
    // SAFETY: the core uses none of them, and a null selector can always be loaded.
    unsafe {
        asm!(
            "mov ds, {0:e}", "mov es, {0:e}", "mov fs, {0:e}", "mov gs, {0:e}",
            in(reg) 0u32, options(nostack, nomem, preserves_flags)
        );
    }
}

/// One gate of the IDT (Intel SDM, 64-bit interrupt gate).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate([u64; 2]);

impl Gate {
    /// Interrupt gate to `handler`, on interrupt stack `stack` (0: none), callable from ring `dpl`.
    const fn new(handler: u64, stack: u8, dpl: u8) -> Gate {
        let low = handler & 0xffff
            | (KERNEL_CODE as u64) << 16
            | (stack as u64) << 32
            | (0x8e | (dpl as u64) << 5) << 40
            | (handler >> 16 & 0xffff) << 48;
        Gate([low, handler >> 32])
    }
}

/// GDT and IDT of one processor.
#[repr(C, align(16))]
pub struct Descriptors {
    gdt: [u64; 7],
    idt: [Gate; 256],
}

impl Descriptors {
    /// Empty tables.
    pub const EMPTY: Descriptors = Descriptors { gdt: [0; 7], idt: [Gate([0; 2]); 256] };
}

/// Stacks that a vector gets whatever was running, numbered from 1: non-maskable interrupt, double
/// fault, machine check, debug. Each can strike in the few instructions where the stack is not ours.
const STACKS: [(usize, u8); 4] = [(2, 1), (8, 2), (18, 3), (1, 4)];

/// int3 and into are for programs; any other vector they raise with `int n` is a protection fault.
const FROM_RING_3: [usize; 2] = [3, 4];

/// Fills the tables and makes the processor use them.
pub fn load(cpu: &'static mut CpuLocal) {
    let stub = entry::vector_stubs();
    for vector in 0..256 {
        let stack = STACKS.iter().find(|(v, _)| *v == vector).map_or(0, |(_, stack)| *stack);
        let dpl = if FROM_RING_3.contains(&vector) { 3 } else { 0 };
        cpu.descriptors.idt[vector] = Gate::new(stub + (vector * entry::STUB_SIZE) as u64, stack, dpl);
    }
    for (_, stack) in STACKS {
        let top = cpu.interrupt_stacks[stack as usize - 1].stack.top();
        cpu.tss.hardware.interrupt_stack_table[stack as usize - 1] = VirtAddr::new(top);
    }
    cpu.tss.hardware.iomap_base = NO_PORTS;
    let base = core::ptr::from_ref(&cpu.tss).addr() as u64;
    cpu.descriptors.gdt = [
        0,
        DescriptorFlags::KERNEL_CODE64.bits(),
        DescriptorFlags::KERNEL_DATA.bits(),
        DescriptorFlags::USER_DATA.bits(),
        DescriptorFlags::USER_CODE64.bits(),
        LIMIT & 0xffff | (base & 0xff_ffff) << 16 | 0x89 << 40 | (LIMIT >> 16 & 0xf) << 48 | (base >> 24 & 0xff) << 56,
        base >> 32,
    ];
    let pointer = |table: *const u8, size: usize| DescriptorTablePointer {
        limit: size as u16 - 1,
        base: VirtAddr::from_ptr(table),
    };
    let (gdt, idt) = (&raw const cpu.descriptors.gdt, &raw const cpu.descriptors.idt);
    // SAFETY: 1. both tables lie in the CPU's block, which is never freed or moved; 2. the selectors
    // loaded are those just written; 3. every gate leads to a stub of the entry code; 4. a null LDT is one
    // without descriptors.
    unsafe {
        lgdt(&pointer(gdt.cast(), size_of::<[u64; 7]>()));
        CS::set_reg(SegmentSelector(KERNEL_CODE));
        SS::set_reg(SegmentSelector(KERNEL_DATA));
        DS::set_reg(SegmentSelector(0));
        ES::set_reg(SegmentSelector(0));
        FS::set_reg(SegmentSelector(0));
        GS::set_reg(SegmentSelector(0));
        lidt(&pointer(idt.cast(), size_of::<[Gate; 256]>()));
        load_tss(SegmentSelector(TSS));
        // No local descriptors. After a reset the register covers the first 64 KiB of linear addresses, where
        // ring 3 could put gates into ring 0.
        asm!("lldt {:x}", in(reg) 0u16, options(nostack, nomem, preserves_flags));
    }
}
