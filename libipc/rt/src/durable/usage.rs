//! What a state takes of the memory object that it lives in, for whoever holds the object.

use core::ops::Range;

use parley_abi::{Errno, PAGE};

use super::lasting::{BITS, CHECKPOINT, LAYOUT, MAGIC, WORDS_END, log_of};

/// Bytes of a state, by what they are for. What is missing of the object's length lies there unused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bookkeeping and records, and the two checkpoints where those are the state.
    pub records: usize,
    /// The contents of files, whole pages: they are nowhere else, so they are no overhead.
    pub contents: usize,
    /// Entries of the undo log that some event has used.
    pub log: usize,
}

impl Usage {
    /// Of an object of `length` bytes, of which `read` gives those at an offset. There is no state: nothing. Errors: those
    /// of `read`.
    pub fn of(length: usize, mut read: impl FnMut(usize, &mut [u8]) -> Result<(), Errno>) -> Result<Usage, Errno> {
        let pages = length / PAGE;
        let log = log_of(pages) * PAGE..pages * PAGE;
        let mut word = |at: usize| {
            let mut bytes = [0; 8];
            read(at * 8, &mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        if (word(0)?, word(1)? >> 32) != (MAGIC, LAYOUT) {
            return Ok(Usage::default());
        }
        let first_contents = (word(WORDS_END)? as usize).min(log.start / PAGE);
        let records = first_contents * PAGE + 2 * word(CHECKPOINT)? as usize;
        let contents = used(first_contents..log.start / PAGE, |index| word(BITS * PAGE / 8 + index))? * PAGE;
        // An entry's place is never 0, and the log is always filled from its beginning: so the used part is at the front.
        let (mut entries, mut end) = (0, log.len() / 16);
        while entries < end {
            let middle = entries.midpoint(end);
            match word(log.start / 8 + 2 * middle)? {
                0 => end = middle,
                _ => entries = middle + 1,
            }
        }
        Ok(Usage { records, contents, log: entries * 16 })
    }
}

/// How many of these pages have their bit set.
fn used(pages: Range<usize>, mut word: impl FnMut(usize) -> Result<u64, Errno>) -> Result<usize, Errno> {
    let mut count = 0;
    let (mut index, mut bits) = (usize::MAX, 0);
    for page in pages {
        if page / 64 != index {
            (index, bits) = (page / 64, word(page / 64)?);
        }
        count += (bits >> (page % 64) & 1) as usize;
    }
    Ok(count)
}
