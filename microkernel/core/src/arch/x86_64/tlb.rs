//! What the processor may remember of address spaces that are not loaded, and when it has to forget.
//!
//! A [`Root`] is the one word by which the core names page tables: threads carry it, a switch compares it
//! with the word that is loaded, and if they differ that word goes into CR3 as it is. Where the processor
//! has PCIDs it holds a tag too, the slot of the space in its table, and the bit that says "forget
//! nothing". The word of a space never changes, so it may lie in any number of thread blocks.
//!
//! No emulator here has PCIDs, so this is the reasoning, and the tests below hold it against a model of
//! the manual's rules (Intel SDM 3A, 4.10; AMD APM 2, 5.5.1):
//! - A cached translation carries the tag it was made under and is used under no other, unless it is global.
//!   Global are the core's own pages alone ([`super::paging`]), which are the same everywhere and stay.
//! - Pages are only added where nothing was mapped, and nothing is cached of what is not there. So the
//!   moments to think of are two: a page is unmapped, or a tag gets new tables. Rights are narrowed by
//!   unmapping and mapping again.
//! - A page unmapped in the loaded space: `invlpg`. In a space that is not loaded and has a tag: all under
//!   that tag is forgotten at once ([`forget_all`]), by loading its word without "forget nothing" and then
//!   ours again with it; ring 0 lies in both, and interrupts are off. That needs no `invpcid`, and leaves
//!   nothing to remember for the next switch. A space without a tag is not loaded again without being
//!   forgotten, as tag 0 never has the bit.
//! - A tag gets new tables when its slot does: what it stood for before is forgotten then. In between nobody
//!   loads it. Page tables are freed only when their space is dying and not loaded, so what the processor
//!   cached of the tables themselves goes by the same two rules.
//! - Slots beyond the last tag, and processors without PCIDs, use tag 0: every switch to it forgets.

use parley_abi::PAGE;

use crate::mem::Phys;

/// Bits of the tag (PCID) in CR3.
const TAG: u64 = 0xfff;
/// In what is written to CR3: what is cached under its tag stays.
const KEEP: u64 = 1 << 63;
/// The page table in CR3. The mask is that of page-table entries: walking them has it in a register.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What CR3 is loaded with: top-level page table, tag, and whether the load forgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(transparent)]
pub struct Root(u64);

impl Root {
    /// Loading it forgets everything that has no tag and is not global.
    pub const fn untagged(table: Phys) -> Root {
        Root(table.0)
    }

    /// Tagged with `slot`, if that is a tag, and loading it forgets nothing. Only with CR4.PCIDE set.
    pub const fn tagged(table: Phys, slot: u32) -> Root {
        match slot as u64 {
            tag @ 1..=TAG => Root(table.0 | tag | KEEP),
            _ => Root::untagged(table),
        }
    }

    /// The top-level page table.
    #[inline(always)]
    pub const fn table(self) -> Phys {
        Phys(self.0 & ADDRESS)
    }
}

/// What the processor can do about its cache. The tests have another one.
pub trait Processor {
    /// Writes CR3.
    fn load(&mut self, word: u64);
    /// Forgets one page of the loaded space: `invlpg`.
    fn forget(&mut self, address: u64);
}

/// Makes `next` the loaded space.
#[inline(always)]
pub fn switch(cpu: &mut impl Processor, next: Root) {
    cpu.load(next.0);
}

/// Forgets all that is cached under the tag of `root`, which is not loaded: it got new tables, or lost
/// pages. `loaded` is, and stays so.
pub fn forget_all(cpu: &mut impl Processor, loaded: Root, root: Root) {
    if root.0 & KEEP != 0 {
        cpu.load(root.0 & !KEEP);
        cpu.load(loaded.0);
    }
}

/// `pages` pages from `address` on were unmapped in `root`.
pub fn forget(cpu: &mut impl Processor, loaded: Root, root: Root, address: u64, pages: u64) {
    if root == loaded {
        (0..pages).for_each(|page| cpu.forget(address + page * PAGE as u64));
    } else {
        forget_all(cpu, loaded, root);
    }
}

#[cfg(test)]
mod tests;
