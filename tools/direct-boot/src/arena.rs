//! Bootloader-reclaimable memory that the answers are written into.
//!
//! Every structure of the protocol is a row of 64-bit words, so no C layout is needed: the arena appends words and
//! strings and returns the address at which the kernel will find them.

use crate::{BootError, protocol::HHDM};

/// Appends words and strings to a piece of memory.
pub struct Arena<'m> {
    bytes: &'m mut [u8],
    used: usize,
    base: u64,
}

impl<'m> Arena<'m> {
    /// An empty arena over `bytes`, which lie at page-aligned physical address `physical`.
    #[must_use]
    pub fn new(bytes: &'m mut [u8], physical: u64) -> Self {
        Self { bytes, used: 0, base: HHDM + physical }
    }

    /// Appends `words` on an 8-byte boundary and returns their virtual address.
    ///
    /// # Errors
    /// [`BootError::Internal`] where the arena is full.
    pub fn words(&mut self, words: &[u64]) -> Result<u64, BootError> {
        let start = self.used.next_multiple_of(8);
        let rest = self.bytes.get_mut(start..).unwrap_or_default();
        let room = rest.get_mut(..words.len() * 8).ok_or(BootError::Internal("arena"))?;
        for (slot, word) in room.as_chunks_mut().0.iter_mut().zip(words) {
            *slot = word.to_le_bytes();
        }
        self.used = start + words.len() * 8;
        Ok(self.base + start as u64)
    }

    /// Appends `text` and a NUL byte and returns its virtual address.
    ///
    /// # Errors
    /// [`BootError::Internal`] where the arena is full.
    pub fn string(&mut self, text: &[u8]) -> Result<u64, BootError> {
        let start = self.used;
        let room = self.bytes.get_mut(start..=start + text.len()).ok_or(BootError::Internal("arena"))?;
        let (last, body) = room.split_last_mut().ok_or(BootError::Internal("arena"))?;
        body.copy_from_slice(text);
        *last = 0;
        self.used = start + text.len() + 1;
        Ok(self.base + start as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_words_after_strings() {
        let mut bytes = [0xff_u8; 64];
        let mut arena = Arena::new(&mut bytes, 0x1000);
        assert_eq!(arena.string(b"abc"), Ok(HHDM + 0x1000));
        assert_eq!(arena.words(&[1, 2]), Ok(HHDM + 0x1008));
        assert_eq!(arena.string(b""), Ok(HHDM + 0x1018));
        assert_eq!(&bytes[..4], b"abc\0");
        assert_eq!(bytes[8..17], [1, 0, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(bytes[24], 0);
    }

    #[test]
    fn a_full_arena_is_an_error() {
        let mut bytes = [0; 8];
        let mut arena = Arena::new(&mut bytes, 0x1000);
        assert!(arena.words(&[1, 2]).is_err());
        assert!(arena.string(b"12345678").is_err());
        assert!(arena.string(b"1234567").is_ok());
        assert!(arena.string(b"").is_err());
        assert!(arena.words(&[1]).is_err());
    }
}
