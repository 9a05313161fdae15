//! The physical memory map: who owns which bytes, and where there is room.
//!
//! One list serves as allocator and as the answer to the kernel's memory map request, so the two cannot disagree.
//! Usable and claimed regions are page-aligned and disjoint; what the firmware reserved is listed as it said.

use heapless::Vec;

use crate::{BootError, PAGE, page_down, page_up};

/// Room in the map. QEMU reports about ten regions, the loader adds about ten.
pub const MAX_REGIONS: usize = 128;

/// Nothing is allocated below: the firmware's data and the start info are there until the kernel runs.
const FLOOR: u64 = 1 << 20;
/// Nothing is allocated above: the loader's own page tables end there.
const CEILING: u64 = 4 << 30;

/// A half-open range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// First byte after it.
    pub end: u64,
}

impl Span {
    /// Length in bytes; 0 where the bounds are crossed.
    #[must_use]
    pub const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether it holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The whole pages inside.
    const fn shrunk(self) -> Self {
        let start = match page_up(self.start) {
            Some(start) => start,
            None => self.end,
        };
        Self { start, end: page_down(self.end) }
    }

    /// The pages it touches. The very last page of the address space cannot be named and is left out.
    const fn grown(self) -> Self {
        let end = match page_up(self.end) {
            Some(end) => end,
            None => page_down(u64::MAX),
        };
        Self { start: page_down(self.start), end }
    }
}

/// What a region is. The numbers are the protocol's memory map types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// Free memory.
    Usable = 0,
    /// Device or firmware memory.
    Reserved = 1,
    /// ACPI tables.
    AcpiReclaimable = 2,
    /// ACPI non-volatile storage.
    AcpiNvs = 3,
    /// Faulty memory.
    Bad = 4,
    /// The loader's own: free once the kernel needs none of it.
    Loader = 5,
    /// The loaded kernel and its modules.
    Kernel = 6,
    /// The outer archive: free as soon as its entries are copied. Never reported.
    Initrd = u64::MAX,
}

/// What the firmware says of a range, unaligned and in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// The range.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// One entry of the finished map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The range.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// Proof that a span was free and now belongs to the holder alone. Only [`MemoryMap::allocate`] makes one.
#[derive(Debug)]
pub struct Claim {
    span: Span,
}

impl Claim {
    /// The claimed bytes, whole pages between 1 MiB and 4 GiB.
    #[must_use]
    pub const fn span(&self) -> Span {
        self.span
    }
}

/// Lends claimed memory as bytes: physical memory in the loader, the heap in tests.
pub trait Frames<'m> {
    /// The bytes of `claim`, with whatever they held before.
    fn lend(&mut self, claim: Claim) -> &'m mut [u8];
}

/// The map. It cannot be cloned: two copies could each claim the same frames.
#[derive(Debug)]
pub struct MemoryMap {
    regions: Vec<Region, MAX_REGIONS>,
}

impl MemoryMap {
    /// Builds the map from the firmware's, where reserved ranges win over usable ones and page 0 is never usable.
    ///
    /// # Errors
    /// [`BootError::TooMany`] for more than [`MAX_REGIONS`] regions.
    pub fn from_firmware(entries: impl Iterator<Item = Firmware> + Clone) -> Result<Self, BootError> {
        let mut map = Self { regions: Vec::new() };
        for entry in entries.clone().filter(|entry| entry.kind == Kind::Usable) {
            let span = entry.span.shrunk();
            map.mark(Span { start: span.start.max(PAGE), ..span }, Kind::Usable)?;
        }
        for entry in entries.filter(|entry| entry.kind != Kind::Usable && !entry.span.is_empty()) {
            map.cut(entry.span.grown())?;
            map.push(entry.span, entry.kind)?;
        }
        Ok(map)
    }

    /// The regions, by ascending address.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Takes the pages of `span` out of what is usable and lists them as `kind`. Marking is for what is in use before
    /// the loader runs; it must come before the first allocation.
    ///
    /// # Errors
    /// [`BootError::TooMany`] where the map is full.
    pub fn mark(&mut self, span: Span, kind: Kind) -> Result<(), BootError> {
        let span = span.grown();
        if span.is_empty() {
            return Ok(());
        }
        self.cut(span)?;
        self.push(span, kind)
    }

    /// Claims the lowest `bytes` (rounded up to pages) that are free, for `what`, and lists them as `kind`.
    ///
    /// # Errors
    /// [`BootError::OutOfMemory`] where no region is large enough, [`BootError::TooMany`] where the map is full.
    pub fn allocate(&mut self, bytes: u64, kind: Kind, what: &'static str) -> Result<Claim, BootError> {
        let none = BootError::OutOfMemory { what, bytes };
        let size = page_up(bytes.max(1)).ok_or(none)?;
        let start = self.lowest_room(size).ok_or(none)?;
        let span = Span { start, end: start + size };
        self.mark(span, kind)?;
        Ok(Claim { span })
    }

    /// Frees the outer archive and joins equal neighbours: the form that the kernel gets to see.
    pub fn finish(&mut self) {
        for region in self.regions.iter_mut().filter(|region| region.kind == Kind::Initrd) {
            region.kind = Kind::Usable;
        }
        let mut joined: Vec<Region, MAX_REGIONS> = Vec::new();
        for &region in &self.regions {
            match joined.last_mut() {
                Some(last) if last.kind == region.kind && last.span.end == region.span.start => {
                    last.span.end = region.span.end;
                }
                // There is room: the new list is never longer than the old one.
                _ => joined.extend([region]),
            }
        }
        self.regions = joined;
    }

    fn lowest_room(&self, size: u64) -> Option<u64> {
        let usable = self.regions.iter().filter(|region| region.kind == Kind::Usable);
        usable
            .map(|region| Span { start: region.span.start.max(FLOOR), end: region.span.end.min(CEILING) })
            .find(|room| room.len() >= size)
            .map(|room| room.start)
    }

    /// Removes `hole` from every usable region, which may split one in two.
    fn cut(&mut self, hole: Span) -> Result<(), BootError> {
        let mut at = 0;
        while let Some(&Region { span, kind }) = self.regions.get(at) {
            if kind != Kind::Usable || hole.start >= span.end || hole.end <= span.start {
                at += 1;
                continue;
            }
            self.regions.remove(at);
            for rest in [Span { end: hole.start, ..span }, Span { start: hole.end, ..span }] {
                if !rest.is_empty() {
                    self.push(rest, Kind::Usable)?;
                }
            }
        }
        Ok(())
    }

    /// Inserts a region in order of address.
    fn push(&mut self, span: Span, kind: Kind) -> Result<(), BootError> {
        let at = self.regions.partition_point(|region| region.span.start < span.start);
        self.regions
            .insert(at, Region { span, kind })
            .map_err(|_| BootError::TooMany { what: "memory regions", limit: MAX_REGIONS })
    }
}

#[cfg(test)]
mod tests;
