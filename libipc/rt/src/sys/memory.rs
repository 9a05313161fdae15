//! Quotas, memory objects, address spaces.

use parley_abi::Errno;
use parley_abi::call::{
    MAP, MEM_CREATE, MEM_READ, MEM_WRITE, QUOTA_CREATE, QUOTA_DESTROY, QUOTA_INFO, SPACE_CREATE, UNMAP,
};

use super::checked;

/// Creates a quota of `pages`, taken from `quota`; returns its slot. Errors: see [`QUOTA_CREATE`].
pub fn quota_create(quota: u32, pages: u64) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(QUOTA_CREATE, [u64::from(quota), pages, 0, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Destroys a quota and all that it paid for. Errors: see [`QUOTA_DESTROY`].
///
/// # Safety
/// Nothing that Rust uses in this process was paid by it.
pub unsafe fn quota_destroy(quota: u32) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { checked(QUOTA_DESTROY, [u64::from(quota), 0, 0, 0, 0, 0]) }.map(drop)
}

/// Pages used and pages granted. Errors: see [`QUOTA_INFO`].
pub fn quota_info(quota: u32) -> Result<(u32, u32), Errno> {
    // SAFETY: the call touches no memory of ours.
    let info = unsafe { checked(QUOTA_INFO, [u64::from(quota), 0, 0, 0, 0, 0]) }?;
    Ok((info as u32, (info >> 32) as u32))
}

/// Creates a memory object of zeroed pages; returns its slot. Errors: see [`MEM_CREATE`].
pub fn mem_create(quota: u32, pages: u64) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(MEM_CREATE, [u64::from(quota), pages, 0, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Copies into a memory object, which must not be mapped in this process. Errors: see [`MEM_WRITE`].
pub fn mem_write(mem: u32, offset: u64, from: &[u8]) -> Result<(), Errno> {
    let at = from.as_ptr().expose_provenance() as u64;
    // SAFETY: the core only reads `from`; the object is not memory of ours.
    unsafe { checked(MEM_WRITE, [u64::from(mem), offset, at, from.len() as u64, 0, 0]) }.map(drop)
}

/// Copies out of a memory object. Errors: see [`MEM_READ`].
pub fn mem_read(mem: u32, offset: u64, into: &mut [u8]) -> Result<(), Errno> {
    let at = into.as_mut_ptr().expose_provenance() as u64;
    // SAFETY: the core writes only into `into`, which is borrowed exclusively.
    unsafe { checked(MEM_READ, [u64::from(mem), offset, at, into.len() as u64, 0, 0]) }.map(drop)
}

/// Creates an address space; returns its slot. Errors: see [`SPACE_CREATE`].
pub fn space_create(quota: u32) -> Result<u32, Errno> {
    // SAFETY: the call touches no memory of ours.
    unsafe { checked(SPACE_CREATE, [u64::from(quota), 0, 0, 0, 0, 0]) }.map(|slot| slot as u32)
}

/// Maps `pages` pages of `mem`, from its page `page` on, at `addr` in `space`, with protection `prot`
/// ([`parley_abi::call::prot`]). EEXIST: something is mapped there. Other errors: see [`MAP`].
///
/// Safe because it never replaces a mapping: memory that Rust knows of is untouched.
pub fn map(space: u32, mem: u32, addr: u64, page: u64, pages: u64, prot: u64) -> Result<(), Errno> {
    // SAFETY: addresses that were not mapped before are not memory of ours.
    unsafe { checked(MAP, [u64::from(space), u64::from(mem), addr, prot, page, pages]) }.map(drop)
}

/// Unmaps `pages` pages at `addr` in `space`. Errors: see [`UNMAP`].
///
/// # Safety
/// If `space` is this process's own, Rust uses nothing there any more.
pub unsafe fn unmap(space: u32, addr: u64, pages: u64) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { checked(UNMAP, [u64::from(space), addr, pages, 0, 0, 0]) }.map(drop)
}
