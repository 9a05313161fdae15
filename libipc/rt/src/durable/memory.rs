//! Where a server keeps what shall outlive its process: words, and pages of bytes.
//!
//! A server is written against [`Memory`] and does not see whether what it keeps lasts. In ring 3 it is [`super::Lasting`]:
//! memory that init holds, in which each event happens as a whole or not at all. In ring 0 it is [`Volatile`]: pages
//! of the heap and nothing else, for there a service lives as long as the kernel, and pays for no log.
//!
//! Words are where structure belongs. They are addressed by number, `page * WORDS_IN_PAGE + n`, and changed by
//! [`Memory::set`], which can be taken back. Bytes are where contents belong; nobody takes them back, so an event
//! writes only where nothing counts yet, or what is written again if the event happens again. A page of either kind is
//! asked for, and given back.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use parley_abi::{Errno, PAGE};

/// Eight bytes, the least significant first.
pub type Word = [u8; 8];
/// Words in a page.
pub const WORDS_IN_PAGE: usize = PAGE / size_of::<Word>();
/// The root page: zeros at first.
pub(super) const ROOT_PAGE: usize = 2;
/// The first word of the root page that is of the service's own use.
pub const ROOT: usize = ROOT_PAGE * WORDS_IN_PAGE + 16;
/// The first word behind the root page.
pub const ROOT_END: usize = (ROOT_PAGE + 1) * WORDS_IN_PAGE;

/// Bit 63 of a word is a mark: [`Memory::mark`] sets it for less than [`Memory::set`] costs, but neither is it taken
/// back with an event nor does the checksum notice when it is lost.
pub const MARK: u64 = 1 << 63;

/// Memory of a service.
pub trait Memory {
    /// What is here outlives the process.
    const LASTS: bool;

    /// Makes the root page be there. ENOSPC: no memory. Once, before all others.
    fn prepare(&mut self) -> Result<(), Errno>;

    /// A word; 0 where there is none.
    fn get(&self, at: usize) -> u64;

    /// The `number`th `N` words, where all memory is divided into so many. `N` is a power of two.
    fn record<const N: usize>(&self, number: usize) -> Option<&[Word; N]>;

    /// Changes a word in a page of words. Where there is none, nothing happens.
    fn set(&mut self, at: usize, value: u64);

    /// Sets the mark of a word; see [`MARK`].
    fn mark(&mut self, at: usize);

    /// The bytes of a page of either kind.
    fn page(&self, page: usize) -> Option<&[u8; PAGE]>;

    /// The bytes of a page of bytes, to be written.
    fn page_mut(&mut self, page: usize) -> Option<&mut [u8; PAGE]>;

    /// A page for words, all 0; never page 0. ENOSPC.
    fn take_words(&mut self) -> Result<usize, Errno>;

    /// Gives a page of words back.
    fn give_words(&mut self, page: usize);

    /// A page for bytes, which are anything; never page 0. ENOSPC.
    fn take_bytes(&mut self) -> Result<usize, Errno>;

    /// Gives a page of bytes back.
    fn give_bytes(&mut self, page: usize);
}

/// Pages of the heap.
#[derive(Debug)]
pub struct Volatile {
    pages: Vec<Option<Box<[Word; WORDS_IN_PAGE]>>>,
    free: Vec<usize>,
}

impl Volatile {
    /// No pages.
    pub const fn new() -> Volatile {
        Volatile { pages: Vec::new(), free: Vec::new() }
    }

    #[inline]
    fn find(&self, page: usize) -> Option<&[Word; WORDS_IN_PAGE]> {
        self.pages.get(page)?.as_deref()
    }

    #[inline]
    fn find_mut(&mut self, page: usize) -> Option<&mut [Word; WORDS_IN_PAGE]> {
        self.pages.get_mut(page)?.as_deref_mut()
    }

    fn give(&mut self, page: usize) {
        // `take` has made sure that there is room for the number of each page.
        if self.pages.get_mut(page).and_then(Option::take).is_some() {
            self.free.push(page);
        }
    }

    fn take(&mut self) -> Result<usize, Errno> {
        let new = zeros().ok_or(Errno::ENOSPC)?;
        if let Some(page) = self.free.pop() {
            self.pages[page] = Some(new);
            return Ok(page);
        }
        self.pages.try_reserve(1).map_err(|_| Errno::ENOSPC)?;
        self.free.try_reserve(self.pages.len() + 1).map_err(|_| Errno::ENOSPC)?;
        self.pages.push(Some(new));
        Ok(self.pages.len() - 1)
    }
}

/// A page of zeros, if there is memory.
fn zeros() -> Option<Box<[Word; WORDS_IN_PAGE]>> {
    let mut words = Vec::new();
    words.try_reserve_exact(WORDS_IN_PAGE).ok()?;
    words.resize(WORDS_IN_PAGE, Word::default());
    // The vector has exactly a page, so this converts in place.
    words.into_boxed_slice().try_into().ok()
}

impl Default for Volatile {
    fn default() -> Volatile {
        Volatile::new()
    }
}

impl Memory for Volatile {
    const LASTS: bool = false;

    fn prepare(&mut self) -> Result<(), Errno> {
        if self.pages.is_empty() {
            self.pages.try_reserve(ROOT_PAGE + 1).map_err(|_| Errno::ENOSPC)?;
            self.pages.resize_with(ROOT_PAGE, || None);
            self.take()?;
        }
        Ok(())
    }

    #[inline]
    fn get(&self, at: usize) -> u64 {
        self.find(at / WORDS_IN_PAGE).map_or(0, |page| u64::from_le_bytes(page[at % WORDS_IN_PAGE]))
    }

    #[inline]
    fn record<const N: usize>(&self, number: usize) -> Option<&[Word; N]> {
        let in_page = const { WORDS_IN_PAGE / N };
        self.find(number / in_page)?.as_chunks().0.get(number % in_page)
    }

    #[inline]
    fn set(&mut self, at: usize, value: u64) {
        if let Some(page) = self.find_mut(at / WORDS_IN_PAGE) {
            page[at % WORDS_IN_PAGE] = value.to_le_bytes();
        }
    }

    #[inline]
    fn mark(&mut self, at: usize) {
        self.set(at, self.get(at) | MARK);
    }

    #[inline]
    fn page(&self, page: usize) -> Option<&[u8; PAGE]> {
        self.find(page)?.as_flattened().first_chunk()
    }

    #[inline]
    fn page_mut(&mut self, page: usize) -> Option<&mut [u8; PAGE]> {
        self.find_mut(page)?.as_flattened_mut().first_chunk_mut()
    }

    fn take_words(&mut self) -> Result<usize, Errno> {
        self.take()
    }

    fn give_words(&mut self, page: usize) {
        self.give(page);
    }

    fn take_bytes(&mut self) -> Result<usize, Errno> {
        self.take()
    }

    fn give_bytes(&mut self, page: usize) {
        self.give(page);
    }
}

/// Records of `WORDS` words each, in pages of words: four words of the root page say which are free, and where all are.
///
/// A record stays where it is, and its page is never used for anything else: its number, which is its place counted
/// in records, leads to a record of this kind for ever. The first record of each page is none: it
/// leads to the page before.
#[derive(Clone, Copy, Debug)]
pub struct Records<const WORDS: usize>(
    /// The first of the four: the last record that became free, or 0; the place of the next
    /// that was never used; how many there are; the last page.
    pub usize,
);

const FREE: usize = 0;
const NEXT: usize = 1;
const COUNT: usize = 2;
const PAGE_LIST: usize = 3;

impl<const WORDS: usize> Records<WORDS> {
    const NO_RECORD_CROSSES_PAGES: () = assert!(WORDS.is_power_of_two() && WORDS < WORDS_IN_PAGE);

    /// Where the record of this number begins.
    #[inline]
    pub const fn at(number: usize) -> usize {
        number * WORDS
    }

    /// There is one that was in use and is free.
    pub fn has_free(self, memory: &impl Memory) -> bool {
        memory.get(self.0 + FREE) != 0
    }

    /// How many there are, used or free.
    pub fn count(self, memory: &impl Memory) -> usize {
        memory.get(self.0 + COUNT) as usize
    }

    /// The numbers of all of them, used or free.
    pub fn numbers(self, memory: &impl Memory) -> impl Iterator<Item = usize> {
        let last = memory.get(self.0 + PAGE_LIST) as usize;
        let pages = iter::successors(Some(last), |&page| Some(memory.get(page * WORDS_IN_PAGE) as usize));
        let next = memory.get(self.0 + NEXT) as usize;
        pages.take_while(|&page| page != 0).flat_map(move |page| {
            let first = page * WORDS_IN_PAGE;
            let end = if page == last { next } else { first + WORDS_IN_PAGE };
            (first + WORDS..end).step_by(WORDS).map(|at| at / WORDS)
        })
    }

    /// Takes a record; returns its number. The words of one that was in use before are as they were, except the last.
    /// ENOSPC: no memory.
    #[inline]
    pub fn take(self, memory: &mut impl Memory) -> Result<usize, Errno> {
        let () = Self::NO_RECORD_CROSSES_PAGES;
        let free = memory.get(self.0 + FREE) as usize;
        if free != 0 {
            let link = Self::at(free) + WORDS - 1;
            memory.set(self.0 + FREE, memory.get(link));
            return Ok(free);
        }
        self.take_new(memory)
    }

    /// Takes a record that was never in use. ENOSPC.
    #[inline(never)]
    fn take_new(self, memory: &mut impl Memory) -> Result<usize, Errno> {
        let mut next = memory.get(self.0 + NEXT) as usize;
        if next.is_multiple_of(WORDS_IN_PAGE) {
            let page = memory.take_words()?;
            memory.set(page * WORDS_IN_PAGE, memory.get(self.0 + PAGE_LIST));
            memory.set(self.0 + PAGE_LIST, page as u64);
            next = page * WORDS_IN_PAGE + WORDS;
        }
        memory.set(self.0 + NEXT, (next + WORDS) as u64);
        memory.set(self.0 + COUNT, memory.get(self.0 + COUNT) + 1);
        Ok(next / WORDS)
    }

    /// Gives a record back. Its last word is not the service's from now on.
    #[inline]
    pub fn give(self, memory: &mut impl Memory, number: usize) {
        let (link, next) = (Self::at(number) + WORDS - 1, memory.get(self.0 + FREE));
        if memory.get(link) != next {
            memory.set(link, next);
        }
        memory.set(self.0 + FREE, number as u64);
    }
}
