//! Regions: which memory object an address space shows where.

use parley_abi::{Errno, PAGE, Rights, USER_END, USER_START, prot};

use crate::arch::paging;
use crate::arch::tlb;
use crate::kernel::Core;
use crate::mem::{Object, Ref, Slab};
use crate::object::{Memory, Space};

/// How far a mapping is.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Progress {
    /// All of it is there.
    #[default]
    Complete,
    /// More pages are to come.
    Growing,
    /// There was no memory for all of it: what is there is taken away again.
    Failed,
}

/// A run of pages of one memory object, mapped with one protection.
///
/// One that ring 3 wishes to have is one that is in no table yet.
#[derive(Clone, Copy, Default)]
pub struct Region {
    /// The address space.
    pub space: Ref<Space>,
    /// The memory object.
    pub memory: Ref<Memory>,
    /// First address.
    pub address: u64,
    /// Pages that are mapped so far, or are to be.
    pub pages: u64,
    /// Page of the object that lies at `address`.
    pub first: u64,
    /// Protection bits.
    pub prot: u64,
    /// How far a mapping is that takes several steps.
    pub(crate) progress: Progress,
}

/// Regions an address space may have: the list is walked, and walking is bounded.
const MAX_REGIONS: usize = 256;
/// Pages that one step maps or unmaps, so that no step is long.
const STEP: u64 = 8;
/// Pages that one step maps where frames and page table are there: a few instructions each.
const RUN: u64 = 256;

impl Region {
    fn end(&self) -> u64 {
        self.address + self.pages * PAGE as u64
    }

    /// EINVAL: unaligned, outside the user half, empty, or writable and executable at once.
    fn check(&self) -> Result<(), Errno> {
        let len = self.pages.checked_mul(PAGE as u64).ok_or(Errno::EINVAL)?;
        let end = self.address.checked_add(len).ok_or(Errno::EINVAL)?;
        let known = prot::READ | prot::WRITE | prot::EXECUTE;
        let both = prot::WRITE | prot::EXECUTE;
        let fine = self.address.is_multiple_of(PAGE as u64)
            && self.pages > 0
            && self.address >= USER_START
            && end <= USER_END
            && self.prot & !known == 0
            && self.prot & both != both;
        if fine { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// The rights that the memory handle must have.
    pub fn rights(&self) -> Rights {
        let mut rights = Rights::READ;
        rights.set(Rights::WRITE, self.prot & prot::WRITE != 0);
        rights.set(Rights::EXECUTE, self.prot & prot::EXECUTE != 0);
        rights
    }
}

impl Object for Region {
    const WINDOW: u64 = 7;
}

impl Core {
    /// Maps up to [`STEP`] pages of the wish, or up to [`RUN`]. Returns how many are still to be mapped: the caller restarts
    /// its call with the rest. EINVAL. EEXIST: something is mapped there. ENOMEM.
    pub fn map_step(&mut self, wish: Region) -> Result<u64, Errno> {
        wish.check()?;
        let memory = self.memories.get(wish.memory).filter(|memory| !memory.dying).ok_or(Errno::EBADF)?;
        if wish.first.checked_add(wish.pages).is_none_or(|end| end > memory.pages) {
            return Err(Errno::EINVAL);
        }
        if let Some(failed) = self.failed_region(&wish) {
            self.unmap_region_step(failed);
            return self.regions.get(failed).map(|_| wish.pages).ok_or(Errno::ENOMEM);
        }
        let region = self.region_for(&wish)?;
        let run = self.map_run(&wish);
        self.regions[region].pages += run;
        let pages = if run == 0 { wish.pages.min(STEP) } else { run };
        for number in run..pages {
            if let Err(errno) = self.map_page(&wish, number) {
                self.regions[region].progress = Progress::Failed;
                return match self.regions[region].pages {
                    0 => {
                        self.drop_region_if_empty(region);
                        Err(errno)
                    }
                    _ => Ok(wish.pages),
                };
            }
            self.regions[region].pages += 1;
        }
        let left = wish.pages - pages;
        self.regions[region].progress = if left == 0 { Progress::Complete } else { Progress::Growing };
        Ok(left)
    }

    /// The region of this wish, if it has turned out that it can't be mapped whole.
    fn failed_region(&self, wish: &Region) -> Option<Ref<Region>> {
        let failed = |region: &Region| region.progress == Progress::Failed && region.memory == wish.memory;
        self.spaces[wish.space].regions.iter(&self.regions).find(|&at| failed(&self.regions[at]))
    }

    /// The region that the wish continues, or a new one.
    fn region_for(&mut self, wish: &Region) -> Result<Ref<Region>, Errno> {
        let end = wish.address + wish.pages * PAGE as u64;
        let (mut count, mut continued) = (0, None);
        for at in self.spaces[wish.space].regions.iter(&self.regions) {
            let region = &self.regions[at];
            if region.address < end && wish.address < region.end() {
                return Err(Errno::EEXIST);
            }
            if region.progress == Progress::Growing
                && region.end() == wish.address
                && region.memory == wish.memory
                && region.prot == wish.prot
                && region.first + region.pages == wish.first
            {
                continued = Some(at);
            }
            count += 1;
        }
        match continued {
            Some(region) => Ok(region),
            None if count >= MAX_REGIONS => Err(Errno::ENOMEM),
            None => self.insert_region(wish),
        }
    }

    fn insert_region(&mut self, wish: &Region) -> Result<Ref<Region>, Errno> {
        let space = &mut self.spaces[wish.space];
        let region = Region { pages: 0, progress: Progress::Complete, ..*wish };
        let cost = Slab::<Region>::COST;
        let at = self.quotas.pay_for(space.quota, cost, &mut self.regions, &mut self.frames, |slot| *slot = region)?;
        space.regions.push_front(&mut self.regions, at);
        self.memories[wish.memory].regions += 1;
        Ok(at)
    }

    /// Maps as many pages as have frames that lie in one list, and a page table. Returns how many.
    fn map_run(&mut self, wish: &Region) -> u64 {
        let root = self.spaces[wish.space].root.table();
        let Some(table) = paging::last_table(root, wish.address) else { return 0 };
        let run = self.memories[wish.memory].run(wish.first);
        let frames = (0..wish.pages.min(RUN)).map_while(|number| run.frame(number as usize));
        paging::map_run(table, wish.address, frames, paging::user_flags(wish.prot))
    }

    fn map_page(&mut self, wish: &Region, number: u64) -> Result<(), Errno> {
        let memory = &mut self.memories[wish.memory];
        let frame = memory.frame(wish.first + number, &mut self.frames).ok_or(Errno::ENOMEM)?;
        let space = &mut self.spaces[wish.space];
        let (quotas, frames, tables, quota) = (&mut self.quotas, &mut self.frames, &mut space.page_tables, space.quota);
        let mut take = || {
            let table = quotas.buy_page(quota, frames).ok()?;
            *tables += 1;
            Some(table)
        };
        let flags = paging::user_flags(wish.prot);
        let address = wish.address + number * PAGE as u64;
        paging::map(space.root.table(), address, frame, flags, &mut take)
    }

    /// Unmaps up to [`STEP`] pages in `address..end`. False: nothing is mapped there any more.
    /// ENOMEM: a region would have to be split, and there is no memory for the second half.
    pub fn unmap_step(&mut self, space: Ref<Space>, address: u64, end: u64) -> Result<bool, Errno> {
        let mut next = self.spaces[space].regions.first();
        while let Some(region) = self.regions.get(next) {
            let at = next;
            next = self.regions.links(at).next;
            if region.pages == 0 {
                self.drop_region_if_empty(at);
            } else if region.address < end && address < region.end() {
                self.unmap_part(at, address, end)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Unmaps part of a region: from its front if the range covers that, else from its end, else it
    /// splits off the part behind the range first.
    fn unmap_part(&mut self, at: Ref<Region>, address: u64, end: u64) -> Result<(), Errno> {
        let region = &self.regions[at];
        let (start, last) = (region.address.max(address), region.end().min(end));
        if last < region.end() && start > region.address {
            return self.split(at, last);
        }
        let pages = ((last - start) / PAGE as u64).min(STEP);
        if start == region.address {
            self.unmap_front(at, pages);
        } else {
            self.unmap_back(at, pages);
        }
        Ok(())
    }

    fn split(&mut self, at: Ref<Region>, address: u64) -> Result<(), Errno> {
        let all = self.spaces[self.regions[at].space].regions.iter(&self.regions);
        if all.count() >= MAX_REGIONS {
            return Err(Errno::ENOMEM);
        }
        let Region { space, memory, first, prot, .. } = self.regions[at];
        let front = (address - self.regions[at].address) / PAGE as u64;
        let behind = self.regions[at].pages - front;
        let wish = Region { space, memory, address, first: first + front, pages: behind, prot, ..Region::default() };
        let second = self.insert_region(&wish)?;
        self.regions[second].pages = behind;
        self.regions[at].pages = front;
        Ok(())
    }

    fn unmap_front(&mut self, at: Ref<Region>, pages: u64) {
        let Region { space, address, .. } = self.regions[at];
        self.unmap_pages(space, address, pages);
        let region = &mut self.regions[at];
        region.address += pages * PAGE as u64;
        region.first += pages;
        region.pages -= pages;
        self.drop_region_if_empty(at);
    }

    fn unmap_back(&mut self, at: Ref<Region>, pages: u64) {
        let (space, end) = (self.regions[at].space, self.regions[at].end());
        self.unmap_pages(space, end - pages * PAGE as u64, pages);
        self.regions[at].pages -= pages;
        self.drop_region_if_empty(at);
    }

    fn unmap_pages(&mut self, space: Ref<Space>, address: u64, pages: u64) {
        let root = self.spaces[space].root;
        for page in 0..pages {
            paging::unmap(root.table(), address + page * PAGE as u64);
        }
        tlb::forget(&mut paging::Cpu, self.root, root, address, pages);
    }

    /// Unmaps a step's worth of a region; it is gone when nothing is left of it.
    pub fn unmap_region_step(&mut self, at: Ref<Region>) {
        let pages = self.regions[at].pages.min(STEP * 8);
        self.unmap_front(at, pages);
    }

    fn drop_region_if_empty(&mut self, at: Ref<Region>) {
        let Region { space, memory, pages, .. } = self.regions[at];
        if pages > 0 {
            return;
        }
        self.spaces[space].regions.remove(&mut self.regions, at);
        self.regions.remove(at);
        self.quotas.refund(self.spaces[space].quota, Slab::<Region>::COST);
        if let Some(memory) = self.memories.get_mut(memory) {
            memory.regions -= 1;
        }
        self.release_memory(memory);
    }
}
