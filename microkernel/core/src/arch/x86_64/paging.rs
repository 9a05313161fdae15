//! Page tables: mapping, looking up, taking apart.
//!
//! The core never dereferences a user address. It walks the page tables of the address space in
//! question by hand ([`Leaf::lookup`]) and copies through the direct map, so a bad pointer is a missing entry
//! and not a fault, and it does not matter which address space is current.

use x86_64::structures::paging::PageTableFlags as Flags;

use super::tlb::{self, Processor, Root};
use crate::mem::{DIRECT, ENTRIES, Phys};
use parley_abi::{Errno, PAGE, USER_END};

/// Core data in windows: writable, the same everywhere, never executable.
pub const KERNEL_DATA: u64 =
    Flags::PRESENT.bits() | Flags::WRITABLE.bits() | Flags::GLOBAL.bits() | Flags::NO_EXECUTE.bits();

pub(super) const PRESENT: u64 = Flags::PRESENT.bits();
pub(super) const WRITABLE: u64 = Flags::WRITABLE.bits();
pub(super) const USER: u64 = Flags::USER_ACCESSIBLE.bits();
const LARGE: u64 = Flags::HUGE_PAGE.bits();
const GLOBAL: u64 = Flags::GLOBAL.bits();
const NO_EXECUTE: u64 = Flags::NO_EXECUTE.bits();
const UNCACHED: u64 = Flags::NO_CACHE.bits() | Flags::WRITE_THROUGH.bits();
pub(super) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Top-level entries of the user half.
pub const USER_ENTRIES: usize = ENTRIES / 2;

/// Flags of a user page with `prot` bits ([`parley_abi::call::prot`]).
pub fn user_flags(prot: u64) -> u64 {
    use parley_abi::call::prot::{EXECUTE, WRITE};
    let writable = if prot & WRITE != 0 { WRITABLE } else { 0 };
    PRESENT | USER | writable | if prot & EXECUTE == 0 { NO_EXECUTE } else { 0 }
}

/// Index into the table of `level` (4 is the top).
#[inline(always)]
fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1))) as usize % ENTRIES
}

/// Borrows a page table.
#[inline(always)]
fn table<'a>(at: Phys) -> &'a mut [u64; ENTRIES] {
    // SAFETY: 1. only roots of live spaces and entries read from their tables get here, and those are
    // frames that hold page tables; 2. the functions of this module hold one table at a time, and the
    // core runs on one processor at a time.
    unsafe { at.words() }
}

/// The table below `entry`, made if it is missing.
fn descend(entry: &mut u64, flags: u64, take: &mut dyn FnMut() -> Option<Phys>) -> Result<Phys, Errno> {
    if *entry & PRESENT == 0 {
        *entry = take().ok_or(Errno::ENOMEM)?.0 | flags;
    }
    Ok(Phys(*entry & ADDRESS))
}

/// Maps `frame` at `address`. `take` gives zeroed frames for page tables. ENOMEM: it has none. EEXIST: something is mapped
/// there.
pub fn map(
    root: Phys,
    address: u64,
    frame: Phys,
    flags: u64,
    take: &mut dyn FnMut() -> Option<Phys>,
) -> Result<(), Errno> {
    let between = PRESENT | WRITABLE | flags & USER;
    let mut at = root;
    for level in [4, 3, 2] {
        at = descend(&mut table(at)[index(address, level)], between, take)?;
    }
    let entry = &mut table(at)[index(address, 1)];
    if *entry & PRESENT != 0 {
        return Err(Errno::EEXIST);
    }
    *entry = frame.0 | flags;
    Ok(())
}

/// Maps frames from `address` on, in the last-level table that covers it, until they end, or the table, or something is
/// mapped already. Returns how many.
pub fn map_run(last: Phys, address: u64, frames: impl Iterator<Item = Phys>, flags: u64) -> u64 {
    let mut mapped = 0;
    for (entry, frame) in table(last)[index(address, 1)..].iter_mut().zip(frames) {
        if *entry & PRESENT != 0 {
            break;
        }
        *entry = frame.0 | flags;
        mapped += 1;
    }
    mapped
}

/// The last-level table that covers `address`, if there is one.
#[inline(always)]
pub fn last_table(root: Phys, address: u64) -> Option<Phys> {
    let below = |at, level| {
        let entry = table(at)[index(address, level)];
        if entry & PRESENT == 0 { None } else { Some(Phys(entry & ADDRESS)) }
    };
    below(below(below(root, 4)?, 3)?, 2) // a loop over levels costs twice as much where code is to be small
}

/// The last-level table that was looked up last, so that the next address near by needs no walk. Good until a table
/// is freed: then it has to be [forgotten](Leaf::default).
#[derive(Default)]
#[repr(C)]
pub struct Leaf {
    /// Of whose address space.
    pub root: Root,
    /// Which [`REGION`] it covers.
    pub region: u64,
    /// Where its entries lie.
    pub entries: u64,
}

/// Bytes that a last-level table covers.
pub const REGION: u64 = 1 << 21;

impl Leaf {
    /// Where the byte at user address `address` lies in the direct map, if ring 3 may read it (and write it,
    /// if `write`). The bytes up to the end of the page follow it.
    #[inline(always)]
    pub fn lookup(&mut self, root: Root, address: u64, write: bool) -> Option<*mut u8> {
        if self.root != root || self.region != address / REGION {
            self.walk(root, address)?;
        }
        in_entry(table(Phys(self.entries - DIRECT))[index(address, 1)], address, write)
    }

    /// Where the entry of `address`, which was looked up last, lies.
    #[inline(always)]
    pub fn entry(&self, address: u64) -> u64 {
        self.entries + (index(address, 1) * size_of::<u64>()) as u64
    }

    /// As [`Leaf::lookup`], for the first address of the page behind the one that has `entry`, which moves on.
    #[inline(always)]
    pub fn next(&mut self, entry: &mut u64, root: Root, address: impl FnOnce() -> u64, write: bool) -> Option<*mut u8> {
        *entry += size_of::<u64>() as u64;
        if entry.is_multiple_of(PAGE as u64) {
            let address = address();
            self.walk(root, address)?;
            *entry = self.entry(address);
        }
        // SAFETY: it lies in the last-level table of the page before, or of this one; tables are frames of 512 entries.
        let value = unsafe { Phys(*entry - DIRECT).pointer::<u64>().read() };
        in_entry(value, 0, write)
    }

    #[inline(never)]
    fn walk(&mut self, root: Root, address: u64) -> Option<()> {
        let table = last_table(root.table(), address).filter(|_| address < USER_END)?;
        *self = Leaf { root, region: address / REGION, entries: table.0 + DIRECT };
        Some(())
    }
}

/// Unmaps one page and returns its frame. The caller sees to [`tlb::forget`].
pub fn unmap(root: Phys, address: u64) -> Option<Phys> {
    let entry = &mut table(last_table(root, address)?)[index(address, 1)];
    if *entry & PRESENT == 0 {
        return None;
    }
    Some(Phys(core::mem::take(entry) & ADDRESS))
}

#[inline(always)]
fn in_entry(entry: u64, address: u64, write: bool) -> Option<*mut u8> {
    let needed = PRESENT | USER | if write { WRITABLE } else { 0 };
    if entry & needed != needed {
        return None;
    }
    Some(Phys((entry & ADDRESS) | (address % PAGE as u64)).pointer())
}

/// Frees one page table of the user half of `root`, deepest first, through `put`. False: none is left.
/// The user pages themselves belong to memory objects and have been unmapped.
pub fn free_one_table(root: Phys, put: &mut dyn FnMut(Phys)) -> bool {
    fn free_below(at: Phys, level: u32, entries: usize, put: &mut dyn FnMut(Phys)) -> bool {
        let Some(entry) = table(at)[..entries].iter_mut().find(|entry| **entry & PRESENT != 0) else { return false };
        let child = Phys(*entry & ADDRESS);
        if level == 2 || !free_below(child, level - 1, ENTRIES, put) {
            *entry = 0;
            put(child);
        }
        true
    }
    free_below(root, 4, USER_ENTRIES, put)
}

/// Page tables of the user half of `root`, for checks.
pub fn count_tables(root: Phys) -> u64 {
    fn count_below(at: Phys, level: u32, entries: usize) -> u64 {
        let present = table(at)[..entries].iter().filter(|entry| **entry & PRESENT != 0);
        present
            .map(|entry| 1 + if level == 2 { 0 } else { count_below(Phys(*entry & ADDRESS), level - 1, ENTRIES) })
            .sum()
    }
    count_below(root, 4, USER_ENTRIES)
}

/// A root for a new address space: the upper half is the core's.
pub fn new_root(kernel: Phys, root: Phys) {
    let upper: [u64; USER_ENTRIES] = table(kernel)[USER_ENTRIES..].try_into().expect("half a table");
    table(root)[USER_ENTRIES..].copy_from_slice(&upper);
}

/// The processor that the core runs on, for [`tlb`].
pub struct Cpu;

impl Processor for Cpu {
    #[inline(always)]
    fn load(&mut self, word: u64) {
        // SAFETY: every root shares the core's half, so code, stack and data stay where they are.
        unsafe {
            core::arch::asm!("mov cr3, {}", in(reg) word, options(nostack, preserves_flags));
        }
    }

    fn forget(&mut self, address: u64) {
        x86_64::instructions::tlb::flush(x86_64::VirtAddr::new_truncate(address));
    }
}

/// Makes `root` the current address space.
#[inline(always)]
pub fn activate(root: Root) {
    tlb::switch(&mut Cpu, root);
}

/// The core's own image: addresses of its segments, from the linker script.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Virtual address of the start.
    pub start: u64,
    /// Physical address of the start; the image is contiguous.
    pub physical: u64,
    /// End of the code, and start of the read-only data.
    pub text_end: u64,
    /// End of the read-only data, and start of what may be written.
    pub rodata_end: u64,
    /// End of the image.
    pub end: u64,
}

/// Builds the core's half of the address space, and returns its root: the direct map of the first
/// `top` bytes of physical memory, and the image with W^X. The pages of `guards` are left unmapped.
pub fn build_kernel(
    image: &Image,
    guards: &[u64],
    top: u64,
    take: &mut dyn FnMut() -> Option<Phys>,
) -> Result<Phys, Errno> {
    let root = take().ok_or(Errno::ENOMEM)?;
    map_direct(root, image, top, take)?;
    for page in (image.start..image.end).step_by(PAGE).filter(|page| !guards.contains(page)) {
        let frame = Phys(page - image.start + image.physical);
        map(root, page, frame, image_flags(image, page) | GLOBAL, take)?;
    }
    Ok(root)
}

/// W^X: code is read and executed, constants are read, the rest is read and written.
fn image_flags(image: &Image, page: u64) -> u64 {
    if page < image.text_end {
        PRESENT
    } else if page < image.rodata_end {
        PRESENT | NO_EXECUTE
    } else {
        PRESENT | WRITABLE | NO_EXECUTE
    }
}

/// Device registers lie in the last GiB below 4 GiB and must not be cached.
const DEVICES: core::ops::Range<u64> = 0xfe00_0000..0x1_0000_0000;
const LARGE_PAGE: u64 = 2 << 20;

/// The direct map: 2 MiB pages, writable and never executable; the 2 MiB that hold the core's code and
/// constants in 4 KiB pages, so that those stay read-only here as well.
fn map_direct(root: Phys, image: &Image, top: u64, take: &mut dyn FnMut() -> Option<Phys>) -> Result<(), Errno> {
    let read_only = image.physical..image.physical + (image.rodata_end - image.start);
    for physical in (0..top).step_by(LARGE_PAGE as usize) {
        let devices = if DEVICES.contains(&physical) { UNCACHED } else { 0 };
        if physical < read_only.end && physical + LARGE_PAGE > read_only.start {
            for page in (physical..physical + LARGE_PAGE).step_by(PAGE) {
                let writable = if read_only.contains(&page) { 0 } else { WRITABLE };
                map(root, DIRECT + page, Phys(page), PRESENT | NO_EXECUTE | GLOBAL | writable, take)?;
            }
            continue;
        }
        let address = DIRECT + physical;
        let mut at = root;
        for level in [4, 3] {
            at = descend(&mut table(at)[index(address, level)], PRESENT | WRITABLE, take)?;
        }
        table(at)[index(address, 2)] = physical | PRESENT | WRITABLE | LARGE | GLOBAL | NO_EXECUTE | devices;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::tests::host_frames;
    use parley_abi::call::prot;

    #[test]
    fn what_is_mapped_is_found_and_what_is_not_is_not() {
        let mut frames = host_frames(16);
        let root = frames.take_zeroed().unwrap();
        let page = frames.take_zeroed().unwrap();
        let flags = user_flags(prot::READ);
        map(root, 0x40_0000, page, flags, &mut || frames.take_zeroed()).unwrap();
        assert_eq!(
            Leaf::default().lookup(Root::untagged(root), 0x40_0123, false),
            Some(Phys(page.0 + 0x123).pointer())
        );
        assert_eq!(Leaf::default().lookup(Root::untagged(root), 0x40_0123, true), None, "it is read-only");
        assert_eq!(Leaf::default().lookup(Root::untagged(root), 0x40_1000, false), None);
        assert_eq!(Leaf::default().lookup(Root::untagged(root), u64::MAX, false), None);
        assert_eq!(Leaf::default().lookup(Root::untagged(root), 0x8000_0000_0000, false), None);
        assert_eq!(map(root, 0x40_0000, page, flags, &mut || None), Err(Errno::EEXIST));
        assert_eq!(unmap(root, 0x40_0000), Some(page));
        assert_eq!(Leaf::default().lookup(Root::untagged(root), 0x40_0000, false), None);
    }

    #[test]
    fn tables_are_all_given_back() {
        let mut frames = host_frames(32);
        let root = frames.take_zeroed().unwrap();
        let before = frames.free;
        for address in [0x40_0000, 0x7fff_ffff_0000, 0x1234_5678_9000] {
            map(root, address, Phys(0x1000), user_flags(0), &mut || frames.take_zeroed()).unwrap();
            unmap(root, address);
        }
        assert!(frames.free < before);
        while free_one_table(root, &mut |frame| frames.put(frame)) {}
        assert_eq!(frames.free, before);
    }

    /// Every page that is mapped below the table `at` of `level`: its address and its entry.
    fn mapped(at: Phys, level: u32, base: u64, found: &mut Vec<(u64, u64)>) {
        for (number, &entry) in table(at).iter().enumerate().filter(|(_, entry)| **entry & PRESENT != 0) {
            let address = base + ((number as u64) << (12 + 9 * (level - 1)));
            match level {
                1 => found.push((address, entry)),
                _ if entry & LARGE != 0 => found.push((address, entry)),
                _ => mapped(Phys(entry & ADDRESS), level - 1, address, found),
            }
        }
    }

    #[test]
    fn the_core_s_half_is_global_everywhere_and_never_written_and_executed() {
        let mut frames = host_frames(32);
        let start = 0xffff_ffff_8000_0000;
        let image = Image {
            start,
            physical: 5 << 20,
            text_end: start + 0x3000,
            rodata_end: start + 0x5000,
            end: start + 0x9000,
        };
        let guard = start + 0x6000;
        // On the host the direct map begins at 0, and so in the lower half.
        let root = build_kernel(&image, &[guard], 16 << 20, &mut || frames.take_zeroed()).unwrap();
        let mut found = Vec::new();
        mapped(root, 4, 0, &mut found);
        assert_eq!(
            found.len(),
            7 + 512 + 8,
            "large pages but for the one that holds code, and the image without its guard"
        );
        for (address, entry) in found {
            assert!(entry & GLOBAL != 0 && entry & USER == 0, "{address:#x}: {entry:#x}");
            assert!(
                entry & WRITABLE == 0 || entry & NO_EXECUTE != 0,
                "{address:#x}: {entry:#x} is written and executed"
            );
            let read_only =
                (image.physical..image.physical + 0x5000).contains(&(entry & ADDRESS)) && entry & LARGE == 0;
            assert_eq!(entry & WRITABLE == 0, read_only, "{address:#x}: {entry:#x}");
        }
        assert_eq!(KERNEL_DATA & (GLOBAL | NO_EXECUTE | USER), GLOBAL | NO_EXECUTE, "windows");
    }

    #[test]
    fn running_out_of_frames_is_an_error() {
        let mut frames = host_frames(1);
        let root = frames.take_zeroed().unwrap();
        assert_eq!(map(root, 0x40_0000, Phys(0), 0, &mut || None), Err(Errno::ENOMEM));
    }
}
