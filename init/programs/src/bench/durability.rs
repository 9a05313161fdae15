//! What it costs a server on its normal way that it outlives its process.
//!
//! Rows of other families once more, against a program of the same service in which the layer that keeps its state is
//! missing: the same source, compiled in the same way, in a server loop that only serves. The difference between the two
//! rows is the cost. Only where the service is a process; a resident one has no such layer.

use core::ffi::CStr;

use parley_abi::linux::{nr, open};
use parley_abi::slot::service;
use parley_posix as posix;
use parley_proto::{Caller, vfs};
use parley_rt::Trap;

use super::meter::{Failure, InRow, Meter, counts_instructions};
use super::open::with_file;

/// The rows.
pub const ROWS: &[&str] = &[READ_ZERO, PREAD];
const READ_ZERO: &str = "read_zero_1_volatile";
const PREAD: &str = "pread_file_4096_volatile";
/// The file of [`PREAD`], and its length in bytes.
const PATH: &CStr = c"/bench.tmp";
const LENGTH: u64 = 4096;

/// Measures [`ROWS`].
pub fn measure(meter: &mut Meter<'_>, via: &mut Trap) -> Result<(), Failure> {
    let mut buffer = [b'x'; LENGTH as usize];
    let at = buffer.as_mut_ptr().expose_provenance() as u64;
    against(meter, READ_ZERO, (service::CHAR, c"/svc/char-volatile", c"/svc/char"), |meter| {
        with_file(via, (c"/dev/zero", open::RDONLY), |via, fd| {
            meter.row(READ_ZERO, || via.invoke(nr::READ, [fd, at, 1, 0, 0, 0]))
        })
    })?;
    against(meter, PREAD, (service::VFS, c"/svc/vfs-volatile", c"/svc/vfs"), |meter| {
        with_file(via, (PATH, open::RDWR | open::CREAT), |via, fd| {
            let written = via.invoke(nr::PWRITE64, [fd, at, LENGTH, 0, 0, 0]);
            parley_abi::Errno::check(written).in_row(PREAD)?;
            meter.row(PREAD, || via.invoke(nr::PREAD64, [fd, at, LENGTH, 0, 0, 0]))
        })?;
        vfs::unlink(via, PATH).in_row(PREAD).map(drop)
    })
}

/// Measures a row while a service runs this program, and gives it back the one that it had, which goes on where it ended.
fn against(
    meter: &mut Meter<'_>,
    row: &'static str,
    (number, program, former): (u8, &CStr, &CStr),
    measure: impl FnOnce(&mut Meter<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let number = u32::from(number);
    // While the console's driver is another, a shell on it does not go on: only for machines that count.
    let counts = meter.is_named(row) || counts_instructions();
    if !counts || !meter.wants_any(&[row]) || posix::service(number).in_row(row)?.resident != 0 {
        return Ok(());
    }
    posix::swap(number, program).in_row(row)?;
    let measured = measure(meter);
    posix::swap(number, former).in_row(row)?;
    measured
}
