//! The time of day, in both of POSIX's forms.

use core::ptr::from_mut;
use parley_abi::linux::{Timespec, Timeval, clock, nr};
use parley_proto::Caller;

use super::meter::{Failure, Meter};

/// The rows of this family.
pub const ROWS: &[&str] = &["clock_gettime", "gettimeofday"];

/// Measures them.
pub fn measure<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    let mut time = Timespec::default();
    let at = from_mut(&mut time).expose_provenance() as u64;
    let clock = u64::from(clock::REALTIME);
    meter.row("clock_gettime", || via.invoke(nr::CLOCK_GETTIME, [clock, at, 0, 0, 0, 0]))?;
    let mut time = Timeval::default();
    let at = from_mut(&mut time).expose_provenance() as u64;
    meter.row("gettimeofday", || via.invoke(nr::GETTIMEOFDAY, [at, 0, 0, 0, 0, 0]))
}
