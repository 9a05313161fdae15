//! What the instances of a service have in common: a program that has been read, with its read-only parts in memory.
//!
//! An instance cannot change these parts and has no handle to them, so the next one maps the same pages instead of
//! having them copied while callers wait. Should the memory itself be damaged, the next one would be no better: so
//! after the second death in a row they are copied from the file again ([`crate::services`]).

use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::call::prot;

use crate::handle::{Handle, Quota};
use crate::image::Image;
use crate::loader::{fill, map};

/// Pages beside those of the parts: what the objects themselves take, and their indices.
const OVERHEAD: u64 = 16;

/// A program that has been read.
#[derive(Debug)]
pub struct Shared {
    /// Its headers.
    pub image: Image,
    /// Its parts, in the order of its segments; `None`: each instance has its own.
    pub parts: Vec<Option<Handle>>,
    /// Pays for them.
    #[expect(dead_code, reason = "dropping it would destroy the parts")]
    quota: Quota,
}

impl Shared {
    /// Reads a program. ENOEXEC: none that runs here. ENOMEM.
    pub fn of(mut program: &[u8]) -> Result<Shared, Errno> {
        let image = Image::read(&mut program)?;
        let is_shared = |prot: u64| prot & prot::WRITE == 0;
        let pages =
            image.segments().iter().filter(|segment| is_shared(segment.prot)).map(|segment| segment.pages).sum::<u64>();
        let quota = Quota::new(OVERHEAD + pages)?;
        let mut parts = Vec::new();
        parts.try_reserve_exact(image.segments().len()).map_err(|_| Errno::ENOMEM)?;
        for segment in image.segments() {
            parts.push(if is_shared(segment.prot) { Some(fill(&quota, &mut program, segment)?) } else { None });
        }
        Ok(Shared { image, parts, quota })
    }

    /// An instance has nothing of its own.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }

    /// Maps what instances have in common into another program. ENOEXEC: that lies where this belongs.
    pub fn map(&self, space: &Handle) -> Result<(), Errno> {
        let mut parts = self.image.segments().iter().zip(&self.parts);
        parts.try_for_each(|(segment, part)| match part {
            Some(mem) => map(space, mem, segment.address, segment.pages, segment.prot),
            None => Ok(()),
        })
    }
}
