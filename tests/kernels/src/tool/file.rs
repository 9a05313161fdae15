//! Files of a test, removed when it ends.

use alloc::vec::Vec;
use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::open::{CREAT, RDONLY, RDWR, TRUNC};
use parley_posix as posix;

/// An open file that was empty at first.
pub struct Scratch {
    path: &'static CStr,
    /// Its descriptor.
    pub fd: u32,
}

impl Scratch {
    /// Makes the file at `path` and opens it for reading and writing.
    pub fn new(path: &'static CStr) -> Result<Scratch, Errno> {
        let fd = posix::open(path, RDWR | CREAT | TRUNC, 0o755)?;
        Ok(Scratch { path, fd })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A test may have closed or removed it.
        let _ = posix::close(self.fd);
        let _ = posix::unlink(self.path);
    }
}

/// Runs `test` with `path` open for reading.
pub fn with_open<T>(path: &CStr, test: impl FnOnce(u32) -> T) -> Result<T, Errno> {
    let fd = posix::open(path, RDONLY, 0)?;
    let result = test(fd);
    posix::close(fd)?;
    Ok(result)
}

/// Makes a file with these contents.
pub fn write_file(path: &'static CStr, contents: &[u8]) -> Result<Scratch, Errno> {
    let file = Scratch::new(path)?;
    let mut rest = contents;
    while !rest.is_empty() {
        let written = posix::write(file.fd, rest)?;
        rest = rest.get(written.max(1)..).unwrap_or_default();
    }
    Ok(file)
}

/// All of a file.
pub fn read_file(path: &CStr) -> Result<Vec<u8>, Errno> {
    with_open(path, |fd| {
        let (mut contents, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match posix::read(fd, &mut buffer)? {
                0 => return Ok(contents),
                read => contents.extend(&buffer[..read.min(4096)]),
            }
        }
    })?
}
