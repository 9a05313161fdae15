//! The bytes of a file in memory: borrowed from the boot archive until written.
//!
//! A page of a file is owned, or still in the image (the archive, which nobody copies), or a hole (zeros). So a program
//! file costs no memory beside the archive, and a sparse file only its pages.
//!
//! Invariants: the image ends within the file; no page lies beyond the file's end, except between `room` and `abandon`,
//! which restores it. Bytes of the last page beyond the end are anything: they are cleared when the file grows over
//! them, since what is cleared earlier would be lost if the event that cuts the file is taken back.

use parley_abi::{Errno, PAGE};
use parley_rt::durable::Memory;

use super::RamFs;
use super::inode::{COUNTS, FILE, HEAD, IMAGE, SIZE, WORDS, kind, word};
use super::map;
use crate::fs::Ino;

/// Largest file, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

static ZEROS: [u8; PAGE] = [0; PAGE];

impl<M: Memory> RamFs<M> {
    /// Bytes of a file from `offset` on, as many as lie together; none at the end of the file.
    #[inline]
    pub(super) fn bytes(&self, ino: Ino, offset: u64) -> &[u8] {
        let Some(inode) = self.memory.record::<WORDS>(ino as usize) else { return &[] };
        let word = |number: usize| u64::from_le_bytes(inode[number]);
        let size = word(SIZE);
        if offset >= size || kind(word(HEAD)) != FILE {
            return &[];
        }
        let (offset, left) = (offset as usize, (size - offset) as usize);
        let (index, within) = (offset / PAGE, offset % PAGE);
        if let Some(page) = map::find_in(&self.memory, inode, index)
            && let Some(bytes) = self.memory.page(page)
        {
            return clip(&bytes[within..], left);
        }
        match self.image(word(IMAGE)).get(offset..) {
            Some(image) if word(COUNTS) >> 32 == 0 && !image.is_empty() => image,
            Some(image) if !image.is_empty() => clip(image, PAGE - within),
            _ => clip(&ZEROS[within..], left),
        }
    }

    /// What a file with this word has of the archive.
    #[inline]
    fn image(&self, image: u64) -> &'static [u8] {
        let start = image as u32 as usize;
        self.archive.get(start..start + (image >> 32) as usize).unwrap_or_default()
    }

    /// The owned page that `offset` lies in, from there on. EFBIG, ENOSPC.
    pub(super) fn room_at(&mut self, ino: Ino, offset: u64) -> Result<&mut [u8], Errno> {
        if offset >= MAX_FILE {
            return Err(Errno::EFBIG);
        }
        let at = self.at(ino);
        let (index, within) = (offset as usize / PAGE, offset as usize % PAGE);
        self.clear_to(at, offset);
        let page = match map::find(&self.memory, at, index) {
            Some(page) => page,
            None => self.own(at, index)?,
        };
        self.memory.page_mut(page).map(|bytes| &mut bytes[within..]).ok_or(Errno::EIO)
    }

    /// Takes a page and fills it with what the file has there.
    fn own(&mut self, at: usize, index: usize) -> Result<usize, Errno> {
        let image = clip(self.image(self.memory.get(at + IMAGE)).get(index * PAGE..).unwrap_or_default(), PAGE);
        let page = map::enter(&mut self.memory, at, index, M::take_bytes)?;
        if let Some((start, rest)) = self.memory.page_mut(page).and_then(|page| page.split_at_mut_checked(image.len()))
        {
            start.copy_from_slice(image);
            rest.fill(0);
        }
        Ok(page)
    }

    /// The file is about to grow to `offset`, or beyond: what its last page has beyond the end is zeros from now on.
    #[inline]
    fn clear_to(&mut self, at: usize, offset: u64) {
        let size = self.memory.get(at + SIZE);
        if offset > size && !size.is_multiple_of(PAGE as u64) {
            self.clear(at, size);
        }
    }

    #[inline(never)]
    fn clear(&mut self, at: usize, size: u64) {
        if let Some(page) = map::find(&self.memory, at, size as usize / PAGE)
            && let Some(bytes) = self.memory.page_mut(page)
        {
            bytes[size as usize % PAGE..].fill(0);
        }
    }

    /// Bytes up to `end` are valid.
    #[inline]
    pub(super) fn grow(&mut self, ino: Ino, end: u64) {
        let at = self.at(ino) + SIZE;
        if end > self.memory.get(at) {
            self.memory.set(at, end.min(MAX_FILE));
        }
    }

    /// Cuts or extends a file; see [`crate::fs::FileSystem::truncate`].
    pub(super) fn resize(&mut self, ino: Ino, size: u64) {
        let at = self.at(ino);
        self.clear_to(at, size);
        if self.memory.get(at + SIZE) != size {
            self.memory.set(at + SIZE, size);
        }
        let image = self.memory.get(at + IMAGE);
        if image >> 32 > size {
            self.memory.set(at + IMAGE, word(image as u32, size as u32));
        }
        map::cut(&mut self.memory, at, (size as usize).div_ceil(PAGE), M::give_bytes);
    }
}

/// The first `len` bytes, or all if there are fewer.
#[inline]
pub fn clip(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::ROOT;
    use super::*;
    use crate::fs::{FileSystem, Kind};
    use parley_rt::durable::Volatile;

    static IMAGE_BYTES: [u8; 10_000] = [7; 10_000];

    fn fs() -> (RamFs<Volatile>, Ino) {
        let mut fs = RamFs::new(Volatile::new(), &IMAGE_BYTES);
        fs.format(0).unwrap();
        let file = fs.create(ROOT, b"f", Kind::File, 0o644, 0).unwrap();
        (fs, file)
    }

    fn image(length: usize) -> (RamFs<Volatile>, Ino) {
        let (mut fs, _) = fs();
        let file = fs.create_image(ROOT, b"image", 0, length, 0o644, 0).unwrap();
        (fs, file)
    }

    fn bytes(fs: &RamFs<Volatile>, file: Ino) -> Vec<u8> {
        let mut all = Vec::new();
        while !fs.bytes(file, all.len() as u64).is_empty() {
            all.extend_from_slice(fs.bytes(file, all.len() as u64));
        }
        all
    }

    fn put(fs: &mut RamFs<Volatile>, file: Ino, offset: usize, data: &[u8]) {
        fs.room_at(file, offset as u64).unwrap()[..data.len()].copy_from_slice(data);
        fs.grow(file, (offset + data.len()) as u64);
    }

    #[test]
    fn an_image_is_lent_whole() {
        let (fs, file) = image(10_000);
        assert_eq!(fs.bytes(file, 1).len(), 9_999);
        assert!(fs.bytes(file, 10_000).is_empty());
        assert!(fs.bytes(file, u64::MAX).is_empty());
    }

    #[test]
    fn a_write_copies_one_page_of_the_image() {
        let (mut fs, file) = image(10_000);
        put(&mut fs, file, 5_000, b"xy");
        let mut expected = [7; 10_000];
        expected[5_000..5_002].copy_from_slice(b"xy");
        assert_eq!(bytes(&fs, file), expected);
        assert_eq!(map::pages(&fs.memory, fs.at(file)), 1);
    }

    #[test]
    fn holes_and_regrown_ends_are_zero() {
        let (mut fs, file) = image(5_000);
        fs.resize(file, 4_500);
        fs.resize(file, 5_000);
        assert_eq!(bytes(&fs, file)[4_400..4_600], [[7; 100], [0; 100]].concat());
        put(&mut fs, file, 20_000, b"z");
        assert_eq!(bytes(&fs, file)[4_500..20_000], [0; 15_500]);
        fs.resize(file, 4);
        put(&mut fs, file, 6, b"q");
        assert_eq!(bytes(&fs, file), [7, 7, 7, 7, 0, 0, b'q']);
    }

    #[test]
    fn the_end_of_a_cut_page_is_zero() {
        let (mut fs, file) = fs();
        put(&mut fs, file, 0, &[9; 100]);
        fs.resize(file, 4);
        fs.resize(file, 8);
        assert_eq!(bytes(&fs, file), [9, 9, 9, 9, 0, 0, 0, 0]);
    }

    #[test]
    fn what_was_not_committed_is_not_seen() {
        let (mut fs, file) = fs();
        fs.room_at(file, 10).unwrap().fill(9);
        fs.room_at(file, 9_000).unwrap().fill(9);
        fs.abandon(file);
        put(&mut fs, file, 20, b"a");
        assert_eq!(bytes(&fs, file)[..20], [0; 20]);
        fs.resize(file, 10_000);
        assert_eq!(bytes(&fs, file)[21..], [0; 9_979]);
    }

    #[test]
    fn files_end_somewhere() {
        let (mut fs, file) = fs();
        assert_eq!(fs.room_at(file, MAX_FILE), Err(Errno::EFBIG));
        assert_eq!(fs.truncate(file, MAX_FILE + 1), Err(Errno::EFBIG));
    }

    /// Pages in each range of the map, and all of them come back.
    #[test]
    fn a_large_file_is_cut_page_by_page() {
        let (mut fs, file) = fs();
        let pages = [0, 5, 6, 7, 517, 518, 519, 1029, 1030, 16_383];
        for (count, &page) in (1..).zip(&pages) {
            put(&mut fs, file, page * PAGE + 3, &[page as u8]);
            assert_eq!(map::pages(&fs.memory, fs.at(file)), count);
        }
        for (left, &page) in pages.iter().enumerate().rev() {
            assert_eq!(fs.bytes(file, (page * PAGE + 3) as u64)[0], page as u8);
            fs.resize(file, (page * PAGE) as u64);
            assert_eq!(map::pages(&fs.memory, fs.at(file)), left);
        }
    }
}
