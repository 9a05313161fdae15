//! Which page of an inode lies where: six in the inode, then one and then two levels of pages of words.
//!
//! As in every Unix since the first. A word is the number of a page, or 0.

use parley_abi::Errno;
use parley_rt::durable::{Memory, WORDS_IN_PAGE, Word};

use super::inode::{COUNTS, PAGES, WORDS};

const DIRECT: usize = 6;
const SINGLE: usize = PAGES + DIRECT;
const DOUBLE: usize = PAGES + DIRECT + 1;
/// Pages that an inode can have.
const MOST: usize = DIRECT + WORDS_IN_PAGE + WORDS_IN_PAGE * WORDS_IN_PAGE;
const OWNED: u64 = 1 << 32;

/// Pages that the inode at `at` owns.
pub fn pages(memory: &impl Memory, at: usize) -> usize {
    (memory.get(at + COUNTS) >> 32) as usize
}

/// The page with this index, if this inode has it.
#[inline]
pub fn find_in(memory: &impl Memory, inode: &[Word; WORDS], index: usize) -> Option<usize> {
    let page = match index {
        ..DIRECT => u64::from_le_bytes(inode[PAGES + index]),
        _ => find_far(memory, inode, index - DIRECT),
    };
    (page != 0).then_some(page as usize)
}

/// As [`find_in`], for the inode at `at`.
pub fn find(memory: &impl Memory, at: usize, index: usize) -> Option<usize> {
    find_in(memory, memory.record(at / WORDS)?, index)
}

fn find_far(memory: &impl Memory, inode: &[Word; WORDS], index: usize) -> u64 {
    let below = |table: u64, index: usize| match table {
        0 => 0,
        table => memory.get(table as usize * WORDS_IN_PAGE + index),
    };
    match index.checked_sub(WORDS_IN_PAGE) {
        None => below(u64::from_le_bytes(inode[SINGLE]), index),
        Some(index) if index >= WORDS_IN_PAGE * WORDS_IN_PAGE => 0,
        Some(index) => below(below(u64::from_le_bytes(inode[DOUBLE]), index / WORDS_IN_PAGE), index % WORDS_IN_PAGE),
    }
}

/// Gives the inode a page with this index, where it has none. ENOSPC: no memory, or too far.
pub fn enter<M: Memory>(
    memory: &mut M,
    at: usize,
    index: usize,
    take: impl FnOnce(&mut M) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let place = match index.checked_sub(DIRECT) {
        _ if index >= MOST => return Err(Errno::ENOSPC),
        None => at + PAGES + index,
        Some(index) if index < WORDS_IN_PAGE => table(memory, at + SINGLE)? + index,
        Some(index) => {
            let index = index - WORDS_IN_PAGE;
            let single = table(memory, at + DOUBLE)? + index / WORDS_IN_PAGE;
            table(memory, single)? + index % WORDS_IN_PAGE
        }
    };
    let page = take(memory)?;
    memory.set(place, page as u64);
    memory.set(at + COUNTS, memory.get(at + COUNTS) + OWNED);
    Ok(page)
}

/// The first word of the table that the word at `place` names; there is one from now on. ENOSPC.
fn table(memory: &mut impl Memory, place: usize) -> Result<usize, Errno> {
    let mut table = memory.get(place) as usize;
    if table == 0 {
        table = memory.take_words()?;
        memory.set(place, table as u64);
    }
    Ok(table * WORDS_IN_PAGE)
}

/// Gives back all pages from index `keep` on.
pub fn cut<M: Memory>(memory: &mut M, at: usize, keep: usize, give: impl Fn(&mut M, usize)) {
    if pages(memory, at) == 0 && memory.get(at + SINGLE) == 0 && memory.get(at + DOUBLE) == 0 {
        return;
    }
    let mut gone = cut_row(memory, at + PAGES, DIRECT, keep, &give);
    gone += cut_table(memory, at + SINGLE, keep.saturating_sub(DIRECT), &give);
    let double = memory.get(at + DOUBLE) as usize;
    if double != 0 {
        let keep = keep.saturating_sub(DIRECT + WORDS_IN_PAGE);
        for index in keep / WORDS_IN_PAGE..WORDS_IN_PAGE {
            let keep = keep.saturating_sub(index * WORDS_IN_PAGE);
            gone += cut_table(memory, double * WORDS_IN_PAGE + index, keep, &give);
        }
        if keep == 0 {
            memory.set(at + DOUBLE, 0);
            memory.give_words(double);
        }
    }
    if gone > 0 {
        memory.set(at + COUNTS, memory.get(at + COUNTS) - gone * OWNED);
    }
}

/// Cuts what the table has that the word at `place` names; without anything left it goes as well. Returns how many
/// pages went.
fn cut_table<M: Memory>(memory: &mut M, place: usize, keep: usize, give: &impl Fn(&mut M, usize)) -> u64 {
    let table = memory.get(place) as usize;
    if table == 0 || keep >= WORDS_IN_PAGE {
        return 0;
    }
    if keep > 0 {
        return cut_row(memory, table * WORDS_IN_PAGE, WORDS_IN_PAGE, keep, give);
    }
    // The table goes, so what it says need not be cleared.
    let mut gone = 0;
    for index in 0..WORDS_IN_PAGE {
        let page = memory.get(table * WORDS_IN_PAGE + index) as usize;
        if page != 0 {
            give(memory, page);
            gone += 1;
        }
    }
    memory.set(place, 0);
    memory.give_words(table);
    gone
}

fn cut_row<M: Memory>(memory: &mut M, first: usize, count: usize, keep: usize, give: &impl Fn(&mut M, usize)) -> u64 {
    let mut gone = 0;
    for at in first + keep.min(count)..first + count {
        let page = memory.get(at) as usize;
        if page != 0 {
            memory.set(at, 0);
            give(memory, page);
            gone += 1;
        }
    }
    gone
}
