//! A typed table of kernel objects, and the references into it.
//!
//! A [`Ref`] is a place in the table and a generation. An object can be destroyed at any time, whoever still
//! refers to it: the slot's generation moves on, and every reference to the old one finds nothing. So
//! nothing in the core dangles, and nothing has to hunt down references.
//!
//! The place is counted in bytes, and each slot knows the reference to what it holds: to find an object and
//! to be sure of it is one addition and one comparison.

use core::marker::PhantomData;
use core::ops::{Index, IndexMut};

use super::frames::{Frames, Phys};
use super::list::Links;
use super::window::{self, Window};

/// Names an object in a [`Slab`]. May be stale. Aligned, so that it is moved as one word.
#[repr(C, align(8))]
pub struct Ref<T> {
    /// Which slot: its first byte, counted from the start of the table.
    pub place: u32,
    /// Which of the objects that the slot has held.
    pub generation: u32,
    what: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    /// A reference that finds nothing: slot 0 of every table is never used.
    pub const NONE: Ref<T> = Ref::new(0, 0);

    /// A reference from its parts. They must be those of one that a slab gave out; what ring 3 claims goes
    /// through [`Slab::at_place`].
    pub const fn new(place: u32, generation: u32) -> Ref<T> {
        Ref { place, generation, what: PhantomData }
    }

    /// Both parts as one number.
    #[inline(always)]
    pub const fn key(self) -> u64 {
        (self.generation as u64) << 32 | self.place as u64
    }

    /// The same numbers, said to name another kind of object.
    #[inline(always)]
    pub const fn cast<U>(self) -> Ref<U> {
        Ref::new(self.place, self.generation)
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<T> Eq for Ref<T> {}
impl<T> core::fmt::Debug for Ref<T> {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(out, "{:#x}.{}", self.place, self.generation)
    }
}

impl<T: Object> Ref<T> {
    /// The object in slot `index` of its table, which held `generation - 1` others before.
    pub const fn nth(index: u32, generation: u32) -> Ref<T> {
        Ref::new(index * size_of::<Slot<T>>() as u32, generation)
    }

    /// Number of the slot.
    pub const fn index(self) -> u32 {
        self.place / size_of::<Slot<T>>() as u32
    }
}

/// A kind of kernel object: each has a window of its own.
pub trait Object: Default {
    /// Number of the window that holds the table of these objects.
    const WINDOW: u64;
}

/// A place in a table: the object, and what the table has to know. The entry code reads it.
#[derive(Default)]
#[repr(C, align(16))]
pub struct Slot<T> {
    /// The object.
    pub value: T,
    /// The reference that finds the object; in a free slot, the next one to be given out.
    pub me: Ref<T>,
    /// Place of the next free slot, 0 after the last; [`LIVE`] while the slot holds an object.
    next_free: u32,
    /// Its neighbours in the [list](super::list) that the object is in.
    pub links: Links<T>,
}

/// Marks a slot that holds an object.
const LIVE: u32 = u32::MAX;

impl<T: Object> Object for Slot<T> {
    const WINDOW: u64 = T::WINDOW;
}

/// A growing array of `T`, with a free list.
pub struct Slab<T> {
    window: Window,
    len: u32,
    /// Place of the first free slot, 0 if there is none.
    free: u32,
    live: u32,
    what: PhantomData<T>,
}

impl<T: Object> Slab<T> {
    /// An empty table, which may grow to `pages` pages in the address space with root `root`.
    ///
    /// Panics if there is no frame for its first page: that happens at boot or never.
    pub fn new(root: Phys, pages: usize, frames: &mut Frames) -> Slab<T> {
        let window = Window::new(T::WINDOW, root, pages);
        let mut slab = Slab { window, len: 0, free: 0, live: 0, what: PhantomData };
        slab.grow(frames).expect("boot: no memory for a table of objects");
        slab.slots_mut()[0].me = Ref::new(0, u32::MAX); // so that `Ref::NONE` matches nothing
        slab.free = 0;
        slab
    }

    /// Bytes of one object, for quotas.
    pub const COST: u64 = size_of::<Slot<T>>() as u64;

    /// Whether there is a free slot.
    pub fn has_room(&self) -> bool {
        self.free != 0
    }

    /// Puts `value` into a free slot. `None`: out of memory.
    pub fn insert(&mut self, frames: &mut Frames, value: T) -> Option<Ref<T>> {
        self.insert_with(frames, |slot| *slot = value)
    }

    /// Has `make` make an object of what was last in a free slot, where that lies. `None`: out of memory.
    pub fn insert_with(&mut self, frames: &mut Frames, make: impl FnOnce(&mut T)) -> Option<Ref<T>> {
        if self.free == 0 {
            self.grow(frames)?;
        }
        // SAFETY: `free` leads to slots that were written; `self` is borrowed exclusively.
        let slot = unsafe { &mut *self.slot(Ref::new(self.free, 0)) };
        let me = slot.me;
        make(&mut slot.value);
        slot.links = Links::default();
        self.free = core::mem::replace(&mut slot.next_free, LIVE);
        self.live += 1;
        Some(me)
    }

    /// Frees the object's slot. Every reference to it is stale from now on.
    pub fn remove(&mut self, at: Ref<T>) -> bool {
        // SAFETY: as `get_mut`.
        let slot = unsafe { &mut *self.slot(at) };
        if slot.me != at {
            return false;
        }
        slot.me.generation = at.generation.wrapping_add(1).max(1);
        slot.next_free = core::mem::replace(&mut self.free, at.place);
        self.live -= 1;
        true
    }

    /// Bytes of memory that the next insertion adds to the table: 0 if there is a free slot.
    pub fn growth(&self) -> u64 {
        let needed = (self.len as usize + 1) * size_of::<Slot<T>>();
        let missing = if self.free == 0 { needed.saturating_sub(self.window.bytes()) } else { 0 };
        (missing as u64).next_multiple_of(parley_abi::PAGE as u64)
    }

    /// Adds a free slot. `None`: out of memory; pages that it got stay the table's.
    pub fn grow(&mut self, frames: &mut Frames) -> Option<()> {
        while self.window.bytes() < (self.len as usize + 1) * size_of::<Slot<T>>() {
            self.window.grow(frames)?;
        }
        // SAFETY: 1. the window is mapped up to the end of this slot, and it is aligned, since windows
        // are page-aligned and slots are laid out as an array; 2. no reference covers it, as `len` does
        // not yet count it.
        unsafe {
            let slot =
                Slot { value: T::default(), me: Ref::nth(self.len, 1), next_free: self.free, links: Links::default() };
            self.base().add(self.len as usize).write(slot);
        }
        self.free = Ref::<T>::nth(self.len, 1).place;
        self.len += 1;
        Some(())
    }
}

impl<T: Object> Slab<T> {
    /// The table's address: a constant where the core runs.
    #[inline(always)]
    fn base(&self) -> *mut Slot<T> {
        if cfg!(test) { self.window.base().cast() } else { window::start(T::WINDOW).cast() }
    }

    #[inline(always)]
    fn slots(&self) -> &[Slot<T>] {
        // SAFETY: the first `len` slots were written by `grow` and are never unmapped.
        unsafe { core::slice::from_raw_parts(self.base(), self.len as usize) }
    }

    /// The slot that a reference names. References are made by `insert` and `at` only, for slots that are
    /// there, and slots never go away.
    #[inline(always)]
    fn slot(&self, at: Ref<T>) -> *mut Slot<T> {
        debug_assert!(at.index() < self.len);
        // SAFETY: the slot is there.
        unsafe { self.base().byte_add(at.place as usize) }
    }

    #[inline(always)]
    fn slots_mut(&mut self) -> &mut [Slot<T>] {
        // SAFETY: as `slots`, and `self` is borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.base(), self.len as usize) }
    }

    /// The object, unless the reference is stale.
    #[inline(always)]
    pub fn get(&self, at: Ref<T>) -> Option<&T> {
        // SAFETY: every reference names a slot that was written (see `slot`); `self` is borrowed.
        let slot = unsafe { &*self.slot(at) };
        (slot.me == at).then_some(&slot.value)
    }

    /// The object, to be changed, unless the reference is stale.
    #[inline(always)]
    pub fn get_mut(&mut self, at: Ref<T>) -> Option<&mut T> {
        // SAFETY: as `get`, and `self` is borrowed exclusively.
        let slot = unsafe { &mut *self.slot(at) };
        (slot.me == at).then_some(&mut slot.value)
    }

    /// The object behind a reference that an invariant keeps alive, such as the running thread.
    #[inline(always)]
    pub fn live(&mut self, at: Ref<T>) -> &mut T {
        debug_assert!(self.get(at).is_some());
        // SAFETY: as `get_mut`; a slot holds a valid value even after its object is gone, so a broken
        // invariant would be confusion, not undefined behaviour.
        unsafe { &mut (*self.slot(at)).value }
    }

    /// As [`Slab::live`], to be read.
    #[inline(always)]
    pub fn peek(&self, at: Ref<T>) -> &T {
        debug_assert!(self.get(at).is_some());
        // SAFETY: as `live`.
        unsafe { &(*self.slot(at)).value }
    }

    /// The neighbours of an object that is there.
    #[inline(always)]
    pub fn links(&self, at: Ref<T>) -> &Links<T> {
        // SAFETY: as `get`.
        unsafe { &(*self.slot(at)).links }
    }

    /// The neighbours of an object, to be changed, unless the reference is stale.
    #[inline(always)]
    pub fn links_mut(&mut self, at: Ref<T>) -> Option<&mut Links<T>> {
        // SAFETY: as `get_mut`.
        let slot = unsafe { &mut *self.slot(at) };
        (slot.me == at).then_some(&mut slot.links)
    }

    /// The live object in slot `index`.
    pub fn at(&self, index: u32) -> Option<Ref<T>> {
        let slot = self.slots().get(index as usize)?;
        (slot.next_free == LIVE).then_some(slot.me)
    }

    /// The live object whose slot is at `place`: what ring 3 says a reference is.
    #[inline(always)]
    pub fn at_place(&self, place: u32) -> Option<Ref<T>> {
        self.at(Ref::<T>::new(place, 0).index()).filter(|at| at.place == place)
    }

    /// The first live object whose slot is at `place` or behind.
    pub fn from_place(&self, place: u32) -> Option<Ref<T>> {
        let first = place.div_ceil(size_of::<Slot<T>>() as u32);
        (first..self.len).find_map(|index| self.at(index))
    }

    /// References to all live objects.
    pub fn refs(&self) -> impl Iterator<Item = Ref<T>> + '_ {
        (0..self.len).filter_map(|index| self.at(index))
    }

    /// The first live object that `wanted` accepts.
    pub fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<Ref<T>> {
        self.refs().find(|&at| wanted(&self[at]))
    }

    /// Slots there are, free ones included.
    pub fn capacity(&self) -> u32 {
        self.len
    }

    /// Live objects.
    pub fn count(&self) -> u32 {
        self.live
    }

    /// Bytes of memory that the table uses.
    pub fn bytes(&self) -> usize {
        self.window.bytes()
    }
}

/// A function of its own that nothing is passed to: it is called in hundreds of places. The backtrace says where.
#[cold]
#[inline(never)]
fn stale() -> ! {
    panic!("a stale reference was used as a live one")
}

impl<T: Object> Index<Ref<T>> for Slab<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, at: Ref<T>) -> &T {
        self.get(at).unwrap_or_else(|| stale())
    }
}

impl<T: Object> IndexMut<Ref<T>> for Slab<T> {
    #[inline(always)]
    fn index_mut(&mut self, at: Ref<T>) -> &mut T {
        self.get_mut(at).unwrap_or_else(|| stale())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::frames::tests::host_frames;

    impl Object for u64 {
        const WINDOW: u64 = 0;
    }

    fn slab(limit: usize) -> (Frames, Slab<u64>) {
        let mut frames = host_frames(limit + 2);
        let slab = Slab::new(Phys(0), limit, &mut frames);
        (frames, slab)
    }

    #[test]
    fn a_stale_reference_finds_nothing() {
        let (mut frames, mut slab) = slab(1);
        let first = slab.insert(&mut frames, 7).unwrap();
        assert!(slab.remove(first));
        let second = slab.insert(&mut frames, 8).unwrap();
        assert_eq!(first.index(), second.index(), "the slot is used again");
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&8)));
        assert!(!slab.remove(first));
    }

    #[test]
    fn a_full_window_is_an_error_and_not_a_panic() {
        let (mut frames, mut slab) = slab(1);
        let mut count = 0u64;
        while slab.insert(&mut frames, count).is_some() {
            count += 1;
        }
        assert_eq!(count as usize, parley_abi::PAGE / size_of::<Slot<u64>>() - 1);
        assert_eq!(slab.count() as u64, count);
    }

    proptest::proptest! {
        #[test]
        fn it_holds_what_a_map_would(steps in proptest::collection::vec((0u8..2, 0usize..40), 0..300)) {
            let (mut frames, mut slab) = slab(8);
            let mut model: Vec<(Ref<u64>, u64)> = Vec::new();
            for (number, (kind, pick)) in steps.into_iter().enumerate() {
                if kind == 0 || model.is_empty() {
                    let at = slab.insert(&mut frames, number as u64).unwrap();
                    model.push((at, number as u64));
                } else {
                    let (at, _) = model.swap_remove(pick % model.len());
                    proptest::prop_assert!(slab.remove(at));
                    proptest::prop_assert_eq!(slab.get(at), None);
                }
                for (at, value) in &model {
                    proptest::prop_assert_eq!(slab.get(*at), Some(value));
                }
                proptest::prop_assert_eq!(slab.count() as usize, model.len());
            }
        }
    }
}
