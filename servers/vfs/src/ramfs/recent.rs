//! Names that were found lately, and where: the name cache.
//!
//! What it says is a guess: [`Place`]s are looked at before they are believed. One whose entry is gone has another head.
//! Only a page that a directory gives back may become anything, so then all is forgotten.

use core::cell::Cell;

use super::directory::Place;
use crate::fs::Ino;

/// Names that it can know.
const PLACES: usize = 64;

/// One place for each of so many names: a later one takes the place of another.
pub struct Recent([Cell<(Ino, Place)>; PLACES]);

impl Recent {
    /// Knows nothing.
    pub const fn new() -> Recent {
        Recent([const { Cell::new((0, Place::NONE)) }; PLACES])
    }

    /// Where a name that begins with this word is remembered: its directory, and its place there.
    #[inline(always)]
    pub fn of(&self, dir: Ino, start: u64) -> &Cell<(Ino, Place)> {
        // A multiplicative hash (Knuth, volume 3, section 6.4), of which the high bits are the best.
        let hash = (start ^ u64::from(dir).rotate_right(16)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.0[(hash >> (u64::BITS - PLACES.ilog2())) as usize]
    }

    /// A directory is gone.
    pub fn forget(&self) {
        self.0.iter().for_each(|place| place.set((0, Place::NONE)));
    }
}
