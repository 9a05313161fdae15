//! Files, directories and descriptors.

use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::{Plain, PollFd, Stat, nr};
use parley_proto::{file, vfs};
use parley_rt::{Trap, sys};

/// Opens the file at `path`; flags are [`parley_abi::linux::open`]. Returns the lowest free descriptor.
/// Errors: the row `open` of [`parley_proto::vfs`].
pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<u32, Errno> {
    vfs::open(&mut Trap, path, flags, mode).map(|fd| fd as u32)
}

/// Reads up to `into.len()` bytes at the file's offset; 0 is the end of the file.
/// Errors: the row `read` of [`parley_proto::file`], as for the calls below.
#[inline]
pub fn read(fd: u32, into: &mut [u8]) -> Result<usize, Errno> {
    file::read(&mut Trap, fd, into).map(|count| count as usize)
}

/// Writes at the file's offset and returns how many bytes were taken.
#[inline]
pub fn write(fd: u32, from: &[u8]) -> Result<usize, Errno> {
    file::write(&mut Trap, fd, from).map(|count| count as usize)
}

/// Writes everything, in as many calls as it takes. EIO: the file takes no more and gives no reason.
pub fn write_all(fd: u32, mut from: &[u8]) -> Result<(), Errno> {
    while !from.is_empty() {
        match write(fd, from)? {
            0 => return Err(Errno::EIO),
            count => from = from.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Reads at `offset` and leaves the file's own offset alone.
#[inline]
pub fn pread(fd: u32, into: &mut [u8], offset: i64) -> Result<usize, Errno> {
    file::pread(&mut Trap, fd, into, offset).map(|count| count as usize)
}

/// Writes at `offset` and leaves the file's own offset alone.
#[inline]
pub fn pwrite(fd: u32, from: &[u8], offset: i64) -> Result<usize, Errno> {
    file::pwrite(&mut Trap, fd, from, offset).map(|count| count as usize)
}

/// Moves the file's offset; `whence` is one of [`parley_abi::linux::seek`]. Returns the new offset.
pub fn lseek(fd: u32, offset: i64, whence: u32) -> Result<i64, Errno> {
    file::lseek(&mut Trap, fd, offset, whence)
}

/// Describes an open file.
pub fn fstat(fd: u32) -> Result<Stat, Errno> {
    let mut stat = Stat::default();
    file::fstat(&mut Trap, fd, Some(&mut stat))?;
    Ok(stat)
}

/// Waits until one of the files is ready for what its entry asks ([`parley_abi::linux::poll`]), at most for so many
/// milliseconds; below 0, for ever. Returns how many are; each entry says for what. EINVAL: more than 1,024 entries. EINTR.
/// ENOMEM. What the shim does for it: `libipc/posix/shim`.
pub fn poll(files: &mut [PollFd], milliseconds: i32) -> Result<usize, Errno> {
    let at = files.first_mut().map_or(0, |first| first.bytes_mut().as_mut_ptr().expose_provenance());
    let args = [at as u64, files.len() as u64, milliseconds as u64, 0, 0, 0];
    Errno::check(sys::posix(nr::POLL, args)).map(|ready| ready as usize)
}

/// Reads whole directory entries (`linux_dirent64`); 0 is the end of the directory.
pub fn getdents(fd: u32, into: &mut [u8]) -> Result<usize, Errno> {
    file::getdents(&mut Trap, fd, into).map(|count| count as usize)
}

/// Describes the file at `path`. Errors: the rows of [`parley_proto::vfs`], as for the calls below.
pub fn stat(path: &CStr) -> Result<Stat, Errno> {
    let mut stat = Stat::default();
    vfs::stat(&mut Trap, path, Some(&mut stat))?;
    Ok(stat)
}

/// Makes a directory.
pub fn mkdir(path: &CStr, mode: u32) -> Result<(), Errno> {
    vfs::mkdir(&mut Trap, path, mode).map(drop)
}

/// Removes an empty directory.
pub fn rmdir(path: &CStr) -> Result<(), Errno> {
    vfs::rmdir(&mut Trap, path).map(drop)
}

/// Removes a name; the file lives on while it is open.
pub fn unlink(path: &CStr) -> Result<(), Errno> {
    vfs::unlink(&mut Trap, path).map(drop)
}

/// Renames, replacing what `to` named.
pub fn rename(from: &CStr, to: &CStr) -> Result<(), Errno> {
    vfs::rename(&mut Trap, from, to).map(drop)
}

/// Closes a descriptor. EBADF: it is not open.
pub fn close(fd: u32) -> Result<(), Errno> {
    handle_call(nr::CLOSE, fd, 0).map(drop)
}

/// Copies a descriptor to the lowest free one. EBADF: it is not open. EMFILE: none is free.
pub fn dup(fd: u32) -> Result<u32, Errno> {
    handle_call(nr::DUP, fd, 0)
}

/// Copies a descriptor to `to`, closing what was open there. EBADF: `fd` is not open, or `to` is no
/// descriptor.
pub fn dup2(fd: u32, to: u32) -> Result<u32, Errno> {
    handle_call(nr::DUP2, fd, to)
}

/// A row of the call table that the core carries out itself ([`parley_proto::calltable::HANDLE_CALLS`]).
fn handle_call(number: u16, fd: u32, to: u32) -> Result<u32, Errno> {
    Errno::check(sys::posix(number, [u64::from(fd), u64::from(to), 0, 0, 0, 0])).map(|fd| fd as u32)
}
