//! Handles and the table that holds them: the only names ring 3 has for anything.

use core::ptr::NonNull;

use parley_abi::slot::{END, FD_END, FREE};
use parley_abi::{Errno, PAGE, Rights, kind};

use crate::mem::{Frames, Phys, Ref};

/// A free slot.
pub const NOTHING: u8 = 0;
/// A slot that is kept for the reply of a request in progress.
pub const RESERVED: u8 = 0xff;

/// One entry of a handle table. The entry code reads the rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Handle {
    /// [`NOTHING`], [`RESERVED`], or a kind of [`parley_abi::call::kind`].
    pub kind: u8,
    /// [`Rights`]; the entry code reads them.
    pub rights: u8,
    /// Dropped by exec.
    pub close_on_exec: bool,
    /// Of a thread: the most urgent priority that it can be given with this handle.
    pub ceiling: u8,
    object: Ref<()>,
}

impl Handle {
    /// A handle of `kind` to `object`. The entry code relies on it that only a connection can be called, and only an
    /// endpoint received from: other kinds do not get these rights.
    pub fn new<T>(kind: u8, object: Ref<T>, rights: Rights) -> Handle {
        let others = match kind {
            kind::CONNECTION => Rights::RECEIVE,
            kind::ENDPOINT => Rights::CALL,
            _ => Rights::CALL | Rights::RECEIVE,
        };
        Handle { kind, rights: rights.difference(others).bits(), object: object.cast(), ..Handle::default() }
    }

    /// What it allows.
    pub fn rights(&self) -> Rights {
        Rights::from_bits_retain(self.rights)
    }

    /// The object, if the handle is of this kind and has these rights. EBADF, EPERM.
    #[inline(always)]
    pub fn object<T>(&self, kind: u8, rights: Rights) -> Result<Ref<T>, Errno> {
        if self.kind != kind {
            return Err(Errno::EBADF);
        }
        if self.rights & rights.bits() != rights.bits() {
            return Err(Errno::EPERM);
        }
        Ok(self.reference())
    }

    /// The object, whatever kind it is said to be.
    pub fn reference<T>(&self) -> Ref<T> {
        self.object.cast()
    }

    /// The same with only those rights that `keep` has as well, and no higher a ceiling.
    pub fn narrowed(self, (keep, ceiling): (Rights, u8)) -> Handle {
        Handle { rights: self.rights & keep.bits(), ceiling: self.ceiling.min(ceiling), ..self }
    }
}

/// Handles in a page of a table.
pub const PER_PAGE: usize = PAGE / size_of::<Handle>();
/// Pages of a full table.
const PAGES: usize = END as usize / PER_PAGE;

/// The page of slots that no page has been added for: nothing is in them, and nothing is ever put there.
static EMPTY: Page = Page(
    [const { Handle { kind: NOTHING, rights: 0, close_on_exec: false, ceiling: 0, object: Ref::NONE } }; PER_PAGE],
);

#[repr(C, align(4096))]
struct Page([Handle; PER_PAGE]);

/// The handles of one address space. Pages are added as they are needed, so it grows in place.
pub struct Handles {
    /// What they lie in; the entry code reads it.
    pub pages: [NonNull<Handle>; PAGES],
    used: [u64; END as usize / 64],
}

fn empty() -> NonNull<Handle> {
    NonNull::from(&EMPTY.0).cast()
}

impl Default for Handles {
    fn default() -> Self {
        Handles { pages: [empty(); PAGES], used: [0; END as usize / 64] }
    }
}

impl Handles {
    /// Address of the list of pages. A space's slot never moves.
    pub fn pages_at(&self) -> u64 {
        self.pages.as_ptr().expose_provenance() as u64
    }

    /// The handle in `slot`, which may be [`NOTHING`]. `None`: there is no such slot.
    #[inline(always)]
    pub fn get(&self, slot: u32) -> Option<&Handle> {
        let page = *self.pages.get(slot as usize / PER_PAGE)?;
        // SAFETY: 1. the page belongs to this table or is the empty one, holds `PER_PAGE` handles, and was zeroed, which is a
        // valid handle; 2. the remainder is below `PER_PAGE`; 3. `self` is borrowed, and only `get_mut`,
        // which borrows it exclusively, changes the page.
        Some(unsafe { page.add(slot as usize % PER_PAGE).as_ref() })
    }

    fn get_mut(&mut self, slot: u32) -> Option<&mut Handle> {
        let page = *self.pages.get(slot as usize / PER_PAGE).filter(|&&page| page != empty())?;
        // SAFETY: as `get`; `self` is borrowed exclusively, and the page is not the shared one.
        Some(unsafe { page.add(slot as usize % PER_PAGE).as_mut() })
    }

    /// Puts a handle into `slot`, whose page must be there, and returns what was in it.
    #[inline(always)]
    pub fn put(&mut self, slot: u32, handle: Handle) -> Handle {
        let Some(place) = self.get_mut(slot) else { return Handle::default() };
        let old = core::mem::replace(place, handle);
        let bit = 1 << (slot % 64);
        match handle.kind {
            NOTHING => self.used[slot as usize / 64] &= !bit,
            _ => self.used[slot as usize / 64] |= bit,
        }
        old
    }

    /// Drops handles by exec, or finds out what is open: the slots in use from `from` on.
    pub fn next_used(&self, from: u32) -> Option<u32> {
        self.search(from, END, |used| used)
    }

    /// The first slot from `from` to `end` whose bit is set in what is made of the words of used ones.
    #[inline(always)]
    fn search(&self, from: u32, end: u32, make: impl Fn(u64) -> u64) -> Option<u32> {
        let mut slot = from;
        while slot < end {
            let rest = make(self.used[slot as usize / 64]) >> (slot % 64);
            if rest != 0 {
                return Some(slot + rest.trailing_zeros()).filter(|&found| found < end);
            }
            slot = (slot / 64 + 1) * 64;
        }
        None
    }

    /// The lowest free file descriptor. EMFILE.
    #[inline(always)]
    pub fn free_descriptor(&self) -> Result<u32, Errno> {
        self.search(0, FD_END, |used| !used).ok_or(Errno::EMFILE)
    }

    /// The lowest free slot above the well-known ones. EMFILE.
    pub fn free_slot(&self) -> Result<u32, Errno> {
        self.search(FREE, END, |used| !used).ok_or(Errno::EMFILE)
    }

    /// Whether `slot` needs a page before a handle can be put there. EBADF: no such slot.
    pub fn needs_page(&self, slot: u32) -> Result<bool, Errno> {
        self.pages.get(slot as usize / PER_PAGE).map(|&page| page == empty()).ok_or(Errno::EBADF)
    }

    /// Adds the page that holds `slot`: zeros, and the table's own.
    pub fn add_page(&mut self, slot: u32, page: Phys) {
        self.pages[slot as usize / PER_PAGE] = NonNull::new(page.pointer()).unwrap_or_else(empty);
    }

    /// Gives one page back. False: none is left. The handles in it have been dropped.
    pub fn free_page(&mut self, frames: &mut Frames) -> bool {
        match self.pages.iter_mut().find(|page| **page != empty()) {
            Some(page) => {
                frames.put(Phys::of(core::mem::replace(page, empty()).as_ptr()));
                true
            }
            None => false,
        }
    }
}

const _: () = assert!(kind::SYSTEM < RESERVED && size_of::<Handle>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::tests::host_frames;

    fn handle(index: u32) -> Handle {
        Handle::new::<()>(kind::MEM, Ref::new(index, 1), Rights::all())
    }

    #[test]
    fn descriptors_are_given_out_from_below() {
        let (mut frames, mut handles) = (host_frames(8), Handles::default());
        for slot in (0..FD_END).step_by(PER_PAGE) {
            handles.add_page(slot, frames.take_zeroed().unwrap());
        }
        for expect in 0..FD_END {
            let slot = handles.free_descriptor().unwrap();
            assert_eq!(slot, expect);
            handles.put(slot, handle(slot));
        }
        assert_eq!(handles.free_descriptor(), Err(Errno::EMFILE));
        handles.put(700, Handle::default());
        assert_eq!(handles.free_descriptor(), Ok(700));
        assert_eq!(handles.next_used(700), Some(701));
        assert_eq!(handles.next_used(1024), None);
    }

    #[test]
    fn slots_that_are_not_there_hold_nothing() {
        let handles = Handles::default();
        assert_eq!(handles.get(3), Some(&Handle::default()));
        assert_eq!(handles.get(u32::MAX), None);
        assert_eq!(handles.needs_page(END), Err(Errno::EBADF));
    }

    #[test]
    fn rights_only_shrink() {
        let wide = Handle { ceiling: 9, ..handle(1) };
        let narrow = wide.narrowed((Rights::READ, u8::MAX)).narrowed((Rights::READ | Rights::WRITE, 5));
        assert_eq!((narrow.rights(), narrow.ceiling), (Rights::READ, 5));
        assert_eq!(narrow.narrowed((Rights::READ, 7)), narrow);
        assert_eq!(narrow.object::<()>(kind::MEM, Rights::WRITE), Err(Errno::EPERM));
        assert_eq!(narrow.object::<()>(kind::SPACE, Rights::READ), Err(Errno::EBADF));
    }
}
