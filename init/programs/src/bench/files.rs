//! A file in memory: reading, writing, seeking; and what names and descriptors cost.

use core::ffi::CStr;
use core::ptr::from_mut;
use parley_abi::linux::{Stat, nr, open, seek};
use parley_proto::{Caller, vfs};

use super::meter::{Failure, InRow, Meter};
use super::open::with_file;

/// Rows on an open file.
pub const ROWS: &[&str] =
    &["pread_file_1", "pread_file_4096", "pwrite_file_1", "pwrite_file_4096", "lseek", "dup_close"];
/// Rows on its name.
pub const NAMES: &[&str] = &["open_close", "stat"];

/// The file, one page long while it is measured with. In the root, which always is there.
const PATH: &CStr = c"/bench.tmp";
const LENGTH: u64 = 4096;

/// Measures [`ROWS`].
pub fn measure<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    let mut buffer = [b'x'; LENGTH as usize];
    let at = buffer.as_mut_ptr().expose_provenance() as u64;
    with_file(via, (PATH, open::RDWR | open::CREAT), |via, fd| {
        meter.row("pwrite_file_4096", || via.invoke(nr::PWRITE64, [fd, at, LENGTH, 0, 0, 0]))?;
        meter.row("pwrite_file_1", || via.invoke(nr::PWRITE64, [fd, at, 1, 0, 0, 0]))?;
        fill(via, fd, at)?;
        meter.row("pread_file_1", || via.invoke(nr::PREAD64, [fd, at, 1, 0, 0, 0]))?;
        meter.row("pread_file_4096", || via.invoke(nr::PREAD64, [fd, at, LENGTH, 0, 0, 0]))?;
        let start = u64::from(seek::SET);
        meter.row("lseek", || via.invoke(nr::LSEEK, [fd, 1, start, 0, 0, 0]))?;
        meter.row("dup_close", || opened_and_closed(via, nr::DUP, [fd, 0, 0, 0, 0, 0]))
    })?;
    vfs::unlink(via, PATH).in_row("removing the file").map(|_| ())
}

/// Measures [`NAMES`].
pub fn names<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    with_file(via, (PATH, open::RDWR | open::CREAT), |_, _| Ok(()))?;
    let path = PATH.as_ptr().expose_provenance() as u64;
    let flags = u64::from(open::RDONLY);
    meter.row("open_close", || opened_and_closed(via, nr::OPEN, [path, flags, 0, 0, 0, 0]))?;
    let mut stat = Stat::default();
    let at = from_mut(&mut stat).expose_provenance() as u64;
    meter.row("stat", || via.invoke(nr::STAT, [path, at, 0, 0, 0, 0]))?;
    vfs::unlink(via, PATH).in_row("removing the file").map(|_| ())
}

/// Makes the file [`LENGTH`] bytes long, whichever rows were measured before.
fn fill<C: Caller>(via: &mut C, fd: u64, at: u64) -> Result<(), Failure> {
    let written = via.invoke(nr::PWRITE64, [fd, at, LENGTH, 0, 0, 0]);
    parley_abi::Errno::check(written).in_row("filling the file").map(|_| ())
}

/// A call that returns a descriptor, and `close` of it. The first error, or 0.
#[inline(always)]
fn opened_and_closed<C: Caller>(via: &mut C, number: u16, args: [u64; 6]) -> i64 {
    let fd = via.invoke(number, args);
    if fd < 0 {
        return fd;
    }
    via.invoke(nr::CLOSE, [fd as u64, 0, 0, 0, 0, 0])
}
