//! Memory objects: counted references to frames.
//!
//! The pages are charged when the object is made, and a frame is taken when a page is first mapped or
//! written; the charge guarantees that there is one. The frames of an object of more than one page are
//! found through an index of one page (up to 512 pages) or two levels (up to 262,144 pages, 1 GiB).

use parley_abi::{Errno, PAGE};

use crate::kernel::Core;
use crate::mem::{Cursor, ENTRIES, Frames, Object, Phys, Ref, Slab};
use crate::object::Quota;
use crate::uaccess::Claim;

/// Pages that one index page can name.
const INDEX_PAGES: u64 = ENTRIES as u64;
/// Largest object in pages.
pub const MAX_PAGES: u64 = (ENTRIES * ENTRIES) as u64;

/// Where an object's frames are.
#[derive(Clone, Copy, Default)]
enum Backing {
    /// Nothing yet.
    #[default]
    None,
    /// Physically contiguous, and not the core's to free: what the boot loader left.
    Contiguous(Phys),
    /// The frame of an object of one page, or an index page of frames, or one of index pages: by its size.
    Tree(Phys),
}

/// Frames of consecutive pages.
pub enum Run<'a> {
    /// Consecutive ones, from this on.
    From(Phys),
    /// These, until one that is 0.
    List(&'a [u64]),
}

impl Run<'_> {
    /// The frame of the page `number` pages on.
    #[inline(always)]
    pub fn frame(&self, number: usize) -> Option<Phys> {
        match self {
            Run::From(first) => Some(Phys(first.0 + (number * PAGE) as u64)),
            Run::List(list) => list.get(number).filter(|&&frame| frame != 0).map(|&frame| Phys(frame)),
        }
    }
}

/// A memory object.
#[derive(Default)]
pub struct Memory {
    /// Who pays.
    pub quota: Ref<Quota>,
    /// Size in pages.
    pub pages: u64,
    /// Handles to it.
    pub handles: u32,
    /// Regions that map it.
    pub regions: u32,
    /// It is being taken apart: nothing maps it any more.
    pub dying: bool,
    /// How far the search for its regions is.
    cursor: Cursor,
    backing: Backing,
}

impl Memory {
    /// What an object of `pages` pages costs in bytes, index pages included.
    fn cost(pages: u64) -> u64 {
        let index = match pages {
            0..=1 => 0,
            2..=INDEX_PAGES => 1,
            _ => 1 + pages.div_ceil(INDEX_PAGES),
        };
        (pages + index) * PAGE as u64 + Slab::<Memory>::COST
    }

    /// Bytes that its quota has paid for it.
    pub fn paid(&self) -> u64 {
        match self.backing {
            Backing::Contiguous(_) => Slab::<Memory>::COST,
            _ => Memory::cost(self.pages),
        }
    }

    /// The frame of page `number`, taken now if it has none yet. `None`: beyond the end, or out of frames.
    pub fn frame(&mut self, number: u64, frames: &mut Frames) -> Option<Phys> {
        if number >= self.pages {
            return None;
        }
        let root = match self.backing {
            Backing::Contiguous(first) => return Some(Phys(first.0 + number * PAGE as u64)),
            Backing::Tree(root) => root,
            Backing::None => frames.take_zeroed()?,
        };
        self.backing = Backing::Tree(root);
        let place = |level| (number / INDEX_PAGES.pow(level) % INDEX_PAGES) as usize;
        (0..self.levels()).rev().try_fold(root, |index, level| entry(index, place(level), frames))
    }

    /// Levels of index pages.
    fn levels(&self) -> u32 {
        (self.pages > 1) as u32 + (self.pages > INDEX_PAGES) as u32
    }

    /// The frames from page `number` on, as far as they are found at once.
    pub fn run(&self, number: u64) -> Run<'_> {
        let number = number as usize;
        match self.backing {
            Backing::Contiguous(first) => Run::From(Phys(first.0 + (number * PAGE) as u64)),
            Backing::Tree(root) if self.levels() > 0 => {
                let index = if self.levels() == 1 { root.0 } else { listed(root)[number / ENTRIES] };
                Run::List(if index == 0 { &[] } else { &listed(Phys(index))[number % ENTRIES..] })
            }
            _ => Run::List(&[]),
        }
    }

    /// Frees one page of frames. False: none is left.
    fn free_step(&mut self, frames: &mut Frames) -> bool {
        let Backing::Tree(root) = self.backing else { return false };
        match self.levels() {
            0 => frames.put(root),
            1 => free_index(root, frames),
            _ => match last_entry(root) {
                Some(index) => {
                    free_index(index, frames);
                    return true;
                }
                None => frames.put(root),
            },
        }
        self.backing = Backing::None;
        false
    }
}

/// An index page, to be read.
fn listed<'a>(index: Phys) -> &'a [u64; ENTRIES] {
    // SAFETY: index pages belong to their memory object alone, which the caller borrows for as long as it reads.
    unsafe { index.words() }
}

/// Entry `number` of an index page, made if it is missing.
fn entry(index: Phys, number: usize, frames: &mut Frames) -> Option<Phys> {
    // SAFETY: index pages belong to their memory object alone, which the caller borrows exclusively.
    let slot = unsafe { &mut index.words()[number] };
    if *slot == 0 {
        *slot = frames.take_zeroed()?.0;
    }
    Some(Phys(*slot))
}

/// Takes the last entry out of an index page.
fn last_entry(index: Phys) -> Option<Phys> {
    // SAFETY: as `entry`.
    let slot = unsafe { index.words() }.iter_mut().rev().find(|slot| **slot != 0)?;
    Some(Phys(core::mem::take(slot)))
}

fn free_index(index: Phys, frames: &mut Frames) {
    // SAFETY: as `entry`.
    for &frame in unsafe { index.words() }.iter().filter(|&&frame| frame != 0) {
        frames.put(Phys(frame));
    }
    frames.put(index);
}

impl Object for Memory {
    const WINDOW: u64 = 6;
}

impl Core {
    /// Makes an object of `pages` pages of zeros. EINVAL: none, or too many. ENOMEM.
    pub fn create_memory(&mut self, quota: Ref<Quota>, pages: u64) -> Result<Ref<Memory>, Errno> {
        if pages == 0 || pages > MAX_PAGES {
            return Err(Errno::EINVAL);
        }
        self.insert_memory(quota, pages, Backing::None)
    }

    /// Makes an object of memory that the boot loader filled; its frames are never freed.
    pub fn adopt_memory(&mut self, quota: Ref<Quota>, first: Phys, pages: u64) -> Result<Ref<Memory>, Errno> {
        self.insert_memory(quota, pages, Backing::Contiguous(first))
    }

    fn insert_memory(&mut self, quota: Ref<Quota>, pages: u64, backing: Backing) -> Result<Ref<Memory>, Errno> {
        let memory = Memory { quota, pages, backing, ..Memory::default() };
        self.quotas.pay_for(quota, memory.paid(), &mut self.memories, &mut self.frames, |slot| *slot = memory)
    }

    /// Frees an object that nothing refers to any more.
    pub fn release_memory(&mut self, at: Ref<Memory>) {
        if self.memories.get(at).is_some_and(|memory| memory.handles == 0 && memory.regions == 0) {
            self.doom_memory(at);
        }
    }

    /// Takes an object apart, a step at a time, though it may still be mapped.
    pub fn destroy_memory_step(&mut self, at: Ref<Memory>) {
        let memory = &mut self.memories[at];
        memory.dying = true;
        if memory.regions == 0 {
            self.free_memory_step(at);
            return;
        }
        let mut cursor = memory.cursor;
        let seen = cursor.step(&self.regions, |region| region.memory == at);
        if !seen.act(|region| self.unmap_region_step(region)) {
            // A region that was split has its second half anywhere.
            cursor = Cursor::default();
        }
        if let Some(memory) = self.memories.get_mut(at) {
            memory.cursor = cursor;
        }
    }

    /// Frees up to 512 frames of an object, and with the last of them the object. False: it is gone.
    pub fn free_memory_step(&mut self, at: Ref<Memory>) -> bool {
        let Some(memory) = self.memories.get_mut(at) else { return false };
        if memory.free_step(&mut self.frames) {
            return true;
        }
        let (quota, cost) = (memory.quota, memory.paid());
        self.forget_memory(at);
        self.quotas.refund(quota, cost);
        false
    }

    /// Copies between user memory and one page of an object, from `offset` on: at most to the end of the
    /// page. Returns the bytes copied. EINVAL: beyond the end. EFAULT. ENOMEM.
    pub fn copy_memory(&mut self, at: Ref<Memory>, offset: u64, user: Claim, write: bool) -> Result<u64, Errno> {
        let memory = self.memories.get_mut(at).ok_or(Errno::EBADF)?;
        if offset / PAGE as u64 >= memory.pages {
            return Err(Errno::EINVAL);
        }
        let frame = memory.frame(offset / PAGE as u64, &mut self.frames).ok_or(Errno::ENOMEM)?;
        let from = offset as usize % PAGE;
        // SAFETY: the frame belongs to the object; ring 3 may map it as well, but it does not run now.
        let page: &mut [u8] = unsafe { core::slice::from_raw_parts_mut(frame.pointer(), PAGE) };
        let copied = match write {
            true => user.copy_in(&mut page[from..], &mut self.leaves[0]),
            false => user.copy_out(&page[from..], &mut self.leaves[0]),
        }?;
        self.count_copy(copied);
        Ok(copied.bytes as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::tests::host_frames;

    #[test]
    fn frames_are_found_again_and_all_given_back() {
        for pages in [1, 2, 511, 512, 513, 1025] {
            let mut frames = host_frames(1100);
            let before = frames.free;
            let mut memory = Memory { pages, ..Memory::default() };
            let found: Vec<Phys> = (0..pages).map(|number| memory.frame(number, &mut frames).unwrap()).collect();
            let again: Vec<Phys> = (0..pages).map(|number| memory.frame(number, &mut frames).unwrap()).collect();
            assert_eq!(found, again);
            assert_eq!(memory.frame(pages, &mut frames), None);
            assert!((before - frames.free) * PAGE as u64 + Slab::<Memory>::COST <= Memory::cost(pages));
            while memory.free_step(&mut frames) {}
            assert_eq!(frames.free, before);
        }
    }
}
