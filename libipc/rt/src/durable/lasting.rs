//! Memory that outlives the process, and in which each event happens as a whole or not at all.
//!
//! The state lies there in place: no copy, no export. Before a word is changed its old value goes into the **undo log**;
//! an event is finished by one store, which empties the log and makes the event's answer the one that counts. So a process
//! can die between any two instructions: what it had begun is taken back by the next instance, and what it had finished is
//! there, with the token and the answer of the request, which perhaps did not leave. Pages of bytes are written without
//! any of this: see [`Memory`].
//!
//! | page | what |
//! |---|---|
//! | 0 | words 0 to 2: [`MAGIC`], or 0 while there is no state; layout and size; number of finished events, and entries in the log |
//! |   | words 8 and 16: the answers of the last events with an even and an odd number |
//! |   | words 24 to 39: [`STRIKES`] pairs, a request that was put back and how often |
//! | 1 | two halves: the answers of those events to requests that had been kept |
//! | 2 | the root: words 0 to 15 are the run time's, the rest is the service's |
//! | 3 | a bit for each page: in use |
//! | 4, and more | pages of words, up to where word 1 of the root says |
//! | then | pages of bytes, used from the end on |
//! | the last | the undo log: pairs of a place and its old value |
//!
//! A **checksum** over the root and all pages of words is kept with each change and is in each answer, so the next
//! instance sees damage before it serves anybody. It finds every single flipped bit and proves nothing against malice.

use core::ops::Range;
use core::sync::atomic::{Ordering, compiler_fence};

use parley_abi::msg::Token;
use parley_abi::{Errno, PAGE};

use super::answer::{Answer, REPLIES, Replies};
use super::memory::{MARK, Memory, ROOT, ROOT_PAGE, WORDS_IN_PAGE, Word};
use super::schema::{Refusal, Schema};

/// Says that there is a state.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"Parley\xffS");
/// Version of all that the module's documentation says.
pub(super) const LAYOUT: u64 = 1;

/// Words of page 0.
const FORM: usize = 1;
const PROGRESS: usize = 2;
const ANSWERS: usize = 8;
const ANSWER_WORDS: usize = 8;
const STRIKES_AT: usize = 24;
/// Requests whose repetitions are counted.
const STRIKES: usize = 8;
/// Where the two lists of answers to requests that had been kept begin, and how long each is.
const REPLIES_AT: usize = WORDS_IN_PAGE;
const REPLIES_WORDS: usize = WORDS_IN_PAGE / 2;
const _: () = assert!(REPLIES * 2 <= REPLIES_WORDS);
/// First word that can be taken back, and words of the root that are the run time's.
pub(super) const STATE: usize = ROOT_PAGE * WORDS_IN_PAGE;
const SCHEMA: usize = STATE;
pub(super) const WORDS_END: usize = STATE + 1;
const FREE_WORDS: usize = STATE + 2;
const ALARM: usize = STATE + 3;
/// Bytes of the checkpoint that counts; 0 where the state lies in place.
pub(super) const CHECKPOINT: usize = STATE + 4;
const _: () = assert!(CHECKPOINT < ROOT);
/// The page of bits.
pub(super) const BITS: usize = ROOT_PAGE + 1;

/// What was found in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: the service starts.
    Nothing,
    /// A state.
    State,
    /// Something that must not be used.
    Unusable(Refusal),
}

/// Memory that outlives the process.
#[derive(Debug)]
pub struct Lasting {
    pub(super) words: &'static mut [Word],
    found: Found,
    /// What word [`PROGRESS`] says: events finished in the upper half, entries of the log in the lower.
    progress: u64,
    /// Where the next entry of the log goes, and where the log ends.
    undo: Range<usize>,
    /// Pages that are not the log's.
    pub(super) pages: usize,
    /// The checksum as it is.
    sum: u64,
    /// Pages of bytes from here on are in use.
    search: usize,
    /// A page of bytes was given back in this event, and what it holds still counts if the event is taken back.
    gave_bytes: bool,
}

/// Pages of an object that is small: its whole is essential, for [`Checkpointed`](super::Checkpointed) has a state where others
/// have contents.
const SMALL: usize = 32;

/// The bytes of a state that a new program could ruin before it is ready, as ranges of the memory object: all but contents,
/// or all of a small one. `first` is the first three pages, `length` the bytes of the object.
pub fn essence(first: &[u8], length: usize) -> [Range<usize>; 2] {
    let word =
        |at: usize| first.get(at * 8..at * 8 + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes);
    let pages = length / PAGE;
    if pages <= SMALL {
        return [0..length, length..length];
    }
    let log = log_of(pages) * PAGE;
    let entries = (word(PROGRESS) as u32 as usize).min((length - log) / 16);
    let words = (word(WORDS_END) as usize * PAGE).clamp((BITS + 1) * PAGE, log);
    [0..words, log..log + entries * 16]
}

/// The first page of the undo log in an object of so many.
pub(super) fn log_of(pages: usize) -> usize {
    pages.saturating_sub(1 + pages / 128)
}

/// Fewest pages that are memory for a state.
pub const FEWEST_PAGES: usize = 8;

impl Lasting {
    /// Memory of at least [`FEWEST_PAGES`], as the instance before left it; an event that it had not finished is taken
    /// back.
    pub fn new(words: &'static mut [Word]) -> Lasting {
        let pages = words.len() / WORDS_IN_PAGE;
        assert!(pages >= FEWEST_PAGES, "the manifest gives too little memory for a state: {pages} pages");
        let pages = log_of(pages);
        let undo = pages * WORDS_IN_PAGE..words.len() / WORDS_IN_PAGE * WORDS_IN_PAGE;
        let (found, search) = (Found::Nothing, pages);
        let mut memory = Lasting { words, found, progress: 0, undo, pages, sum: 0, search, gave_bytes: false };
        memory.found = memory.look();
        memory
    }

    /// All of it, as the next instance would find it.
    pub fn words(&self) -> &[Word] {
        self.words
    }

    /// For tests of services: finishes an event, as the server loop does it, without an answer.
    #[doc(hidden)]
    pub fn finish_for_test(&mut self, token: Token) {
        if self.is_dirty() {
            self.commit(token, Answer::None, &Replies::new());
        }
    }

    /// What was found.
    pub fn found(&self) -> Found {
        self.found
    }

    #[inline]
    pub(super) fn load(&self, at: usize) -> u64 {
        self.words.get(at).map_or(0, |word| u64::from_le_bytes(*word))
    }

    #[inline]
    pub(super) fn store(&mut self, at: usize, value: u64) {
        store(self.words, at, [value]);
    }

    /// Looks at what is there, and takes back what was not finished.
    fn look(&mut self) -> Found {
        match self.load(0) {
            MAGIC => {}
            0 => return Found::Nothing,
            // What is not ours and not nothing was a state, perhaps.
            _ => return Found::Unusable(Refusal::Damaged),
        }
        let (layout, pages) = (self.load(FORM) >> 32, self.load(FORM) as u32 as usize);
        if layout != LAYOUT || pages != self.pages {
            return Found::Unusable(Refusal::Layout { layout: layout as u32, pages: pages as u32 });
        }
        self.progress = self.load(PROGRESS);
        if !self.take_back() {
            return Found::Unusable(Refusal::Damaged);
        }
        let end = self.load(WORDS_END) as usize;
        let answer = self.answer_words();
        let whole = answer[ANSWER_WORDS - 1] == check(self.progress, &answer) && end <= self.pages;
        self.sum = answer[SUM];
        if whole && self.sum == self.sum_of(STATE..end * WORDS_IN_PAGE) {
            Found::State
        } else {
            Found::Unusable(Refusal::Damaged)
        }
    }

    /// Takes back what the log says. False: it says nonsense.
    fn take_back(&mut self) -> bool {
        let (log, entries) = (self.undo.start, self.progress as u32 as usize);
        if log + 2 * entries > self.undo.end {
            return false;
        }
        for entry in (0..entries).rev() {
            let (at, old) = (self.load(log + 2 * entry) as usize, self.load(log + 2 * entry + 1));
            if !(STATE..self.pages * WORDS_IN_PAGE).contains(&at) {
                return false;
            }
            self.store(at, old);
        }
        compiler_fence(Ordering::SeqCst);
        self.progress &= !u64::from(u32::MAX);
        self.store(PROGRESS, self.progress);
        true
    }

    fn sum_of(&self, words: Range<usize>) -> u64 {
        let first = words.start;
        let values = self.words.get(words).unwrap_or_default().iter().map(|word| u64::from_le_bytes(*word));
        (first..).zip(values).fold(0, |sum: u64, (at, value)| sum.wrapping_add(weigh(at, value & !MARK)))
    }

    /// Makes an empty state, which begins to count when the first event is finished.
    fn format(&mut self) {
        self.store(0, 0);
        compiler_fence(Ordering::SeqCst);
        let pages = self.pages;
        for at in 1..(BITS + 1) * WORDS_IN_PAGE {
            self.store(at, 0);
        }
        (self.progress, self.sum, self.search) = (0, 0, pages);
        self.store(FORM, LAYOUT << 32 | pages as u64);
        self.set(WORDS_END, BITS as u64 + 1);
        for page in (0..=BITS).chain(pages..pages.next_multiple_of(64)) {
            self.set_used(page, true);
        }
    }

    /// The version of the state: of the program that wrote it, and the oldest program that can read it.
    pub fn version(&self) -> (u32, u32) {
        let word = self.load(SCHEMA);
        ((word >> 32) as u32 & 0x7fff_ffff, word as u32)
    }

    /// From now on the state is as a program with this schema writes it.
    pub fn set_version(&mut self, schema: Schema) {
        self.set(SCHEMA, u64::from(schema.version) << 32 | u64::from(schema.readable_by));
    }

    /// The alarm that the service has set; 0: none.
    #[inline]
    pub fn alarm(&self) -> u64 {
        self.load(ALARM)
    }

    /// Keeps the alarm that the service has set.
    #[inline]
    pub fn set_alarm(&mut self, at: u64) {
        if self.alarm() != at {
            self.set(ALARM, at);
        }
    }

    /// The event has changed something.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        self.progress as u32 != 0
    }

    /// The event has given pages of bytes back: none can be taken before it is finished.
    #[inline]
    pub(super) fn gave_bytes(&self) -> bool {
        self.gave_bytes
    }

    /// Finishes an event: from now on it has happened, and this is its answer.
    pub fn commit(&mut self, token: Token, answer: Answer, replies: &Replies) {
        let next = (self.progress >> 32).wrapping_add(1) << 32;
        let odd = (next >> 32) as usize % 2;
        for (index, &(token, result)) in replies.list().iter().enumerate() {
            let at = REPLIES_AT + odd * REPLIES_WORDS + 2 * index;
            self.store(at, token.0);
            self.store(at + 1, result.cast_unsigned());
        }
        let [kind, value] = answer.words();
        let mut words = [token.0, kind | (replies.list().len() as u64) << 32, value, self.sum, 0, 0, 0, 0];
        words[ANSWER_WORDS - 1] = check(next, &words);
        store(self.words, ANSWERS + odd * ANSWER_WORDS, words);
        compiler_fence(Ordering::SeqCst);
        self.progress = next;
        self.store(PROGRESS, next);
        self.undo.start = self.pages * WORDS_IN_PAGE;
        self.gave_bytes = false;
        if self.found == Found::Nothing {
            compiler_fence(Ordering::SeqCst);
            self.store(0, MAGIC);
            self.found = Found::State;
        }
    }

    fn answer_words(&self) -> [u64; ANSWER_WORDS] {
        let odd = (self.progress >> 32) as usize % 2;
        core::array::from_fn(|word| self.load(ANSWERS + odd * ANSWER_WORDS + word))
    }

    /// What the last event that was finished let out: whose request it was, its answer, and answers to requests that
    /// had been kept. Perhaps they did not arrive.
    pub fn last(&self) -> (Token, Answer, Replies) {
        let [token, kind, value, ..] = self.answer_words();
        let odd = (self.progress >> 32) as usize % 2;
        let mut replies = Replies::new();
        for index in 0..((kind >> 32) as usize).min(REPLIES) {
            let at = REPLIES_AT + odd * REPLIES_WORDS + 2 * index;
            replies.push(Token(self.load(at)), self.load(at + 1).cast_signed());
        }
        (Token(token), Answer::from_words([kind & 0xffff_ffff, value]), replies)
    }

    /// A request is to be served again; returns how often it has been said of this one.
    pub fn strike(&mut self, token: Token) -> u64 {
        let pair = |index: usize| STRIKES_AT + 2 * index;
        let known = (0..STRIKES).find(|&index| self.load(pair(index)) == token.0);
        let place = known.unwrap_or_else(|| {
            // The oldest makes room: the others move up.
            for index in (1..STRIKES).rev() {
                self.store(pair(index), self.load(pair(index - 1)));
                self.store(pair(index) + 1, self.load(pair(index - 1) + 1));
            }
            self.store(pair(0), token.0);
            self.store(pair(0) + 1, 0);
            0
        });
        let count = self.load(pair(place) + 1) + 1;
        self.store(pair(place) + 1, count);
        count
    }

    /// All that is free for bytes, at once, for a service that uses no pages of bytes.
    pub fn rest_mut(&mut self) -> &mut [u8] {
        let (first, end) = (self.words_end() * WORDS_IN_PAGE, self.pages * WORDS_IN_PAGE);
        self.words.get_mut(first..end).unwrap_or_default().as_flattened_mut()
    }

    /// As [`Lasting::rest_mut`], to be read.
    pub fn rest(&self) -> &[u8] {
        let (first, end) = (self.words_end() * WORDS_IN_PAGE, self.pages * WORDS_IN_PAGE);
        self.words.get(first..end).unwrap_or_default().as_flattened()
    }

    /// Makes room in a full log: an empty state that does not count yet needs none.
    #[cold]
    fn log_is_full(&mut self) {
        assert!(self.found == Found::Nothing, "one event changes more than the log of the state can hold");
        self.progress &= !u64::from(u32::MAX);
        self.undo.start = self.pages * WORDS_IN_PAGE;
    }

    fn bit(&self, page: usize) -> (usize, u64) {
        (BITS * WORDS_IN_PAGE + page / 64, 1 << (page % 64))
    }

    fn is_used(&self, page: usize) -> bool {
        let (at, bit) = self.bit(page);
        self.load(at) & bit != 0
    }

    fn set_used(&mut self, page: usize, used: bool) {
        let (at, bit) = self.bit(page);
        let word = self.load(at);
        self.set(at, if used { word | bit } else { word & !bit });
    }

    pub(super) fn words_end(&self) -> usize {
        self.load(WORDS_END) as usize
    }
}

/// Changes words of the memory that follow each other, one after the other, from the first on. The one place that does.
#[inline]
fn store<const N: usize>(words: &mut [Word], at: usize, values: [u64; N]) {
    if let Some(words) = words.get_mut(at..).and_then(|words| words.first_chunk_mut::<N>()) {
        for (word, value) in words.iter_mut().zip(values) {
            #[cfg(all(test, not(miri)))]
            super::tests::count_a_store();
            *word = value.to_le_bytes();
        }
    }
}

/// Where in an answer the checksum of the state is.
const SUM: usize = 3;

/// The checksum of an answer itself.
#[inline]
fn check(progress: u64, words: &[u64; ANSWER_WORDS]) -> u64 {
    words[..=SUM].iter().fold(progress, |sum, word| sum.rotate_left(23) ^ word)
}

/// What a word, without its mark, adds to the checksum: another odd multiple at each place.
#[inline]
fn weigh(at: usize, value: u64) -> u64 {
    value.wrapping_mul(2 * at as u64 + 1)
}

impl Memory for Lasting {
    const LASTS: bool = true;

    fn prepare(&mut self) -> Result<(), Errno> {
        if self.found == Found::Nothing {
            self.format();
        }
        Ok(())
    }

    #[inline]
    fn get(&self, at: usize) -> u64 {
        self.load(at)
    }

    #[inline]
    fn record<const N: usize>(&self, number: usize) -> Option<&[Word; N]> {
        self.words.as_chunks().0.get(number)
    }

    #[inline]
    fn set(&mut self, at: usize, value: u64) {
        if self.undo.start >= self.undo.end {
            self.log_is_full();
        }
        let (entry, progress) = (self.undo.start, self.progress + 1);
        // Taken out once: after a fence it would be read again.
        let words = &mut *self.words;
        let Some(old) = words.get(at).map(|old| u64::from_le_bytes(*old)) else { return };
        store(words, entry, [at as u64, old]);
        compiler_fence(Ordering::SeqCst);
        store(words, PROGRESS, [progress]);
        compiler_fence(Ordering::SeqCst);
        store(words, at, [value]);
        (self.undo.start, self.progress) = (entry + 2, progress);
        self.sum = self.sum.wrapping_add(weigh(at, (value & !MARK).wrapping_sub(old & !MARK)));
    }

    #[inline]
    fn mark(&mut self, at: usize) {
        let word = self.load(at);
        if word & MARK == 0 {
            self.store(at, word | MARK);
        }
    }

    #[inline]
    fn page(&self, page: usize) -> Option<&[u8; PAGE]> {
        self.words.as_chunks::<WORDS_IN_PAGE>().0.get(page)?.as_flattened().first_chunk()
    }

    #[inline]
    fn page_mut(&mut self, page: usize) -> Option<&mut [u8; PAGE]> {
        if page < self.words_end() || page >= self.pages {
            return None;
        }
        self.words.as_chunks_mut::<WORDS_IN_PAGE>().0.get_mut(page)?.as_flattened_mut().first_chunk_mut()
    }

    fn take_words(&mut self) -> Result<usize, Errno> {
        let free = self.load(FREE_WORDS) as usize;
        if free != 0 {
            self.set(FREE_WORDS, self.load(free * WORDS_IN_PAGE));
            for at in free * WORDS_IN_PAGE..(free + 1) * WORDS_IN_PAGE {
                if self.load(at) != 0 {
                    self.set(at, 0);
                }
            }
            return Ok(free);
        }
        let page = self.words_end();
        if page >= self.pages || self.is_used(page) || self.gave_bytes {
            return Err(Errno::ENOSPC);
        }
        // It is free: what is in it does not count, and zeros add nothing to the checksum.
        self.page_mut(page).ok_or(Errno::ENOSPC)?.fill(0);
        self.set_used(page, true);
        self.set(WORDS_END, page as u64 + 1);
        Ok(page)
    }

    fn give_words(&mut self, page: usize) {
        self.set(page * WORDS_IN_PAGE, self.load(FREE_WORDS));
        self.set(FREE_WORDS, page as u64);
    }

    fn take_bytes(&mut self) -> Result<usize, Errno> {
        if self.gave_bytes {
            return Err(Errno::ENOSPC);
        }
        let end = self.words_end();
        let mut limit = self.search;
        while limit > end {
            let first = (limit - 1) / 64 * 64;
            let (at, _) = self.bit(first);
            // Free pages below the limit, the highest first.
            let below = u64::MAX >> (63 - (limit - 1 - first));
            let free = !self.load(at) & below;
            if free != 0 {
                let page = first + 63 - free.leading_zeros() as usize;
                if page < end {
                    break;
                }
                self.set_used(page, true);
                self.search = page;
                return Ok(page);
            }
            limit = first;
        }
        self.search = end;
        Err(Errno::ENOSPC)
    }

    fn give_bytes(&mut self, page: usize) {
        if page < self.words_end() || page >= self.pages {
            return;
        }
        self.set_used(page, false);
        self.search = self.search.max(page + 1);
        self.gave_bytes = true;
    }
}

const _: () = assert!(size_of::<Word>() * WORDS_IN_PAGE == PAGE);
