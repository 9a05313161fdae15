//! The bytes of a file in memory: borrowed from the boot archive until written.
//!
//! A page of a file is owned (a boxed page), or still in the image (the archive, which nobody copies), or a
//! hole (zeros). So a program file costs no memory beside the archive, and a sparse file only its pages.
//!
//! Invariants: the image ends within the file; bytes of owned pages beyond the file's end are zero,
//! except between `room` and `abandon`, which restores it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use parley_abi::{Errno, PAGE};
use parley_rt::state::{Reader, Writer};

/// Largest file, in bytes.
pub const MAX_FILE: usize = 64 << 20;

type Page = Box<[u8; PAGE]>;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// The bytes of one file.
#[derive(Default)]
pub struct Content {
    size: usize,
    image: &'static [u8],
    pages: Vec<Option<Page>>,
}

impl Content {
    /// A file with these bytes. EFBIG: more than [`MAX_FILE`].
    pub fn from_image(image: &'static [u8]) -> Result<Content, Errno> {
        if image.len() > MAX_FILE {
            return Err(Errno::EFBIG);
        }
        Ok(Content { size: image.len(), image, pages: Vec::new() })
    }

    /// Writes the file down; of bytes in the archive only where they are. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>, archive: &'static [u8]) -> Result<(), Errno> {
        let image = self.image.as_ptr().addr().wrapping_sub(archive.as_ptr().addr());
        let image = if self.image.is_empty() { 0 } else { image };
        writer.put(&(self.size, image, self.image.len()))?;
        writer.put(&self.pages.len())?;
        writer.put(&self.pages.iter().flatten().count())?;
        for (index, page) in self.pages.iter().enumerate() {
            if let Some(page) = page {
                writer.put(&index)?;
                writer.put_bytes(&page[..])?;
            }
        }
        Ok(())
    }

    /// Reads a file that [`Content::put`] wrote. EINVAL: it is none. ENOMEM.
    pub fn take(reader: &mut Reader<'_>, archive: &'static [u8]) -> Result<Content, Errno> {
        let (size, image, length): (usize, usize, usize) = reader.take()?;
        let end = image.checked_add(length).ok_or(Errno::EINVAL)?;
        let image = archive.get(image..end).ok_or(Errno::EINVAL)?;
        let pages: usize = reader.take()?;
        if size > MAX_FILE || length > size || pages > size.div_ceil(PAGE) {
            return Err(Errno::EINVAL);
        }
        let mut content = Content { size, image, pages: Vec::new() };
        content.pages.try_reserve_exact(pages).map_err(|_| Errno::ENOMEM)?;
        content.pages.resize_with(pages, || None);
        for _ in 0..reader.take_length()? {
            let (index, bytes): (usize, &[u8]) = (reader.take()?, reader.take()?);
            let place = content.pages.get_mut(index).filter(|_| bytes.len() == PAGE).ok_or(Errno::EINVAL)?;
            *place = Some(page_of(bytes).map_err(|_| Errno::ENOMEM)?);
        }
        Ok(content)
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size as u64
    }

    /// Bytes from `offset` on, as many as lie together; none at the end of the file.
    pub fn peek(&self, offset: u64) -> &[u8] {
        if offset >= self.size as u64 {
            return &[];
        }
        let offset = offset as usize;
        let (page, within) = (offset / PAGE, offset % PAGE);
        let left = self.size - offset;
        if let Some(Some(owned)) = self.pages.get(page) {
            return clip(&owned[within..], left);
        }
        match self.image.get(offset..) {
            Some(image) if self.pages.is_empty() && !image.is_empty() => image,
            Some(image) if !image.is_empty() => clip(image, PAGE - within),
            _ => clip(&ZEROS[within..], left),
        }
    }

    /// The owned page that `offset` lies in, from there on. EFBIG, ENOSPC.
    pub fn room(&mut self, offset: u64) -> Result<&mut [u8], Errno> {
        if offset >= MAX_FILE as u64 {
            return Err(Errno::EFBIG);
        }
        let (index, within) = (offset as usize / PAGE, offset as usize % PAGE);
        if index >= self.pages.len() {
            self.pages.try_reserve(index + 1 - self.pages.len()).map_err(|_| Errno::ENOSPC)?;
            self.pages.resize_with(index + 1, || None);
        }
        let page = match &mut self.pages[index] {
            Some(page) => page,
            hole => hole.insert(page_of(self.image.get(index * PAGE..).unwrap_or(&[]))?),
        };
        Ok(&mut page[within..])
    }

    /// Bytes up to `end` are valid.
    pub fn commit(&mut self, end: u64) {
        self.size = self.size.max(end.min(MAX_FILE as u64) as usize);
    }

    /// Drops what `room` prepared and nobody committed.
    pub fn abandon(&mut self) {
        self.resize(self.size);
    }

    /// Cuts or extends the file; see [`crate::fs::FileSystem::truncate`].
    pub fn truncate(&mut self, size: u64) -> Result<(), Errno> {
        if size > MAX_FILE as u64 {
            return Err(Errno::EFBIG);
        }
        self.resize(size as usize);
        Ok(())
    }

    fn resize(&mut self, size: usize) {
        self.size = size;
        self.image = clip(self.image, size);
        self.pages.truncate(size.div_ceil(PAGE));
        if let Some(Some(last)) = self.pages.get_mut(size / PAGE) {
            last[size % PAGE..].fill(0);
        }
    }
}

/// The first `len` bytes, or all if there are fewer.
pub fn clip(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

/// An owned page that begins with `start` and goes on with zeros. ENOSPC.
fn page_of(start: &[u8]) -> Result<Page, Errno> {
    let mut page = Vec::new();
    page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOSPC)?;
    page.extend_from_slice(clip(start, PAGE));
    page.resize(PAGE, 0);
    // The vector has exactly a page, so this converts in place.
    Page::try_from(page).map_err(|_| Errno::ENOSPC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(content: &Content) -> Vec<u8> {
        let mut all = Vec::new();
        while !content.peek(all.len() as u64).is_empty() {
            all.extend_from_slice(content.peek(all.len() as u64));
        }
        all
    }

    fn put(content: &mut Content, offset: usize, data: &[u8]) {
        content.room(offset as u64).unwrap()[..data.len()].copy_from_slice(data);
        content.commit((offset + data.len()) as u64);
    }

    #[test]
    fn an_image_is_lent_whole() {
        let content = Content::from_image(&[7; 10_000]).unwrap();
        assert_eq!(content.peek(1).len(), 9_999);
        assert!(content.peek(10_000).is_empty());
        assert!(content.peek(u64::MAX).is_empty());
    }

    #[test]
    fn a_write_copies_one_page_of_the_image() {
        let mut content = Content::from_image(&[7; 10_000]).unwrap();
        put(&mut content, 5_000, b"xy");
        let mut expected = [7; 10_000];
        expected[5_000..5_002].copy_from_slice(b"xy");
        assert_eq!(bytes(&content), expected);
        assert_eq!(content.pages.iter().flatten().count(), 1);
    }

    #[test]
    fn holes_and_regrown_ends_are_zero() {
        let mut content = Content::from_image(&[7; 5_000]).unwrap();
        content.truncate(4_500).unwrap();
        content.truncate(5_000).unwrap();
        assert_eq!(bytes(&content)[4_400..4_600], [[7; 100], [0; 100]].concat());
        put(&mut content, 20_000, b"z");
        assert_eq!(bytes(&content)[4_500..20_000], [0; 15_500]);
        content.truncate(4).unwrap();
        put(&mut content, 6, b"q");
        assert_eq!(bytes(&content), [7, 7, 7, 7, 0, 0, b'q']);
    }

    #[test]
    fn the_end_of_a_cut_page_is_zero() {
        let mut content = Content::default();
        put(&mut content, 0, &[9; 100]);
        content.truncate(4).unwrap();
        content.truncate(8).unwrap();
        assert_eq!(bytes(&content), [9, 9, 9, 9, 0, 0, 0, 0]);
    }

    #[test]
    fn what_was_not_committed_is_not_seen() {
        let mut content = Content::default();
        content.room(10).unwrap().fill(9);
        content.abandon();
        put(&mut content, 20, b"a");
        assert_eq!(bytes(&content)[..20], [0; 20]);
    }

    #[test]
    fn files_end_somewhere() {
        let mut content = Content::default();
        assert_eq!(content.room(MAX_FILE as u64), Err(Errno::EFBIG));
        assert_eq!(content.truncate(MAX_FILE as u64 + 1), Err(Errno::EFBIG));
    }
}
