//! Builds the page tables that the kernel is entered with.
//!
//! Two things are mapped, both in the higher half: all memory at the direct map (2 MiB pages, every permission, as the
//! protocol says) and the kernel (4 KiB pages, its segments' permissions). The lower half stays empty, which base
//! revision 1 allows, so that a stray null pointer in early kernel code faults at once.
//!
//! Formats: Intel SDM volume 3A, section 4.5.

use crate::{
    BootError, PAGE,
    image::Plan,
    memory::{Kind, Region, Span},
    protocol::{HHDM, HHDM_MINIMUM},
};

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const LARGE_PAGE: u64 = 2 << 20;
const ENTRIES: usize = 512;
/// The direct map may fill the higher half up to the last 512 GiB, where the kernel is.
const HHDM_MAXIMUM: u64 = 255 << 39;

/// A tree of page tables under construction, in one contiguous piece of memory.
pub struct PageTables<'m> {
    words: &'m mut [[u8; 8]],
    base: u64,
    used: usize,
}

impl<'m> PageTables<'m> {
    /// An empty tree in `bytes`, which lie at page-aligned physical address `base`.
    ///
    /// # Errors
    /// [`BootError::Internal`] where not even the root fits.
    pub fn new(bytes: &'m mut [u8], base: u64) -> Result<Self, BootError> {
        let mut tables = Self { words: bytes.as_chunks_mut().0, base, used: 0 };
        tables.add_table()?;
        Ok(tables)
    }

    /// Physical address of the root, for CR3.
    #[must_use]
    pub const fn root(&self) -> u64 {
        self.base
    }

    /// Maps the direct map over `spans` (of physical addresses, widened to 2 MiB).
    ///
    /// # Errors
    /// [`BootError::Internal`] where the tables run out.
    pub fn map_direct(&mut self, spans: impl Iterator<Item = Span>) -> Result<(), BootError> {
        for span in spans {
            for address in (widened(span).start..widened(span).end).step_by(LARGE_PAGE as usize) {
                self.map(HHDM + address, 2, address | PRESENT | WRITABLE | LARGE)?;
            }
        }
        Ok(())
    }

    /// Maps the kernel's segments, which were loaded from physical address `base` on.
    ///
    /// # Errors
    /// [`BootError::Internal`] where the tables run out.
    pub fn map_kernel(&mut self, plan: &Plan, base: u64) -> Result<(), BootError> {
        for segment in &plan.segments {
            let write = if segment.writable { WRITABLE } else { 0 };
            let execute = if segment.executable { 0 } else { NO_EXECUTE };
            for address in (segment.pages.start..segment.pages.end).step_by(PAGE as usize) {
                let frame = base + (address - plan.span.start);
                self.map(address, 1, frame | PRESENT | write | execute)?;
            }
        }
        Ok(())
    }

    /// Writes `entry` for virtual `address` into its table of `level` (4 is the root), making the tables above it.
    fn map(&mut self, address: u64, level: u32, entry: u64) -> Result<(), BootError> {
        let mut table = 0;
        for above in (level + 1..=4).rev() {
            table = self.descend(table + index(address, above))?;
        }
        self.words[table + index(address, level)] = entry.to_le_bytes();
        Ok(())
    }

    /// The first slot of the table that `slot` points to, made if there is none.
    fn descend(&mut self, slot: usize) -> Result<usize, BootError> {
        let entry = u64::from_le_bytes(self.words[slot]);
        if entry & PRESENT != 0 {
            return Ok(((entry & ADDRESS) - self.base) as usize / 8);
        }
        let table = self.add_table()?;
        let entry = (self.base + table as u64 * 8) | PRESENT | WRITABLE;
        self.words[slot] = entry.to_le_bytes();
        Ok(table)
    }

    fn add_table(&mut self) -> Result<usize, BootError> {
        let start = self.used;
        let table = self.words.get_mut(start..start + ENTRIES).ok_or(BootError::Internal("page tables"))?;
        table.as_flattened_mut().fill(0);
        self.used += ENTRIES;
        Ok(start)
    }
}

/// What the direct map covers: the first 4 GiB, and beyond it every region but reserved and faulty ones.
///
/// # Errors
/// [`BootError::OutOfReach`] where memory lies above what the direct map can hold.
pub fn direct_spans(regions: &[Region]) -> Result<impl Iterator<Item = Span> + Clone, BootError> {
    let mapped = |region: &&Region| !matches!(region.kind, Kind::Reserved | Kind::Bad);
    if let Some(far) = regions.iter().filter(mapped).find(|region| region.span.end > HHDM_MAXIMUM) {
        return Err(BootError::OutOfReach { what: "memory region", address: far.span.start });
    }
    let high = |region: &Region| Span { start: region.span.start.max(HHDM_MINIMUM), end: region.span.end };
    let beyond = regions.iter().filter(mapped).map(high).filter(|span| !span.is_empty());
    Ok(core::iter::once(Span { start: 0, end: HHDM_MINIMUM }).chain(beyond))
}

/// Room for a tree over `direct` and a kernel at `kernel`, in bytes; a little too much rather than too little.
#[must_use]
pub fn bytes_needed(direct: impl Iterator<Item = Span>, kernel: Span) -> u64 {
    let touched = |span: Span, shift: u32| ((span.end - 1) >> shift) - (span.start >> shift) + 1;
    let hhdm: u64 = direct.map(widened).map(|span| touched(span, 30) + touched(span, 39)).sum();
    let kernel: u64 = [21, 30, 39].map(|shift| touched(kernel, shift)).iter().sum();
    (1 + hhdm + kernel) * PAGE
}

const fn widened(span: Span) -> Span {
    Span { start: span.start & !(LARGE_PAGE - 1), end: span.end.next_multiple_of(LARGE_PAGE) }
}

/// The slot of `address` in a table of `level`.
const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1))) as usize % ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{ElfSegment, Walk, elf, walk};

    const BASE: u64 = 0x20_0000;

    #[test]
    fn maps_memory_beyond_4_gib_but_no_reserved_region() {
        let region = |start, end, kind| Region { span: Span { start, end }, kind };
        let regions = [region(5 << 30, (5 << 30) + PAGE, Kind::Usable), region(1012 << 30, 1024 << 30, Kind::Reserved)];
        let spans = direct_spans(&regions).unwrap();
        let kernel = Span { start: HHDM, end: HHDM + PAGE };
        let mut bytes = vec![0xff; bytes_needed(spans.clone(), kernel) as usize];
        PageTables::new(&mut bytes, BASE).unwrap().map_direct(spans).unwrap();
        for address in [0, 0x1234, (4 << 30) - 1, (5 << 30) + 8] {
            let want = Walk { physical: address, writable: true, executable: true };
            assert_eq!(walk(&bytes, BASE, BASE, HHDM + address), Some(want));
        }
        for address in [0x1000, HHDM + (4 << 30), HHDM + (1012 << 30)] {
            assert_eq!(walk(&bytes, BASE, BASE, address), None);
        }
    }

    #[test]
    fn kernel_pages_have_their_segments_permissions() {
        let at = |offset: u64| 0xffff_ffff_bfff_f000 + offset;
        let one = |offset, flags| ElfSegment { address: at(offset), memory: 0x1001, flags, data: &[1] };
        let file = elf(at(0), &[one(0, 5), one(0x3000, 4), one(0x5000, 6)]);
        let plan = Plan::new(&file).unwrap();
        let mut bytes = vec![0; bytes_needed(core::iter::empty(), plan.span) as usize];
        PageTables::new(&mut bytes, BASE).unwrap().map_kernel(&plan, 0x40_0000).unwrap();
        let look = |offset| walk(&bytes, BASE, BASE, at(offset)).map(|w| (w.physical, w.writable, w.executable));
        assert_eq!(look(0x1fff), Some((0x40_1fff, false, true)));
        assert_eq!(look(0x2000), None);
        assert_eq!(look(0x3000), Some((0x40_3000, false, false)));
        assert_eq!(look(0x6001), Some((0x40_6001, true, false)));
    }

    #[test]
    fn running_out_of_tables_is_an_error() {
        let mut bytes = vec![0; 2 * PAGE as usize];
        let mut tables = PageTables::new(&mut bytes, BASE).unwrap();
        let all = Span { start: 0, end: HHDM_MINIMUM };
        assert_eq!(tables.map_direct(core::iter::once(all)), Err(BootError::Internal("page tables")));
        assert!(PageTables::new(&mut [], BASE).is_err());
    }

    #[test]
    fn memory_beyond_the_higher_half_is_refused() {
        let far = Region { span: Span { start: 0, end: 1 << 50 }, kind: Kind::Usable };
        assert!(direct_spans(&[far]).is_err());
    }
}
