//! Clocks and sleep.

use parley_abi::Errno;
use parley_abi::linux::{Timespec, Timeval};
use parley_proto::time as rows;
use parley_rt::Trap;

/// The time of `clock`, one of [`parley_abi::linux::clock`]. EINVAL: no such clock.
pub fn clock_gettime(clock: u32) -> Result<Timespec, Errno> {
    let mut time = Timespec::default();
    rows::clock_gettime(&mut Trap, clock, Some(&mut time))?;
    Ok(time)
}

/// Seconds and microseconds since 1970.
pub fn gettimeofday() -> Result<Timeval, Errno> {
    let mut time = Timeval::default();
    rows::gettimeofday(&mut Trap, Some(&mut time), 0)?;
    Ok(time)
}

/// Seconds since 1970.
pub fn time() -> Result<i64, Errno> {
    rows::time(&mut Trap, None)
}

/// Sleeps for at least `duration`. EINVAL: nanoseconds out of range. EINTR: interrupted; POSIX's
/// remaining time is what [`crate::c::nanosleep`] gives.
pub fn nanosleep(duration: &Timespec) -> Result<(), Errno> {
    rows::nanosleep(&mut Trap, Some(duration), None).map(drop)
}
