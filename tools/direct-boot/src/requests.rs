//! Finds the kernel's requests in its loaded image, and files the answers.
//!
//! Requests are recognised by magic numbers on 8-byte boundaries, so the image is walked once as 64-bit words. Nothing
//! is written during the walk: a kernel that is refused is refused whole.

use heapless::Vec;

use crate::{
    BootError,
    protocol::{
        ARGUMENT, BASE_REVISION_MAGIC, COMMON_MAGIC, END_MARKER, Feature, NEWEST_BASE_REVISION, OLDEST_BASE_REVISION,
        RESPONSE, START_MARKER,
    },
};

/// Most requests a kernel may make, known ones or not.
pub const MAX_REQUESTS: usize = 64;

/// The requests of one kernel.
pub struct Requests<'i> {
    words: &'i mut [[u8; 8]],
    found: Vec<Request, MAX_REQUESTS>,
    revision: Option<usize>,
}

/// One request: what it asks for, and the index of its first word.
struct Request {
    id: [u64; 2],
    at: usize,
}

impl<'i> Requests<'i> {
    /// Collects the requests in `image`, and grants the base revision if it is one that is served.
    ///
    /// # Errors
    /// [`BootError::DuplicateRequest`], [`BootError::DuplicateRevision`], [`BootError::TooMany`],
    /// [`BootError::CutRequest`] and [`BootError::OldRevision`], as they say.
    pub fn scan(image: &'i mut [u8]) -> Result<Self, BootError> {
        let mut requests = Self { words: image.as_chunks_mut().0, found: Vec::new(), revision: None };
        requests.walk()?;
        requests.grant_revision()?;
        Ok(requests)
    }

    /// Whether the kernel asks for `feature`.
    #[must_use]
    pub fn wants(&self, feature: Feature) -> bool {
        self.find(feature).is_some()
    }

    /// The argument word of the request for `feature`, if it is made.
    #[must_use]
    pub fn argument(&self, feature: Feature) -> Option<u64> {
        self.find(feature).and_then(|at| self.word(at + ARGUMENT))
    }

    /// Stores `response`, a virtual address, into the request for `feature`, if it is made.
    pub fn answer(&mut self, feature: Feature, response: u64) {
        if let Some(slot) = self.find(feature).and_then(|at| self.words.get_mut(at + RESPONSE)) {
            *slot = response.to_le_bytes();
        }
    }

    /// One pass between the markers: a start marker forgets what came before it, an end marker stops.
    fn walk(&mut self) -> Result<(), BootError> {
        for at in 0..self.words.len() {
            let first = u64::from_le_bytes(self.words[at]);
            if first == COMMON_MAGIC[0] && self.matches(at, &COMMON_MAGIC) {
                self.add(at)?;
            } else if first == BASE_REVISION_MAGIC[0] && self.matches(at, &BASE_REVISION_MAGIC) {
                if self.revision.replace(at).is_some() {
                    return Err(BootError::DuplicateRevision);
                }
            } else if first == START_MARKER[0] && self.matches(at, &START_MARKER) {
                self.found.clear();
                self.revision = None;
            } else if first == END_MARKER[0] && self.matches(at, &END_MARKER) {
                break;
            }
        }
        Ok(())
    }

    fn add(&mut self, at: usize) -> Result<(), BootError> {
        let cut = BootError::CutRequest;
        let id = [self.word(at + 2).ok_or(cut)?, self.word(at + 3).ok_or(cut)?];
        self.word(at + RESPONSE).ok_or(cut)?;
        if self.found.iter().any(|request| request.id == id) {
            return Err(BootError::DuplicateRequest(id));
        }
        let full = BootError::TooMany { what: "Limine requests", limit: MAX_REQUESTS };
        self.found.push(Request { id, at }).map_err(|_| full)
    }

    /// Zeroes the tag's third word for a revision that is served. A newer one is left standing, which tells the kernel
    /// that it got revision 2; an older one must not be booted.
    fn grant_revision(&mut self) -> Result<(), BootError> {
        let slot = self.revision.and_then(|at| self.words.get_mut(at + 2)).ok_or(BootError::OldRevision)?;
        let asked = u64::from_le_bytes(*slot);
        if asked < OLDEST_BASE_REVISION {
            return Err(BootError::OldRevision);
        }
        if asked <= NEWEST_BASE_REVISION {
            *slot = [0; 8];
        }
        Ok(())
    }

    fn find(&self, feature: Feature) -> Option<usize> {
        self.found.iter().find(|request| request.id == feature.id()).map(|request| request.at)
    }

    fn matches(&self, at: usize, magic: &[u64]) -> bool {
        magic.iter().enumerate().all(|(i, &word)| self.word(at + i) == Some(word))
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.words.get(at).copied().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
