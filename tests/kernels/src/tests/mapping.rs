//! Memory objects and address spaces.

use parley_abi::call::prot::{EXECUTE, READ, WRITE};
use parley_abi::linux::nr;
use parley_abi::{Errno, PAGE, USER_END, slot};
use parley_rt::sys;

use crate::tool::file::with_open;
use crate::tool::sandbox::{DATA_AT, Sandbox};
use crate::tool::scope::Scope;
use crate::tool::verdict::Verdict;

tests![memory_is_zero, two_mappings_one_memory, unmapped_is_gone, unmapped_page_faults, bad_mappings, mem_bounds];

/// Addresses that nothing of this program uses.
const AT: u64 = 0x31_0000_0000;
const PAGE64: u64 = PAGE as u64;

fn memory_is_zero() -> Verdict {
    for _ in 0..2 {
        let scope = Scope::new()?;
        let mem = scope.mem(2)?;
        let mut bytes = [1; 64];
        for offset in [0, PAGE64, 2 * PAGE64 - 64] {
            sys::mem_read(mem, offset, &mut bytes)?;
            ensure_eq!(bytes, [0; 64], "new memory at offset {offset}");
        }
        sys::mem_write(mem, PAGE64 - 32, &[0xa5; 64])?;
        sys::mem_read(mem, PAGE64 - 32, &mut bytes)?;
        ensure_eq!(bytes, [0xa5; 64], "what was written across a page boundary");
    }
    Ok(())
}

fn two_mappings_one_memory() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(2)?;
    sys::map(slot::SPACE, mem, AT, 0, 2, READ | WRITE)?;
    sys::map(slot::SPACE, mem, AT + 8 * PAGE64, 1, 1, READ)?;
    let here = core::ptr::with_exposed_provenance_mut::<u64>((AT + PAGE64) as usize);
    let there = core::ptr::with_exposed_provenance::<u64>((AT + 8 * PAGE64) as usize);
    // SAFETY: both pages were mapped just above, and only this function knows them.
    let seen = unsafe {
        here.write_volatile(0x1234_5678_9abc);
        there.read_volatile()
    };
    // SAFETY: the pointers are not used any more.
    unsafe { sys::unmap(slot::SPACE, AT, 9) }?;
    ensure_eq!(seen, 0x1234_5678_9abc, "the same page seen twice");
    Ok(())
}

fn unmapped_is_gone() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(1)?;
    let read = |fd: u32| sys::posix(nr::READ, [u64::from(fd), AT, 8, 0, 0, 0]);
    let results = with_open(c"/dev/zero", |fd| {
        sys::map(slot::SPACE, mem, AT, 0, 1, READ | WRITE)?;
        let mapped = read(fd);
        // SAFETY: only the kernel was given this address.
        unsafe { sys::unmap(slot::SPACE, AT, 1) }?;
        Ok::<_, Errno>((mapped, read(fd)))
    })??;
    ensure_eq!(results, (8, Errno::EFAULT.negated()), "reading into a page before and after unmap");
    // SAFETY: as above. What is not mapped is passed over.
    ensure_eq!(unsafe { sys::unmap(slot::SPACE, AT, 1) }, Ok(()), "unmapping what is not mapped");
    Ok(())
}

fn unmapped_page_faults() -> Verdict {
    let mut sandbox = Sandbox::new()?;
    // SAFETY: it is another address space.
    unsafe { sys::unmap(sandbox.space, DATA_AT, 1) }?;
    // mov al, [0x500000]
    let fault = sandbox.run(&[0x8a, 0x04, 0x25, 0, 0, 0x50, 0])?;
    ensure_eq!((fault.vector, fault.address), (14, DATA_AT), "reading an unmapped page");
    Ok(())
}

fn bad_mappings() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(2)?;
    let map = |at, page, pages, prot| sys::map(slot::SPACE, mem, at, page, pages, prot);
    ensure_eq!(map(AT, 0, 1, READ | WRITE | EXECUTE), Err(Errno::EINVAL), "writable and executable");
    ensure_eq!(map(AT, 0, 1, 8), Err(Errno::EINVAL), "an unknown protection bit");
    for at in [0, AT + 1, USER_END, USER_END - PAGE64 + 1, 1 << 47, 0xffff_8000_0000_0000, u64::MAX - 4095] {
        ensure_eq!(map(at, 0, 1, READ), Err(Errno::EINVAL), "mapping at {at:#x}");
    }
    ensure_eq!(map(USER_END - PAGE64, 0, 2, READ), Err(Errno::EINVAL), "mapping past the end");
    for (page, pages) in [(0, 3), (2, 1), (1, 2), (u64::MAX, 1), (u64::MAX, 2), (0, u64::MAX), (0, 1 << 52)] {
        ensure_eq!(map(AT, page, pages, READ), Err(Errno::EINVAL), "pages {page:#x} and {pages:#x} on");
    }
    map(AT, 0, 1, READ)?;
    let (over, across) = (map(AT, 1, 1, READ), map(AT - PAGE64, 0, 2, READ));
    // SAFETY: nobody uses the page.
    unsafe { sys::unmap(slot::SPACE, AT - PAGE64, 2) }?;
    ensure_eq!((over, across), (Err(Errno::EEXIST), Err(Errno::EEXIST)), "mapping over a mapping");
    for (at, pages) in [(AT + 1, 1), (0xffff_8000_0000_0000, 1), (AT, u64::MAX), (AT, 1 << 52)] {
        // SAFETY: the call is refused; nothing of Rust's is at these addresses.
        let unmapped = unsafe { sys::unmap(slot::SPACE, at, pages) };
        ensure_eq!(unmapped, Err(Errno::EINVAL), "unmapping {pages:#x} pages at {at:#x}");
    }
    Ok(())
}

fn mem_bounds() -> Verdict {
    let scope = Scope::new()?;
    let mem = scope.mem(1)?;
    let mut bytes = [0; 2];
    for offset in [PAGE64, PAGE64 - 1, u64::MAX, u64::MAX - 1, 1 << 63] {
        let (read, written) = (sys::mem_read(mem, offset, &mut bytes), sys::mem_write(mem, offset, &bytes));
        ensure!(read.is_err() && written.is_err(), "two bytes at offset {offset:#x} of a page: {read:?} {written:?}");
    }
    sys::mem_read(mem, PAGE64 - 2, &mut bytes)?;
    Ok(())
}
