//! Reading zeros, writing nowhere, and writing to the console.

use parley_abi::linux::{nr, open};
use parley_proto::Caller;

use super::meter::{Failure, Meter};
use super::open::with_file;

/// Rows on devices without hardware.
pub const PLAIN: &[&str] = &["read_zero_1", "read_zero_4096", "write_null_1", "write_null_4096"];
/// Rows on the console.
pub const CONSOLE: &[&str] = &["console_write_1"];

/// Samples on the console: fewer than elsewhere, since each waits for the serial port.
const CONSOLE_SAMPLES: usize = 100;

/// Measures [`PLAIN`].
pub fn plain<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    let mut buffer = [0u8; 4096];
    let at = buffer.as_mut_ptr().expose_provenance() as u64;
    with_file(via, (c"/dev/zero", open::RDONLY), |via, fd| {
        meter.row("read_zero_1", || via.invoke(nr::READ, [fd, at, 1, 0, 0, 0]))?;
        meter.row("read_zero_4096", || via.invoke(nr::READ, [fd, at, 4096, 0, 0, 0]))
    })?;
    with_file(via, (c"/dev/null", open::WRONLY), |via, fd| {
        meter.row("write_null_1", || via.invoke(nr::WRITE, [fd, at, 1, 0, 0, 0]))?;
        meter.row("write_null_4096", || via.invoke(nr::WRITE, [fd, at, 4096, 0, 0, 0]))
    })
}

/// Measures [`CONSOLE`]: a carriage return each, which shows nothing on the screen.
pub fn console<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    let nothing_visible = b"\r";
    let at = nothing_visible.as_ptr().expose_provenance() as u64;
    with_file(via, (c"/dev/console", open::WRONLY), |via, fd| {
        meter.row_of("console_write_1", CONSOLE_SAMPLES, || via.invoke(nr::WRITE, [fd, at, 1, 0, 0, 0]))
    })
}
