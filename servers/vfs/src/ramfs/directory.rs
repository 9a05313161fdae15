//! The names in a directory of the ramfs.
//!
//! A directory's pages are words, in which entries follow each other: a head, and the name in as many words as it takes.
//! An entry stays where it is, so its place is its cookie: a reader that remembers where it stopped finds its place,
//! whatever was removed before it. What a removed entry leaves is free for another. A name that was not found lately
//! ([`Recent`](super::recent::Recent)) is found by looking through them all, at the length and the first word of each, which
//! for directories of a boot archive beats keeping an index.

use parley_abi::{Errno, PAGE};
use parley_rt::durable::{Memory, WORDS_IN_PAGE, Word};

use super::RamFs;
use super::inode::{self, HEAD, PARENT, SIZE, WORDS, kind};
use super::map;
use crate::fs::{FIRST_COOKIE, Ino};

/// A head: the inode, or 0 if the entry is free; bytes in the name; words of the entry, itself included.
const fn head(ino: Ino, length: usize, words: usize) -> u64 {
    (ino as u64) << 32 | (length as u64) << 16 | words as u64
}

/// An entry that was found.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Where its head is.
    at: usize,
    /// Which page of the directory that is.
    page: usize,
    head: u64,
}

impl Place {
    /// No entry: its head is that of none.
    pub const NONE: Place = Place { at: 0, page: 0, head: 0 };

    pub const fn ino(self) -> Ino {
        (self.head >> 32) as Ino
    }
    const fn length(self) -> usize {
        (self.head >> 16) as usize & 0xffff
    }
    const fn words(self) -> usize {
        self.head as usize & 0xffff
    }
    /// Its name, of the words of its page.
    #[inline]
    fn name_in(self, page: &[Word]) -> &[u8] {
        page.get(self.at % WORDS_IN_PAGE + 1..)
            .and_then(|words| words.as_flattened().get(..self.length()))
            .unwrap_or_default()
    }

    /// The cookie to go on with after this entry.
    pub const fn next(self) -> u64 {
        (self.page * WORDS_IN_PAGE + self.at % WORDS_IN_PAGE + self.words()) as u64 + FIRST_COOKIE
    }
}

/// The entries of one page, free ones included.
struct Entries<'m> {
    words: &'m [Word],
    /// Words before the next entry.
    next: usize,
    first: usize,
    page: usize,
}

impl Iterator for Entries<'_> {
    type Item = Place;

    #[inline]
    fn next(&mut self) -> Option<Place> {
        let head = u64::from_le_bytes(*self.words.get(self.next)?);
        let place = Place { at: self.first + self.next, page: self.page, head };
        // One without words would be damage: the walk ends, rather than not at all.
        self.next += place.words();
        (place.words() != 0).then_some(place)
    }
}

impl Entries<'_> {
    /// The entry with this name, which has bytes. Its first word tells nearly all others apart.
    #[inline]
    fn find_name(&self, name: &[u8]) -> Option<Place> {
        let first = first_word(name);
        let mut next = 0;
        while let Some([head, start]) = self.words.get(next..).and_then(|words| words.first_chunk()) {
            let place = Place { at: self.first + next, page: self.page, head: u64::from_le_bytes(*head) };
            if place.length() == name.len() && *start == first && rest_is_equal(place.name_in(self.words), name) {
                return Some(place);
            }
            next += place.words();
            if place.words() == 0 {
                break;
            }
        }
        None
    }
}

/// Whether two names whose first words are equal, and whose lengths are, go on alike.
#[inline]
fn rest_is_equal(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).skip(size_of::<Word>()).all(|(one, other)| one == other)
}

impl<M: Memory> RamFs<M> {
    /// The entries of page `page` of the directory at `at`. `None`: it has no such page.
    fn entries(&self, at: usize, page: usize) -> Option<Entries<'_>> {
        self.entries_of(self.memory.record(at / WORDS)?, page)
    }

    #[inline]
    fn entries_of(&self, inode: &[Word; WORDS], page: usize) -> Option<Entries<'_>> {
        let found = map::find_in(&self.memory, inode, page)?;
        let words = self.memory.page(found)?.as_chunks().0;
        Some(Entries { words, next: 0, first: found * WORDS_IN_PAGE, page })
    }

    pub(super) fn name(&self, place: Place) -> &[u8] {
        self.memory.page(place.at / WORDS_IN_PAGE).map_or(&[], |page| place.name_in(page.as_chunks().0))
    }

    /// Where `name`, which has bytes, is in the directory. ENOENT. ENOTDIR: it is none.
    #[inline(always)]
    pub(super) fn find(&self, dir: Ino, name: &[u8]) -> Result<Place, Errno> {
        let recent = self.recent.of(dir, u64::from_le_bytes(first_word(name)));
        let (its_own, place) = recent.get();
        if its_own == dir && self.has(place, name) {
            return Ok(place);
        }
        let place = self.search(dir, name)?;
        recent.set((dir, place));
        Ok(place)
    }

    /// Whether the entry is still there, and has this name.
    #[inline(always)]
    fn has(&self, place: Place, name: &[u8]) -> bool {
        let Some(page) = self.memory.page(place.at / WORDS_IN_PAGE) else { return false };
        let words = page.as_chunks().0;
        words.get(place.at % WORDS_IN_PAGE).is_some_and(|head| u64::from_le_bytes(*head) == place.head)
            && place.name_in(words) == name
    }

    #[inline(never)]
    fn search(&self, dir: Ino, name: &[u8]) -> Result<Place, Errno> {
        let inode = self.memory.record::<WORDS>(dir as usize).ok_or(Errno::ENOENT)?;
        if kind(u64::from_le_bytes(inode[HEAD])) != inode::DIRECTORY {
            return Err(Errno::ENOTDIR);
        }
        let mut pages = (0..).map_while(|page| self.entries_of(inode, page));
        pages.find_map(|entries| entries.find_name(name)).ok_or(Errno::ENOENT)
    }

    /// The first entry at this cookie or after it.
    pub(super) fn entry_at(&self, dir: Ino, cookie: u64) -> Option<Place> {
        let at = self.at(dir);
        let start = usize::try_from(cookie.saturating_sub(FIRST_COOKIE)).ok()?;
        let mut pages = (start / WORDS_IN_PAGE..).map_while(|page| self.entries(at, page));
        pages.find_map(|mut entries| {
            entries.find(|place| place.ino() != 0 && place.page * WORDS_IN_PAGE + place.at % WORDS_IN_PAGE >= start)
        })
    }

    /// A free entry in which a name of this length has room, for [`RamFs::enter`]. ENOSPC: no memory.
    pub(super) fn prepare(&mut self, dir: Ino, name: &[u8]) -> Result<Place, Errno> {
        let (at, need) = (self.at(dir), words_for(name.len()));
        for page in 0.. {
            let Some(entries) = self.entries(at, page) else { return self.add_page(at, page) };
            let mut free: Option<Place> = None;
            for place in entries {
                free = match free {
                    _ if place.ino() != 0 => None,
                    // Free ones that follow each other are one.
                    Some(before) => Some(Place { head: head(0, 0, before.words() + place.words()), ..before }),
                    None => Some(place),
                };
                if let Some(place) = free.filter(|place| place.words() >= need) {
                    return Ok(place);
                }
            }
        }
        Err(Errno::ENOSPC)
    }

    /// A further page with one free entry.
    fn add_page(&mut self, at: usize, page: usize) -> Result<Place, Errno> {
        let first = map::enter(&mut self.memory, at, page, M::take_words)? * WORDS_IN_PAGE;
        let head = head(0, 0, WORDS_IN_PAGE);
        self.memory.set(first, head);
        Ok(Place { at: first, page, head })
    }

    /// Enters a name where [`RamFs::prepare`] found room for it. Nothing was entered in between.
    pub(super) fn enter(&mut self, dir: Ino, place: Place, name: &[u8], ino: Ino) {
        let need = words_for(name.len());
        let left = place.words() - need;
        if left > 0 {
            self.memory.set(place.at + need, head(0, 0, left));
        }
        for (at, bytes) in (place.at + 1..).zip(name.chunks(size_of::<u64>())) {
            self.memory.set(at, u64::from_le_bytes(first_word(bytes)));
        }
        self.memory.set(place.at, head(ino, name.len(), need));
        let size = self.at(dir) + SIZE;
        self.memory.set(size, self.memory.get(size) + 1);
    }

    /// Lets an entry name another inode.
    pub(super) fn put(&mut self, place: Place, ino: Ino) {
        self.memory.set(place.at, head(ino, place.length(), place.words()));
    }

    /// Removes an entry.
    pub(super) fn leave(&mut self, dir: Ino, place: Place) {
        self.memory.set(place.at, head(0, 0, place.words()));
        let size = self.at(dir) + SIZE;
        self.memory.set(size, self.memory.get(size) - 1);
    }

    /// The directory that `dir` is in.
    pub(super) fn parent_of(&self, dir: Ino) -> Ino {
        self.memory.get(self.at(dir) + PARENT) as Ino
    }
}

/// The first word of a name: its first bytes, and zeros where it has fewer.
#[inline]
fn first_word(name: &[u8]) -> Word {
    name.first_chunk().copied().unwrap_or_else(|| {
        let mut word = Word::default();
        word.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
        word
    })
}

/// Words of an entry for a name of this length.
const fn words_for(length: usize) -> usize {
    1 + length.div_ceil(size_of::<u64>())
}

const _: () = assert!(words_for(crate::path::NAME_MAX) <= PAGE / size_of::<u64>());
