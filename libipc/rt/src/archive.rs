//! The boot archive, mapped.
//!
//! The VFS fills its first file system from it, init loads the servers from it.

use core::{ptr, slice};

use parley_abi::call::prot;
use parley_abi::{Errno, PAGE, slot};

use crate::args::{Args, auxv};
use crate::sys;

/// Where it is mapped.
const ARCHIVE_AT: u64 = 0x30_0000_0000;

/// The boot archive: the memory object in `slot::ARCHIVE`, as long as the creator of the process says
/// ([`auxv::PARLEY_ARCHIVE_LEN`]). Empty if there is none; the reason goes to the kernel log.
pub fn archive() -> &'static [u8] {
    let length = Args::of_process().and_then(|args| args.auxiliary(auxv::PARLEY_ARCHIVE_LEN)).unwrap_or(0);
    map_archive(length).unwrap_or_else(|_| {
        let _ = sys::log("cannot map the boot archive\n");
        &[]
    })
}

/// As [`archive`], for init, which knows the length from the core. Mapping it again is harmless.
/// Errors: see [`parley_abi::call::MAP`].
pub fn map_archive(length: u64) -> Result<&'static [u8], Errno> {
    let pages = length.div_ceil(PAGE as u64);
    if pages == 0 {
        return Ok(&[]);
    }
    match sys::map(slot::SPACE, slot::ARCHIVE, ARCHIVE_AT, 0, pages, prot::READ) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let first = ptr::with_exposed_provenance::<u8>(ARCHIVE_AT as usize);
    // SAFETY: the pages were just mapped readable (only this function maps here), nobody writes to
    // them, and nothing unmaps them.
    Ok(unsafe { slice::from_raw_parts(first, length as usize) })
}
