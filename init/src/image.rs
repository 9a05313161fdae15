//! A program file, checked: which of its parts go where.
//!
//! A file is a claim. Everything that the loader later relies on is verified here, from the headers
//! alone, so that no file can make init map over itself, map anything writable and executable, or work
//! without bound. Only static executables for x86-64 (ELF-64, `ET_EXEC`) run (System V ABI, chapter 5).

use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};
use parley_abi::call::prot;
use parley_abi::wants::{self, Note};
use parley_abi::{Errno, PAGE, USER_END, USER_START};

use crate::file::Source;

/// Loadable segments that an image may have.
pub const SEGMENTS: usize = 16;
/// Program headers that an image may have.
const HEADERS: usize = 64;
/// Bytes of the ELF header.
const HEADER_SIZE: usize = 64;
/// Bytes of a program header.
pub const ENTRY_SIZE: usize = 56;

const PAGE_SIZE: u64 = PAGE as u64;

/// A part of the file that is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// First page's address.
    pub address: u64,
    /// Pages it takes.
    pub pages: u64,
    /// Where its bytes begin in the first page.
    pub skip: u64,
    /// Where they begin in the file.
    pub offset: u64,
    /// How many there are; the rest is zero.
    pub bytes: u64,
    /// Protection, bits of [`prot`].
    pub prot: u64,
}

impl Segment {
    fn end(&self) -> u64 {
        self.address + self.pages * PAGE_SIZE
    }
}

/// What a program file says.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// First instruction.
    pub entry: u64,
    /// Where the program headers lie in memory, if a segment covers them.
    pub headers: Option<u64>,
    /// How many program headers there are.
    pub header_count: u64,
    /// What it says that it needs, bits of [`parley_abi::wants`]; 0 if it says nothing.
    pub wants: u64,
    segments: [Segment; SEGMENTS],
    used: usize,
}

impl Image {
    /// Reads and checks the headers of a program file.
    ///
    /// ENOEXEC: not an executable that can be run here, or a broken one. Other errors: the file's.
    pub fn read(file: &mut impl Source) -> Result<Image, Errno> {
        let header = file_header(file)?;
        let count = usize::from(header.e_phnum);
        let mut table = [0; HEADERS * ENTRY_SIZE];
        let table = table.get_mut(..count * ENTRY_SIZE).ok_or(Errno::ENOEXEC)?;
        read_exactly(file, header.e_phoff, table)?;
        let mut image = Image {
            entry: header.e_entry,
            headers: None,
            header_count: count as u64,
            wants: 0,
            segments: [Segment::default(); SEGMENTS],
            used: 0,
        };
        for entry in SegmentTable::new(LittleEndian, Class::ELF64, table).iter() {
            image.take(&entry, file.len())?;
            if entry.p_type == abi::PT_NOTE && entry.p_filesz >= wants::SIZE as u64 {
                let mut note = [0; wants::SIZE];
                read_exactly(file, entry.p_offset, &mut note)?;
                image.wants |= Note::read(&note).unwrap_or_default();
            }
        }
        image.check_entry()?;
        image.headers = image.address_of(header.e_phoff, table.len() as u64);
        Ok(image)
    }

    /// The segments, in the order of their addresses.
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.used]
    }

    /// Pages that all segments take together.
    pub fn pages(&self) -> u64 {
        self.segments().iter().map(|segment| segment.pages).sum()
    }

    /// Considers one program header.
    fn take(&mut self, header: &ProgramHeader, length: u64) -> Result<(), Errno> {
        match header.p_type {
            abi::PT_LOAD if header.p_memsz > 0 => self.add(segment(header, length)?),
            // It wants a dynamic linker.
            abi::PT_INTERP => Err(Errno::ENOEXEC),
            _ => Ok(()),
        }
    }

    /// Adds a segment, which must lie behind the others, as the ABI demands.
    fn add(&mut self, segment: Segment) -> Result<(), Errno> {
        if self.segments().last().is_some_and(|last| segment.address < last.end()) {
            return Err(Errno::ENOEXEC);
        }
        *self.segments.get_mut(self.used).ok_or(Errno::ENOEXEC)? = segment;
        self.used += 1;
        Ok(())
    }

    fn check_entry(&self) -> Result<(), Errno> {
        let covers = |segment: &&Segment| (segment.address..segment.end()).contains(&self.entry);
        match self.segments().iter().find(covers) {
            Some(segment) if segment.prot & prot::EXECUTE != 0 => Ok(()),
            _ => Err(Errno::ENOEXEC),
        }
    }

    /// Where `length` bytes of the file at `offset` lie in memory, if one segment has them all.
    fn address_of(&self, offset: u64, length: u64) -> Option<u64> {
        let end = offset.checked_add(length)?;
        let holds = |segment: &&Segment| segment.offset <= offset && end <= segment.offset + segment.bytes;
        let segment = self.segments().iter().find(holds)?;
        Some(segment.address + segment.skip + (offset - segment.offset))
    }
}

/// The ELF header of an executable for this machine.
fn file_header(file: &mut impl Source) -> Result<FileHeader<LittleEndian>, Errno> {
    let mut bytes = [0; HEADER_SIZE];
    read_exactly(file, 0, &mut bytes)?;
    let (ident, tail) = bytes.split_at(abi::EI_NIDENT);
    let ident = parse_ident::<LittleEndian>(ident).map_err(|_| Errno::ENOEXEC)?;
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| Errno::ENOEXEC)?;
    let runs_here = header.class == Class::ELF64
        && header.e_type == abi::ET_EXEC
        && header.e_machine == abi::EM_X86_64
        && usize::from(header.e_phentsize) == ENTRY_SIZE;
    if runs_here { Ok(header) } else { Err(Errno::ENOEXEC) }
}

/// Checks one loadable segment of a file of `length` bytes.
fn segment(header: &ProgramHeader, length: u64) -> Result<Segment, Errno> {
    let ProgramHeader { p_offset: offset, p_vaddr: start, p_filesz: bytes, p_memsz: size, .. } = *header;
    let end = start.checked_add(size).ok_or(Errno::ENOEXEC)?;
    let in_file = offset.checked_add(bytes).is_some_and(|end| end <= length);
    let in_user_space = start >= USER_START && end <= USER_END;
    let congruent = offset % PAGE_SIZE == start % PAGE_SIZE;
    if !(in_file && in_user_space && congruent && bytes <= size) {
        return Err(Errno::ENOEXEC);
    }
    let skip = start % PAGE_SIZE;
    let (address, pages) = (start - skip, (skip + size).div_ceil(PAGE_SIZE));
    Ok(Segment { address, pages, skip, offset, bytes, prot: protection(header.p_flags)? })
}

/// The protection that a segment's flags ask for; writable and executable at once is refused.
fn protection(flags: u32) -> Result<u64, Errno> {
    let (write, execute) = (flags & abi::PF_W != 0, flags & abi::PF_X != 0);
    match (write, execute) {
        (true, true) => Err(Errno::ENOEXEC),
        (true, false) => Ok(prot::READ | prot::WRITE),
        (false, true) => Ok(prot::READ | prot::EXECUTE),
        (false, false) => Ok(prot::READ),
    }
}

/// Fills `into` from `offset`. ENOEXEC: the file ends before.
pub fn read_exactly(file: &mut impl Source, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < into.len() {
        let at = offset.checked_add(done as u64).ok_or(Errno::ENOEXEC)?;
        match file.read_at(at, &mut into[done..])? {
            0 => return Err(Errno::ENOEXEC),
            count => done += count,
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const READ_EXECUTE: u32 = abi::PF_R | abi::PF_X;
    const READ_WRITE: u32 = abi::PF_R | abi::PF_W;

    /// flags, offset, address, bytes in the file, bytes in memory
    type Load = (u32, u64, u64, u64, u64);

    const TEXT: Load = (READ_EXECUTE, 0, 0x40_0000, 0x1000, 0x1000);
    const DATA: Load = (READ_WRITE, 0x1010, 0x40_2010, 0x20, 0x3000);

    fn file(entry: u64, loads: &[Load]) -> Vec<u8> {
        let mut bytes = vec![0u8; 0x2000];
        bytes[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        bytes[16..18].copy_from_slice(&abi::ET_EXEC.to_le_bytes());
        bytes[18..20].copy_from_slice(&abi::EM_X86_64.to_le_bytes());
        bytes[20..24].copy_from_slice(&1u32.to_le_bytes());
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        bytes[32..40].copy_from_slice(&64u64.to_le_bytes());
        bytes[52..54].copy_from_slice(&64u16.to_le_bytes());
        bytes[54..56].copy_from_slice(&(ENTRY_SIZE as u16).to_le_bytes());
        bytes[56..58].copy_from_slice(&(loads.len() as u16).to_le_bytes());
        for (index, &(flags, offset, address, in_file, in_memory)) in loads.iter().enumerate() {
            let at = 64 + index * ENTRY_SIZE;
            bytes[at..at + 4].copy_from_slice(&abi::PT_LOAD.to_le_bytes());
            bytes[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
            let words = [offset, address, address, in_file, in_memory, 0x1000];
            for (word, value) in words.iter().enumerate() {
                bytes[at + 8 + word * 8..at + 16 + word * 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Image, Errno> {
        Image::read(&mut { bytes })
    }

    /// An image for the tests of other modules.
    pub fn sample() -> Image {
        read(&file(0x40_0040, &[TEXT, DATA])).unwrap()
    }

    fn refused(loads: &[Load]) -> bool {
        matches!(read(&file(0x40_0000, loads)), Err(Errno::ENOEXEC))
    }

    #[test]
    fn a_good_file_is_understood() {
        let image = read(&file(0x40_0040, &[TEXT, DATA])).unwrap();
        assert_eq!((image.entry, image.headers, image.header_count), (0x40_0040, Some(0x40_0040), 2));
        let data = Segment {
            address: 0x40_2000,
            pages: 4,
            skip: 0x10,
            offset: 0x1010,
            bytes: 0x20,
            prot: prot::READ | prot::WRITE,
        };
        assert_eq!(image.segments()[1], data);
    }

    #[test]
    fn bad_segments_are_refused() {
        let (flags, offset, address, bytes, size) = DATA;
        assert!(refused(&[TEXT, (READ_EXECUTE | abi::PF_W, offset, address, bytes, size)]), "W and X");
        assert!(refused(&[TEXT, (flags, offset + 1, address, bytes, size)]), "unaligned");
        assert!(refused(&[TEXT, (flags, offset, address, bytes, bytes - 1)]), "more in the file than in memory");
        assert!(refused(&[TEXT, (flags, 0x10, 0x40_0010, bytes, size)]), "overlapping");
        assert!(refused(&[TEXT, (flags, 0xf10, 0x40_0f10, bytes, size)]), "overlapping by page");
        assert!(refused(&[TEXT, (flags, offset, 0xffff_8000_0000_0010, bytes, size)]), "kernel range");
        assert!(refused(&[TEXT, (flags, offset, address, bytes, u64::MAX)]), "wraps around");
        assert!(refused(&[TEXT, (flags, offset, address, 0x1000, size)]), "longer than the file");
        assert!(refused(&[(READ_EXECUTE, 0, 0, 0x1000, 0x1000), TEXT]), "page zero");
    }

    #[test]
    fn the_entry_must_be_executable() {
        for entry in [0, 0x40_1000, 0x40_2010, u64::MAX] {
            assert_eq!(read(&file(entry, &[TEXT, DATA])).err(), Some(Errno::ENOEXEC), "{entry:#x}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = file(0x40_0000, &[TEXT, DATA]);
        for length in 0..0x1030 {
            assert_eq!(read(&whole[..length]).err(), Some(Errno::ENOEXEC), "{length} bytes");
        }
    }

    fn is_sound(image: &Image) -> bool {
        let inside = |segment: &Segment| segment.address >= USER_START && segment.end() <= USER_END;
        let apart = |pair: &[Segment]| pair[0].end() <= pair[1].address;
        image.segments().iter().all(inside) && image.segments().windows(2).all(apart)
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn mutated_files_are_sound_or_refused(
            changes in prop::collection::vec((0usize..64 + 3 * ENTRY_SIZE, any::<u8>()), 1..8),
        ) {
            let mut bytes = file(0x40_0000, &[TEXT, DATA]);
            for (place, value) in changes {
                bytes[place] = value;
            }
            if let Ok(image) = read(&bytes) {
                prop_assert!(is_sound(&image));
            }
        }

        #[test]
        fn arbitrary_segments_are_sound_or_refused(
            offset in any::<u64>(), address in any::<u64>(), bytes in any::<u64>(), size in any::<u64>(),
        ) {
            if let Ok(image) = read(&file(0x40_0000, &[TEXT, (READ_WRITE, offset, address, bytes, size)])) {
                prop_assert!(is_sound(&image));
            }
        }
    }
}
