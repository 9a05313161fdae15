//! ELF files made at run time: one that works, and fields to break.

use alloc::vec::Vec;

/// Byte offsets of fields of the ELF header (System V ABI, "ELF-64 Object File Format").
pub mod header {
    #![allow(missing_docs)]
    pub const CLASS: usize = 4;
    pub const TYPE: usize = 16;
    pub const MACHINE: usize = 18;
    pub const VERSION: usize = 20;
    pub const ENTRY: usize = 24;
    pub const PHOFF: usize = 32;
    pub const EHSIZE: usize = 52;
    pub const PHENTSIZE: usize = 54;
    pub const PHNUM: usize = 56;
    pub const SIZE: usize = 64;
}

/// Byte offsets of fields of a program header.
pub mod segment {
    #![allow(missing_docs)]
    pub const TYPE: usize = 0;
    pub const FLAGS: usize = 4;
    pub const OFFSET: usize = 8;
    pub const VADDR: usize = 16;
    pub const PADDR: usize = 24;
    pub const FILESZ: usize = 32;
    pub const MEMSZ: usize = 40;
    pub const ALIGN: usize = 48;
    pub const SIZE: usize = 56;
}

/// Exit status of the working file.
pub const STATUS: i32 = 7;
/// Where it is linked.
pub const BASE: u64 = 0x40_0000;

/// `exit(7)` with Linux's number.
const CODE: [u8; 11] = [0xb8, 60, 0, 0, 0, 0x6a, STATUS as u8, 0x5f, 0x0f, 0x05, 0xf4];
const SEGMENTS: usize = 2;
const CODE_AT: usize = header::SIZE + SEGMENTS * segment::SIZE;

/// A file that works: code and headers in one segment, a page of zeros in a second.
pub struct Elf(pub Vec<u8>);

impl Elf {
    /// The file.
    pub fn new() -> Elf {
        let length = CODE_AT + CODE.len();
        let mut elf = Elf(alloc::vec![0; length]);
        elf.0[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf.put16(header::TYPE, 2);
        elf.put16(header::MACHINE, 62);
        elf.put32(header::VERSION, 1);
        elf.put64(header::ENTRY, BASE + CODE_AT as u64);
        elf.put64(header::PHOFF, header::SIZE as u64);
        elf.put16(header::EHSIZE, header::SIZE as u16);
        elf.put16(header::PHENTSIZE, segment::SIZE as u16);
        elf.put16(header::PHNUM, SEGMENTS as u16);
        elf.load(0, 5, BASE, length as u64, length as u64);
        elf.load(1, 6, BASE + 0x1000, 0, 0x1000);
        elf.0[CODE_AT..].copy_from_slice(&CODE);
        elf
    }

    /// Offset of field `field` of segment `index`.
    pub fn segment(index: usize, field: usize) -> usize {
        header::SIZE + index * segment::SIZE + field
    }

    fn load(&mut self, index: usize, flags: u32, at: u64, filesz: u64, memsz: u64) {
        let field = |field| Elf::segment(index, field);
        self.put32(field(segment::TYPE), 1);
        self.put32(field(segment::FLAGS), flags);
        self.put64(field(segment::VADDR), at);
        self.put64(field(segment::PADDR), at);
        self.put64(field(segment::FILESZ), filesz);
        self.put64(field(segment::MEMSZ), memsz);
        self.put64(field(segment::ALIGN), 0x1000);
    }

    /// Sets two bytes.
    pub fn put16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }
    /// Sets four bytes.
    pub fn put32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }
    /// Sets eight bytes.
    pub fn put64(&mut self, at: usize, value: u64) {
        self.put(at, &value.to_le_bytes());
    }
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
