//! Where a program's bytes come from: the boot archive or the VFS.

use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::linux::{mode, open};

use crate::calls;

/// A file that can be read at any place.
pub trait Source {
    /// Bytes in it.
    fn len(&self) -> u64;
    /// It has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// All of it, if it is in memory.
    fn bytes(&self) -> Option<&[u8]> {
        None
    }
    /// Reads from `offset`; 0 bytes past the end. Errors: the file system's.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;
}

impl Source for &[u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn bytes(&self) -> Option<&[u8]> {
        Some(self)
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A file of the VFS, open for reading.
#[derive(Debug)]
pub struct File {
    fd: u32,
    length: u64,
}

impl File {
    /// Opens a program. EACCES: not a regular file. Other errors: those of `open`.
    pub fn open(path: &CStr) -> Result<File, Errno> {
        let mut file = File { fd: calls::open(path, open::RDONLY, 0)?, length: 0 };
        let stat = calls::fstat(file.fd)?;
        if stat.mode & mode::IFMT != mode::IFREG {
            return Err(Errno::EACCES);
        }
        file.length = stat.size as u64;
        Ok(file)
    }
}

impl Source for File {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let offset = i64::try_from(offset).map_err(|_| Errno::ENOEXEC)?;
        calls::pread(self.fd, into, offset)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = parley_posix::close(self.fd);
    }
}
