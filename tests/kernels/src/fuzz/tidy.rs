//! Removing what a cell has left in the file system: files and folders, renamed into one another.

use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::dirent::DT_DIR;
use parley_abi::linux::open::{DIRECTORY, RDONLY};
use parley_posix as posix;
use parley_programs::dirent;

/// Removes everything in `folder`.
pub fn clear(folder: &CStr) -> Result<(), Errno> {
    let mut folders: Vec<CString> = alloc::vec![folder.to_owned()];
    let mut next = 0;
    // A folder comes after the one that it is in, so that the walk back meets the inner one first.
    while next < folders.len() {
        for (path, kind) in list(&folders[next])? {
            match kind {
                DT_DIR => folders.push(path),
                _ => posix::unlink(&path)?,
            }
        }
        next += 1;
    }
    folders.iter().skip(1).rev().try_for_each(|inner| posix::rmdir(inner))
}

/// Paths and kinds of what is in `folder`.
fn list(folder: &CStr) -> Result<Vec<(CString, u8)>, Errno> {
    let fd = posix::open(folder, RDONLY | DIRECTORY, 0)?;
    let mut bytes = [0; 2048];
    let length = posix::getdents(fd, &mut bytes);
    posix::close(fd)?;
    let names = dirent::entries(&bytes[..length?]).filter(|entry| ![".", ".."].contains(&entry.name));
    names.map(|entry| Ok((inside(folder, entry.name)?, entry.kind))).collect()
}

fn inside(folder: &CStr, name: &str) -> Result<CString, Errno> {
    let path = [folder.to_bytes(), b"/", name.as_bytes()].concat();
    CString::new(path).map_err(|_| Errno::EINVAL)
}
