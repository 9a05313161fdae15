//! This program as a cell gets it: constants shared, what can be written copied.

use alloc::vec::Vec;
use parley_abi::call::prot;
use parley_abi::{Errno, PAGE, slot};
use parley_rt::{auxv, sys};

use crate::scope::Scope;
use crate::trouble::Trouble;

/// A program header (System V ABI, "ELF-64 Object File Format").
#[repr(C)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

const LOAD: u32 = 1;
const EXECUTABLE: u32 = 1;
const WRITABLE: u32 = 2;

/// A segment of the program.
struct Segment {
    address: u64,
    pages: u64,
    prot: u64,
    /// The memory object that every cell maps; `None` if each gets a copy of its own.
    shared: Option<u32>,
}

/// All segments.
pub struct Image(Vec<Segment>);

impl Image {
    /// Copies what is constant. Errors: the memory that this takes.
    pub fn of_this_program(args: parley_rt::Args) -> Result<Image, Trouble> {
        let missing = || Trouble::new(format_args!("the program headers are not in the auxiliary vector"));
        let at = args.auxiliary(auxv::PHDR).ok_or_else(missing)?;
        let count = args.auxiliary(auxv::PHNUM).ok_or_else(missing)?;
        let first = core::ptr::with_exposed_provenance::<Header>(at as usize);
        // SAFETY: whoever started the program says that so many headers are there; they are constant.
        let headers = unsafe { core::slice::from_raw_parts(first, count as usize) };
        let segments = headers.iter().filter(|header| header.kind == LOAD).map(Segment::new);
        Ok(Image(segments.collect::<Result<_, _>>()?))
    }

    /// Maps the program in `space`; `scope` pays for the copies.
    pub fn map(&self, space: u32, scope: &Scope) -> Result<(), Errno> {
        self.0.iter().try_for_each(|segment| segment.map(space, scope))
    }
}

impl Segment {
    fn new(header: &Header) -> Result<Segment, Errno> {
        let address = header.address & !(PAGE as u64 - 1);
        let pages = (header.address + header.size - address).div_ceil(PAGE as u64);
        let prot = match header.flags {
            flags if flags & EXECUTABLE != 0 => prot::READ | prot::EXECUTE,
            flags if flags & WRITABLE != 0 => prot::READ | prot::WRITE,
            _ => prot::READ,
        };
        let mut segment = Segment { address, pages, prot, shared: None };
        if prot & prot::WRITE == 0 {
            let mem = sys::mem_create(slot::QUOTA, pages)?;
            segment.copy_to(mem)?;
            segment.shared = Some(mem);
        }
        Ok(segment)
    }

    fn map(&self, space: u32, scope: &Scope) -> Result<(), Errno> {
        let mem = match self.shared {
            Some(mem) => mem,
            None => {
                let mem = scope.mem(self.pages)?;
                self.copy_to(mem)?;
                mem
            }
        };
        sys::map(space, mem, self.address, 0, self.pages, self.prot)
    }

    fn copy_to(&self, mem: u32) -> Result<(), Errno> {
        let from = core::ptr::with_exposed_provenance::<u8>(self.address as usize);
        // SAFETY: the segment is mapped for the life of the program; the parent has one thread, which is
        // here, so that nothing in it changes meanwhile.
        let bytes = unsafe { core::slice::from_raw_parts(from, (self.pages * PAGE as u64) as usize) };
        sys::mem_write(mem, 0, bytes)
    }
}
