//! An open file for as long as a family of rows needs it.

use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::nr;
use parley_proto::{Caller, vfs};

use super::meter::{Failure, InRow};

/// Opens `path`, lets `measure` use the descriptor, and closes it.
pub fn with_file<C: Caller>(
    via: &mut C,
    (path, flags): (&CStr, u32),
    measure: impl FnOnce(&mut C, u64) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let fd = vfs::open(via, path, flags, 0o644).in_row("opening a file to measure with")? as u64;
    let measured = measure(via, fd);
    let closed = Errno::check(via.invoke(nr::CLOSE, [fd, 0, 0, 0, 0, 0]));
    measured?;
    closed.in_row("closing the file").map(|_| ())
}
