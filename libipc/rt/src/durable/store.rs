//! The memory that outlives an instance: two exports and a journal.
//!
//! Everything is in 8-byte words. An export is written beside the one that counts, and counts from the moment its
//! checksum is right and its number is the higher; the journal's entries carry the number of the export that they
//! continue, so that a new export empties the journal. A process can die between any two of these stores and leaves
//! either the old or the new. Checksums tell what was finished from what was not; they catch most damage, and prove
//! nothing against malice.
//!
//! | words | what |
//! |---|---|
//! | 0 to 15 | [`STRIKES`] pairs: a request that was put back, and how often |
//! | a quarter of the rest | the journal |
//! | what is left | two exports |
//!
//! An export is: number, checksum of all that follows, version, alarm, length in bytes, [`Effects`], bytes. An entry of
//! the journal is: number, checksum of the length and the record, length of the words, a record of fixed size, words.

use core::array;
use core::ops::Range;
use core::sync::atomic::{Ordering, compiler_fence};

use parley_abi::Errno;
use parley_abi::msg::Token;

/// Bytes in a word.
const WORD: usize = 8;
/// Requests whose repetitions are counted.
const STRIKES: usize = 8;
/// Words before the journal.
const HEAD: usize = 2 * STRIKES;
/// Words of an entry's record.
pub const RECORD: usize = 11;
/// Words before the words of an entry.
const ENTRY_HEAD: usize = 3 + RECORD;
/// Words before the effects of an export.
const EXPORT_HEAD: usize = 5;
/// Answers to requests that had been kept, at most, which one event gives.
pub const REPLIES: usize = 128;

/// The answer to the request of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None, or none that counts: the request is served again.
    None,
    /// A result or a negated errno.
    Done(i64),
    /// A connection with this badge, perhaps to be dropped by exec.
    Open(u64, bool),
}

impl Answer {
    /// As two words.
    pub fn words(self) -> [u64; 2] {
        match self {
            Answer::None => [0, 0],
            Answer::Done(result) => [1, result.cast_unsigned()],
            Answer::Open(badge, false) => [2, badge],
            Answer::Open(badge, true) => [3, badge],
        }
    }

    /// Out of two words.
    pub fn from_words([kind, value]: [u64; 2]) -> Answer {
        match kind {
            1 => Answer::Done(value.cast_signed()),
            2 | 3 => Answer::Open(value, kind == 3),
            _ => Answer::None,
        }
    }
}

/// What leaves the service when an event is finished, and not before.
#[derive(Clone, Copy, Debug)]
pub struct Effects {
    /// Whose request it was.
    pub token: Token,
    /// Its answer.
    pub answer: Answer,
    replies: [(Token, i64); REPLIES],
    count: usize,
}

impl Effects {
    /// Nothing.
    pub const NONE: Effects =
        Effects { token: Token::NONE, answer: Answer::None, replies: [(Token::NONE, 0); REPLIES], count: 0 };

    /// Adds the answer to a request that had been kept. False: there is no room.
    pub fn push(&mut self, token: Token, result: i64) -> bool {
        let Some(place) = self.replies.get_mut(self.count) else { return false };
        *place = (token, result);
        self.count += 1;
        true
    }

    /// Answers to requests that had been kept.
    pub fn replies(&self) -> &[(Token, i64)] {
        &self.replies[..self.count]
    }

    /// Forgets everything.
    pub fn clear(&mut self, token: Token) {
        (self.token, self.answer, self.count) = (token, Answer::None, 0);
    }
}

/// An export as it was found.
#[derive(Debug)]
pub struct Found {
    /// Version of the bytes.
    pub version: u32,
    /// The alarm that was set.
    pub alarm: u64,
    /// Of the last event before it.
    pub effects: Effects,
    bytes: Range<usize>,
}

/// The memory, and where in it things are. Indices are of words.
#[derive(Debug)]
pub struct Store<'m> {
    memory: &'m mut [u8],
    journal: Range<usize>,
    exports: [Range<usize>; 2],
    /// Which export counts.
    current: usize,
    /// Its number; 0: none counts.
    number: u64,
    /// End of the last finished entry.
    end: usize,
    /// Where the next word of the unfinished entry goes.
    tail: usize,
    /// The entry did not fit.
    overflow: bool,
}

impl<'m> Store<'m> {
    /// Memory of at least a page, as the instance before left it.
    pub fn new(memory: &'m mut [u8]) -> Store<'m> {
        let words = memory.len() / WORD;
        let journal = HEAD..HEAD + (words - HEAD) / 4;
        let half = (words - journal.end) / 2;
        let exports = [journal.end..journal.end + half, journal.end + half..journal.end + 2 * half];
        let (end, tail) = (journal.start, journal.start);
        Store { memory, journal, exports, current: 1, number: 0, end, tail, overflow: false }
    }

    /// All of it.
    #[cfg(test)]
    pub fn memory(&self) -> &[u8] {
        self.memory
    }

    fn get(&self, index: usize) -> u64 {
        let at = index * WORD;
        self.memory.get(at..at + WORD).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
    }

    #[inline]
    fn set(&mut self, index: usize, value: u64) {
        let at = index * WORD;
        if let Some(place) = self.memory.get_mut(at..at + WORD) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// A checksum of words.
    fn sum(&self, words: Range<usize>) -> u64 {
        let bytes = self.memory.get(words.start * WORD..words.end * WORD).unwrap_or_default();
        bytes.chunks_exact(WORD).fold(SEED, |sum, word| {
            let word = word.try_into().map_or(0, u64::from_le_bytes);
            (sum ^ word).wrapping_mul(FACTOR).rotate_left(23)
        })
    }

    /// The export that counts, if there is one; from now on the store continues it.
    pub fn load(&mut self) -> Option<Found> {
        let best = (0..2).filter_map(|which| Some((self.valid(which)?, which))).max_by_key(|(number, _)| *number);
        (self.number, self.current) = best?;
        let from = self.exports[self.current].start;
        let (mut effects, mut at) = (Effects::NONE, from + EXPORT_HEAD);
        effects.token = Token(self.get(at));
        effects.answer = Answer::from_words([self.get(at + 1), self.get(at + 2)]);
        for index in 0..self.get(at + 3).min(REPLIES as u64) as usize {
            effects.push(Token(self.get(at + 4 + 2 * index)), self.get(at + 5 + 2 * index).cast_signed());
        }
        at += 4 + 2 * effects.count;
        let bytes = at * WORD..at * WORD + self.get(from + 4) as usize;
        (self.end, self.tail) = (self.journal.start, self.journal.start);
        Some(Found { version: self.get(from + 2) as u32, alarm: self.get(from + 3), effects, bytes })
    }

    /// Nobody has ever written an export here.
    pub fn is_blank(&self) -> bool {
        self.exports.iter().all(|place| self.get(place.start) == 0)
    }

    /// The bytes of an export.
    pub fn bytes(&self, found: &Found) -> &[u8] {
        self.memory.get(found.bytes.clone()).unwrap_or_default()
    }

    /// The number of an export, if it is whole.
    fn valid(&self, which: usize) -> Option<u64> {
        let place = self.exports[which].clone();
        let (number, length) = (self.get(place.start), usize::try_from(self.get(place.start + 4)).ok()?);
        let replies = self.get(place.start + EXPORT_HEAD + 3).min(REPLIES as u64) as usize;
        let words = EXPORT_HEAD + 4 + 2 * replies + length.div_ceil(WORD);
        let whole = number != 0 && length <= place.len() * WORD && words <= place.len();
        let end = place.start + words;
        (whole && self.get(place.start + 1) == self.sum(place.start + 2..end) ^ number).then_some(number)
    }

    /// Writes an export beside the one that counts, and lets it count. Errors are those of `write`, which returns the
    /// bytes it wrote; then the old one goes on to count.
    pub fn export(
        &mut self,
        version: u32,
        alarm: u64,
        effects: &Effects,
        write: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Result<(), Errno> {
        let other = 1 - self.current;
        let place = self.exports[other].clone();
        self.set(place.start, 0);
        compiler_fence(Ordering::SeqCst);
        let mut at = place.start + EXPORT_HEAD;
        let [kind, value] = effects.answer.words();
        for word in [effects.token.0, kind, value, effects.count as u64] {
            self.set(at, word);
            at += 1;
        }
        for (token, result) in effects.replies() {
            self.set(at, token.0);
            self.set(at + 1, result.cast_unsigned());
            at += 2;
        }
        let bytes = self.memory.get_mut(at * WORD..place.end * WORD).ok_or(Errno::ENOSPC)?;
        let length = write(bytes)?;
        let end = at + length.div_ceil(WORD);
        bytes.get_mut(length..(end - at) * WORD).ok_or(Errno::ENOSPC)?.fill(0);
        self.set(place.start + 2, u64::from(version));
        self.set(place.start + 3, alarm);
        self.set(place.start + 4, length as u64);
        let number = self.number + 1;
        self.set(place.start + 1, self.sum(place.start + 2..end) ^ number);
        compiler_fence(Ordering::SeqCst);
        self.set(place.start, number);
        (self.number, self.current) = (number, other);
        (self.end, self.tail, self.overflow) = (self.journal.start, self.journal.start, false);
        Ok(())
    }

    /// Begins an entry of the journal; one that was begun and not finished is forgotten.
    #[inline]
    pub fn begin(&mut self) {
        self.tail = self.end + ENTRY_HEAD;
        self.overflow = self.tail > self.journal.end;
    }

    /// Adds a word to the entry.
    #[inline]
    pub fn push(&mut self, word: u64) {
        if self.tail >= self.journal.end {
            self.overflow = true;
            return;
        }
        self.set(self.tail, word);
        self.tail += 1;
    }

    /// Adds bytes to the entry.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        let end = self.tail + bytes.len().div_ceil(WORD);
        if end > self.journal.end {
            self.overflow = true;
            return;
        }
        let at = self.tail * WORD;
        if !bytes.is_empty() {
            self.set(end - 1, 0); // for what the bytes leave of the last word
        }
        if let Some(place) = self.memory.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.tail = end;
    }

    /// Finishes the entry: from now on it has happened. False: it did not fit, and is forgotten.
    #[inline(always)]
    pub fn commit(&mut self, record: &[u64; RECORD]) -> bool {
        if self.overflow || self.number == 0 {
            return false;
        }
        let start = self.end;
        let words = (self.tail - start - ENTRY_HEAD) as u64;
        let sum = sum_of_entry(self.number, words, record);
        let Some(place) = self.memory.get_mut((start + 1) * WORD..(start + ENTRY_HEAD) * WORD) else { return false };
        for (place, word) in place.chunks_exact_mut(WORD).zip([sum, words].iter().chain(record)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        // What lies behind is an entry of earlier times, or nothing.
        if self.tail < self.journal.end {
            self.set(self.tail, 0);
        }
        compiler_fence(Ordering::SeqCst);
        self.set(start, self.number);
        self.end = self.tail;
        true
    }

    /// The next finished entry, which is behind the store's end from now on.
    pub fn next_entry(&mut self) -> Option<([u64; RECORD], Tape<'_>)> {
        let start = self.end;
        if start + ENTRY_HEAD > self.journal.end || self.get(start) != self.number {
            return None;
        }
        let words = usize::try_from(self.get(start + 2)).ok().filter(|&words| words <= self.journal.len())?;
        let end = start + ENTRY_HEAD + words;
        let record = array::from_fn(|index| self.get(start + 3 + index));
        if end > self.journal.end || self.get(start + 1) != sum_of_entry(self.number, words as u64, &record) {
            return None;
        }
        (self.end, self.tail) = (end, end);
        Some((record, Tape { memory: &self.memory[(start + ENTRY_HEAD) * WORD..end * WORD] }))
    }

    /// A request is to be served again; returns how often it has been said of this one.
    pub fn strike(&mut self, token: Token) -> u64 {
        let known = (0..STRIKES).find(|index| self.get(2 * index) == token.0);
        let place = known.unwrap_or_else(|| {
            // The oldest makes room: the others move up.
            for index in (1..STRIKES).rev() {
                self.set(2 * index, self.get(2 * index - 2));
                self.set(2 * index + 1, self.get(2 * index - 1));
            }
            self.set(0, token.0);
            self.set(1, 0);
            0
        });
        let count = self.get(2 * place + 1) + 1;
        self.set(2 * place + 1, count);
        count
    }
}

/// The checksum of an entry. What decides whether one counts is the order of the stores; this only finds damage, and is
/// not worth a multiplication a word, nor a look at every byte that a program writes.
#[inline(always)]
fn sum_of_entry(number: u64, words: u64, record: &[u64; RECORD]) -> u64 {
    record.iter().fold(number ^ words, |sum, word| sum.rotate_left(23) ^ word).wrapping_mul(FACTOR)
}

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xff51_afd7_ed55_8ccd;

/// The words of an entry, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'a> {
    memory: &'a [u8],
}

impl<'a> Tape<'a> {
    /// The next word. EINVAL: there is none.
    pub fn word(&mut self) -> Result<u64, Errno> {
        let (word, rest) = self.memory.split_first_chunk::<WORD>().ok_or(Errno::EINVAL)?;
        self.memory = rest;
        Ok(u64::from_le_bytes(*word))
    }

    /// The next `length` bytes. EINVAL: there are fewer.
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Errno> {
        let (bytes, rest) = self.memory.split_at_checked(length.next_multiple_of(WORD)).ok_or(Errno::EINVAL)?;
        self.memory = rest;
        bytes.get(..length).ok_or(Errno::EINVAL)
    }

    /// Nothing is left.
    pub fn is_over(&self) -> bool {
        self.memory.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BYTES: usize = 8192;

    fn export(store: &mut Store<'_>, state: &[u8]) -> Result<(), Errno> {
        let mut effects = Effects::NONE;
        effects.clear(Token(7));
        effects.answer = Answer::Open(9, true);
        effects.push(Token(8), -4);
        store.export(3, 55, &effects, |into| {
            into.get_mut(..state.len()).ok_or(Errno::ENOSPC)?.copy_from_slice(state);
            Ok(state.len())
        })
    }

    fn entry(store: &mut Store<'_>, words: &[u64]) -> bool {
        store.begin();
        words.iter().for_each(|&word| store.push(word));
        store.commit(&array::from_fn(|index| index as u64))
    }

    fn entries(store: &mut Store<'_>) -> Vec<Vec<u64>> {
        let mut all = Vec::new();
        while let Some((record, mut tape)) = store.next_entry() {
            assert_eq!(record, array::from_fn(|index| index as u64));
            all.push(core::iter::from_fn(|| tape.word().ok()).collect());
        }
        all
    }

    #[test]
    fn new_memory_holds_nothing() {
        let mut memory = vec![0; BYTES];
        assert!(Store::new(&mut memory).load().is_none());
        assert!(!entry(&mut Store::new(&mut memory), &[1]), "nothing continues nothing");
    }

    #[test]
    fn the_next_instance_finds_export_and_entries() {
        let mut memory = vec![0; BYTES];
        let mut store = Store::new(&mut memory);
        export(&mut store, b"first").unwrap();
        assert!(entry(&mut store, &[1, 2]));
        export(&mut store, b"second").unwrap();
        assert!(entry(&mut store, &[3]) && entry(&mut store, &[]) && entry(&mut store, &[4, 5, 6]));
        store.begin();
        store.push(99); // and here it dies
        let mut store = Store::new(&mut memory);
        let found = store.load().unwrap();
        assert_eq!((found.version, found.alarm, store.bytes(&found)), (3, 55, &b"second"[..]));
        assert_eq!((found.effects.token, found.effects.answer), (Token(7), Answer::Open(9, true)));
        assert_eq!(found.effects.replies(), [(Token(8), -4)]);
        assert_eq!(entries(&mut store), [vec![3], vec![], vec![4, 5, 6]]);
        assert!(entry(&mut store, &[7]), "it goes on");
        let mut store = Store::new(&mut memory);
        store.load().unwrap();
        assert_eq!(entries(&mut store).len(), 4);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut memory = vec![0; BYTES];
        let mut store = Store::new(&mut memory);
        export(&mut store, b"good").unwrap();
        assert_eq!(export(&mut store, &[0; BYTES]), Err(Errno::ENOSPC));
        assert!(!entry(&mut store, &[0; BYTES / 8]));
        assert!(entry(&mut store, &[5]));
        let mut store = Store::new(&mut memory);
        let found = store.load().unwrap();
        assert_eq!(store.bytes(&found), b"good");
        assert_eq!(entries(&mut store), [vec![5]]);
    }

    #[test]
    fn strikes_are_counted_by_request() {
        let mut memory = vec![0; BYTES];
        let mut store = Store::new(&mut memory);
        assert_eq!((store.strike(Token(5)), store.strike(Token(6)), store.strike(Token(5))), (1, 1, 2));
        assert_eq!(Store::new(&mut memory).strike(Token(5)), 3, "the next instance goes on counting");
    }

    proptest! {
        /// Whichever store is the last that reaches memory: the old state or the new, nothing else.
        #[test]
        fn a_death_between_two_stores(cut in 0usize..40, flips in prop::collection::vec((0usize..BYTES, any::<u8>()), 0..3)) {
            let mut memory = vec![0; BYTES];
            let mut store = Store::new(&mut memory);
            export(&mut store, b"old").unwrap();
            entry(&mut store, &[1]);
            let before = store.memory.to_vec();
            export(&mut store, b"new state").unwrap();
            let after = store.memory.to_vec();
            // Of the words that differ, the first `cut` have arrived.
            let differing: Vec<usize> =
                (0..BYTES / 8).filter(|word| before[word * 8..][..8] != after[word * 8..][..8]).collect();
            let last = Store::new(&mut memory).exports[1].start;
            let mut torn = before;
            for word in differing.into_iter().filter(|&word| word != last).take(cut) {
                torn[word * 8..][..8].copy_from_slice(&after[word * 8..][..8]);
            }
            let mut store = Store::new(&mut torn);
            let found = store.load().unwrap();
            prop_assert_eq!(store.bytes(&found), b"old");
            // And damage never panics, nor is taken for an export.
            for (at, value) in flips {
                torn[at] ^= value;
            }
            let mut store = Store::new(&mut torn);
            if let Some(found) = store.load() {
                prop_assert_eq!(store.bytes(&found), b"old");
                entries(&mut store);
            }
        }
    }
}
