//! Makes a process of a program file.
//!
//! Quota, address space, memory, stack, thread, in this order; if a step fails, dropping what was made
//! undoes the others. The new process pays for everything, its page tables included.

use alloc::vec::Vec;

use parley_abi::call::{Rights, prot};
use parley_abi::{Errno, PAGE, slot};
use parley_rt::sys::{self, NewThread};

use crate::file::Source;
use crate::handle::{Handle, Quota};
use crate::image::{Image, Segment, read_exactly};
use crate::stack::{self, Facts};

/// Bytes that are copied at a time.
const CHUNK: usize = 64 * 1024;
/// Fewer pages than these are no process.
const FEWEST: u64 = 64;

/// What init holds of a process. Dropping it ends the process. (Fields are dropped in this order: the
/// quota takes the objects with it, the rest are slots.)
#[derive(Debug)]
pub struct Process {
    /// Pays for everything.
    pub quota: Quota,
    /// The address space.
    pub space: Handle,
    /// The first thread.
    pub thread: Handle,
}

impl Process {
    /// Loads a program into a new process, whose one thread is not started yet.
    ///
    /// ENOEXEC: not a program that runs here. ENOMEM: `pages` or what is left is not enough. E2BIG,
    /// EINVAL: as [`stack::build`]. Other errors: the file's.
    pub fn load(
        file: &mut impl Source,
        args: &[u8],
        facts: &Facts,
        pages: u64,
        priority: u8,
    ) -> Result<Process, Errno> {
        let image = Image::read(file)?;
        Process::of_image(file, &image, &[], args, facts, (pages, priority))
    }

    /// As [`Process::load`], of a program that has been looked at, and of which these parts are in memory already.
    pub fn of_image(
        file: &mut impl Source,
        image: &Image,
        ready: &[Option<Handle>],
        args: &[u8],
        facts: &Facts,
        (pages, priority): (u64, u8),
    ) -> Result<Process, Errno> {
        let stack = stack::build(image, args, facts)?;
        let pages = affordable(pages)?;
        if image.pages() > pages {
            return Err(Errno::ENOMEM);
        }
        let quota = Quota::new(pages)?;
        let space = Handle::new(sys::space_create(quota.handle().slot())?);
        for (index, segment) in image.segments().iter().enumerate() {
            match ready.get(index) {
                Some(Some(mem)) => map(&space, mem, segment.address, segment.pages, segment.prot)?,
                _ => map(&space, &fill(&quota, file, segment)?, segment.address, segment.pages, segment.prot)?,
            }
        }
        map_stack(&quota, &space, &stack)?;
        space.grant(&space, slot::SPACE, Rights::MANAGE)?;
        quota.handle().grant(&space, slot::QUOTA, Rights::MANAGE)?;
        let thread = thread(&quota, &space, image, &stack, priority)?;
        Ok(Process { quota, space, thread })
    }

    /// Lets it run. Errors: see [`parley_abi::call::THREAD_START`].
    pub fn start(&self) -> Result<(), Errno> {
        sys::thread_start(self.thread.slot())
    }

    /// Number of its address space, as `THREAD_INFO` has it; 0 if the core does not tell.
    pub fn space_number(&self) -> u32 {
        sys::handle_info(self.space.slot()).map_or(0, |info| info.2)
    }
}

/// How many pages a process gets that wants `pages`: at most three quarters of what init has left, so
/// that one process never takes all. ENOMEM: too few to run anything.
fn affordable(pages: u64) -> Result<u64, Errno> {
    let (used, granted) = sys::quota_info(slot::QUOTA)?;
    let left = u64::from(granted.saturating_sub(used));
    match pages.min(left / 4 * 3) {
        ..FEWEST => Err(Errno::ENOMEM),
        pages => Ok(pages),
    }
}

/// Memory with what the file has for a segment. Errors: see [`Process::load`].
pub fn fill(quota: &Quota, file: &mut impl Source, segment: &Segment) -> Result<Handle, Errno> {
    let mem = Handle::new(sys::mem_create(quota.handle().slot(), segment.pages)?);
    if let Some(bytes) = file.bytes() {
        let start = segment.offset as usize;
        let part = bytes.get(start..start + segment.bytes as usize).ok_or(Errno::ENOEXEC)?;
        sys::mem_write(mem.slot(), segment.skip, part)?;
        return Ok(mem);
    }
    let mut chunk = Vec::new();
    chunk.try_reserve_exact(CHUNK).map_err(|_| Errno::ENOMEM)?;
    let mut done = 0;
    while done < segment.bytes {
        chunk.resize((segment.bytes - done).min(CHUNK as u64) as usize, 0);
        read_exactly(file, segment.offset + done, &mut chunk)?;
        sys::mem_write(mem.slot(), segment.skip + done, &chunk)?;
        done += chunk.len() as u64;
    }
    Ok(mem)
}

fn map_stack(quota: &Quota, space: &Handle, stack: &stack::Stack) -> Result<(), Errno> {
    let mem = Handle::new(sys::mem_create(quota.handle().slot(), stack::PAGES)?);
    let size = stack::PAGES * PAGE as u64;
    sys::mem_write(mem.slot(), size - stack.bytes.len() as u64, &stack.bytes)?;
    map(space, &mem, stack::TOP - size, stack::PAGES, prot::READ | prot::WRITE)
}

/// EEXIST would mean that a segment lies where the stack belongs, which is the file's fault.
pub fn map(space: &Handle, mem: &Handle, at: u64, pages: u64, prot: u64) -> Result<(), Errno> {
    sys::map(space.slot(), mem.slot(), at, 0, pages, prot).map_err(|errno| match errno {
        Errno::EEXIST => Errno::ENOEXEC,
        other => other,
    })
}

fn thread(quota: &Quota, space: &Handle, image: &Image, stack: &stack::Stack, priority: u8) -> Result<Handle, Errno> {
    let new = NewThread { entry: image.entry, stack: stack.pointer, argument: 0, priority };
    // SAFETY: the thread runs in another address space than init's.
    unsafe { sys::thread_create(space.slot(), quota.handle().slot(), new) }.map(Handle::new)
}
