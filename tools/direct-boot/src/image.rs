//! Plans where the kernel's segments go, and puts them there.
//!
//! The protocol promises one physically contiguous image and the permissions of each segment on its pages, so every
//! segment must have its pages to itself.

use elf::{ElfBytes, abi, endian::LittleEndian, file::Class, segment::ProgramHeader};
use heapless::Vec;

use crate::{BootError, PAGE, error::SegmentRule, memory::Span, page_up, protocol::KERNEL_BASE};

/// Most segments a kernel may have.
pub const MAX_SEGMENTS: usize = 16;

/// A loadable segment. Addresses are virtual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The pages it occupies.
    pub pages: Span,
    /// Where its bytes start in the file.
    file_start: u64,
    /// How many bytes the file has of it; the rest is zero.
    file_size: u64,
    /// Whether the kernel may write to it.
    pub writable: bool,
    /// Whether the kernel may execute it.
    pub executable: bool,
}

/// Where everything of the kernel goes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The kernel's virtual addresses, whole pages.
    pub span: Span,
    /// The ELF header's entry point.
    pub entry: u64,
    /// The segments, by ascending address.
    pub segments: Vec<Segment, MAX_SEGMENTS>,
}

impl Plan {
    /// Reads and checks the kernel's ELF headers.
    ///
    /// # Errors
    /// One of the kernel's variants of [`BootError`], from `NotElf` to `BadSegment`.
    pub fn new(file: &[u8]) -> Result<Self, BootError> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| BootError::NotElf)?;
        let header = elf.ehdr;
        if header.class != Class::ELF64 {
            return Err(BootError::NotElf);
        }
        if header.e_type != abi::ET_EXEC || header.e_machine != abi::EM_X86_64 {
            return Err(BootError::WrongElf { kind: header.e_type, machine: header.e_machine });
        }
        let mut segments = Vec::new();
        let loadable = |header: &ProgramHeader| header.p_type == abi::PT_LOAD && header.p_memsz > 0;
        for header in elf.segments().ok_or(BootError::NoSegments)?.iter().filter(loadable) {
            let segment = segment(&header, file.len() as u64)?;
            segments.push(segment).map_err(|_| BootError::TooMany { what: "segments", limit: MAX_SEGMENTS })?;
        }
        Self::arrange(segments, header.e_entry)
    }

    fn arrange(mut segments: Vec<Segment, MAX_SEGMENTS>, entry: u64) -> Result<Self, BootError> {
        segments.sort_unstable_by_key(|segment| segment.pages.start);
        if let Some(pair) = segments.windows(2).find(|pair| pair[0].pages.end > pair[1].pages.start) {
            return Err(broken(pair[1].pages.start, SegmentRule::Disjoint));
        }
        match (segments.first(), segments.last()) {
            (Some(first), Some(last)) => {
                let span = Span { start: first.pages.start, end: last.pages.end };
                Ok(Self { span, entry, segments })
            }
            _ => Err(BootError::NoSegments),
        }
    }

    /// Copies the segments of `file` into `image`, which is as long as [`Plan::span`], and clears the rest of it.
    ///
    /// # Errors
    /// [`BootError::Internal`] where file or image are not those of the plan.
    pub fn place(&self, file: &[u8], image: &mut [u8]) -> Result<(), BootError> {
        image.fill(0);
        for segment in &self.segments {
            let at = (segment.pages.start - self.span.start) as usize;
            let (from, size) = (segment.file_start as usize, segment.file_size as usize);
            let target = image.get_mut(at..at + size).ok_or(BootError::Internal("image size"))?;
            target.copy_from_slice(file.get(from..from + size).ok_or(BootError::Internal("kernel file"))?);
        }
        Ok(())
    }

    /// How much of the image comes from the file, in bytes: requests can only be there.
    #[must_use]
    pub fn initialised(&self) -> usize {
        let end = |segment: &Segment| segment.pages.start - self.span.start + segment.file_size;
        self.segments.iter().map(end).max().unwrap_or(0) as usize
    }

    /// Hands `entry` back if the kernel can start there.
    ///
    /// # Errors
    /// [`BootError::BadEntry`] where it is in no executable segment.
    pub fn checked_entry(&self, entry: u64) -> Result<u64, BootError> {
        let holds = |s: &Segment| s.executable && s.pages.start <= entry && entry < s.pages.end;
        if self.segments.iter().any(holds) { Ok(entry) } else { Err(BootError::BadEntry(entry)) }
    }
}

/// Checks one program header against a file of `file_size` bytes.
fn segment(header: &ProgramHeader, file_size: u64) -> Result<Segment, BootError> {
    let start = header.p_vaddr;
    if start < KERNEL_BASE {
        return Err(broken(start, SegmentRule::HigherHalf));
    }
    if !start.is_multiple_of(PAGE) {
        return Err(broken(start, SegmentRule::PageAligned));
    }
    let inside = header.p_offset.checked_add(header.p_filesz).is_some_and(|end| end <= file_size);
    let end = start.checked_add(header.p_memsz).and_then(page_up);
    match end {
        Some(end) if inside && header.p_filesz <= header.p_memsz => Ok(Segment {
            pages: Span { start, end },
            file_start: header.p_offset,
            file_size: header.p_filesz,
            writable: header.p_flags & abi::PF_W != 0,
            executable: header.p_flags & abi::PF_X != 0,
        }),
        _ => Err(broken(start, SegmentRule::InsideFile)),
    }
}

const fn broken(address: u64, rule: SegmentRule) -> BootError {
    BootError::BadSegment { address, rule }
}

#[cfg(test)]
mod tests;
