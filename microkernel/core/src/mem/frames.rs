//! Physical page frames: a list threaded through the free frames themselves.
//!
//! Taking and giving back are a few instructions and need no memory of their own. Every frame is reached
//! through the direct map, at its physical address plus [`DIRECT`].

use parley_abi::PAGE;

/// Where all physical memory is mapped, non-executable, in every address space.
/// On the host, where the tests of this crate run, physical addresses are ordinary pointers.
pub const DIRECT: u64 = if cfg!(target_os = "none") { 0xffff_8000_0000_0000 } else { 0 };

/// Number of `u64` in a page.
pub const ENTRIES: usize = PAGE / 8;

/// A page frame, by its physical address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Phys(pub u64);

impl Phys {
    /// The address of the frame in the direct map.
    #[inline(always)]
    pub fn pointer<T>(self) -> *mut T {
        core::ptr::with_exposed_provenance_mut((self.0 + DIRECT) as usize)
    }

    /// The frame at an address in the direct map.
    pub fn of<T>(pointer: *mut T) -> Phys {
        Phys(pointer.expose_provenance() as u64 - DIRECT)
    }

    /// The frame as an array of words: a page table, or an index.
    ///
    /// # Safety
    /// The frame is owned by the caller, or by an object that the caller borrows, and no other
    /// reference to it is alive while the result is.
    #[inline(always)]
    pub unsafe fn words<'a>(self) -> &'a mut [u64; ENTRIES] {
        // SAFETY: 1. the direct map covers every frame; 2. any bit pattern is a valid `u64`; 3. the
        // caller promises exclusive use.
        unsafe { &mut *self.pointer() }
    }
}

/// All frames that nobody uses.
#[derive(Default)]
pub struct Frames {
    first: u64,
    /// Frames nobody uses.
    pub free: u64,
    /// Frames there are.
    pub total: u64,
    /// Iterations of `rep` from clearing frames; see `Counters::rep_extra`.
    pub rep_extra: u64,
}

impl Frames {
    /// Hands over the frames in `start..end` (page-aligned physical addresses).
    ///
    /// # Safety
    /// They are memory, mapped in the direct map, and nobody uses them.
    pub unsafe fn add(&mut self, start: u64, end: u64) {
        for address in (start..end).step_by(PAGE) {
            self.total += 1;
            self.put(Phys(address));
        }
    }

    /// Takes a frame with arbitrary contents.
    #[inline]
    pub fn take(&mut self) -> Option<Phys> {
        if self.first == 0 {
            return None;
        }
        let frame = Phys(self.first);
        // SAFETY: the frame is free, so it is this list's alone; its first word links to the next.
        self.first = unsafe { frame.words()[0] };
        self.free -= 1;
        Some(frame)
    }

    /// Takes a frame of zeros.
    pub fn take_zeroed(&mut self) -> Option<Phys> {
        let frame = self.take()?;
        // SAFETY: the frame was just taken, so it is ours alone.
        let words = unsafe { frame.words::<'_>() };
        self.rep_extra += crate::uaccess::clear_page(words);
        Some(frame)
    }

    /// Gives a frame back. It must have come from `take` and be in no page table any more.
    #[inline]
    pub fn put(&mut self, frame: Phys) {
        // SAFETY: the caller owned the frame and gives it up.
        unsafe { frame.words()[0] = self.first };
        self.first = frame.0;
        self.free += 1;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame list over `pages` leaked host pages.
    pub(crate) fn host_frames(pages: usize) -> Frames {
        let layout = std::alloc::Layout::from_size_align(pages * PAGE, PAGE).unwrap();
        // SAFETY: the size is not zero; the memory is leaked, so it stays valid.
        let start = unsafe { std::alloc::alloc_zeroed(layout) }.expose_provenance() as u64;
        let mut frames = Frames::default();
        // SAFETY: the memory was just allocated and is used by nobody else.
        unsafe { frames.add(start, start + (pages * PAGE) as u64) };
        frames
    }

    #[test]
    fn what_is_taken_is_gone_until_it_is_put_back() {
        let mut frames = host_frames(4);
        let taken: Vec<Phys> = core::iter::from_fn(|| frames.take()).collect();
        assert_eq!((taken.len(), frames.free), (4, 0));
        let mut unique = taken.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), 4);
        taken.into_iter().for_each(|frame| frames.put(frame));
        assert_eq!(frames.free, 4);
    }

    #[test]
    fn zeroed_frames_are_zero() {
        let mut frames = host_frames(1);
        let frame = frames.take().unwrap();
        // SAFETY: just taken.
        unsafe { frame.words::<'_>().fill(!0) };
        frames.put(frame);
        let frame = frames.take_zeroed().unwrap();
        // SAFETY: just taken.
        assert!(unsafe { frame.words::<'_>() }.iter().all(|&word| word == 0));
    }
}
