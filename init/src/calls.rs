//! init's own POSIX calls: each ends, whatever becomes of the server.
//!
//! init watches the servers that it calls, so it must not wait for one that hangs: it would never kill it. Each call
//! ends with ETIMEDOUT after [`PATIENCE`]; by then the heartbeat (`watch`) is overdue as well, and init finds out who it is.

use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::linux::{Stat, Timespec};
use parley_proto::{file, time, vfs};
use parley_rt::Within;

/// How long one call may take, in nanoseconds.
const PATIENCE: u64 = 3_000_000_000;
/// How often a call is made again at boot, while servers begin their work.
const BOOT_TRIES: u32 = 5;

/// What happens at boot, when nobody can hang yet but everybody is slow: as long as it ends with ETIMEDOUT it is done
/// again, a few times.
pub fn patiently<T>(mut what: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..BOOT_TRIES {
        match what() {
            Err(Errno::ETIMEDOUT) => {}
            other => return other,
        }
    }
    what()
}

/// As [`parley_posix::open`].
pub fn open(path: &CStr, flags: u32, mode: u32) -> Result<u32, Errno> {
    vfs::open(&mut Within(PATIENCE), path, flags, mode).map(|fd| fd as u32)
}

/// As [`parley_posix::fstat`].
pub fn fstat(fd: u32) -> Result<Stat, Errno> {
    let mut stat = Stat::default();
    file::fstat(&mut Within(PATIENCE), fd, Some(&mut stat))?;
    Ok(stat)
}

/// As [`parley_posix::pread`].
pub fn pread(fd: u32, into: &mut [u8], offset: i64) -> Result<usize, Errno> {
    file::pread(&mut Within(PATIENCE), fd, into, offset).map(|count| count as usize)
}

/// As [`parley_posix::write_all`].
pub fn write_all(fd: u32, mut from: &[u8]) -> Result<(), Errno> {
    while !from.is_empty() {
        match file::write(&mut Within(PATIENCE), fd, from)? {
            0 => return Err(Errno::EIO),
            count => from = from.get(count as usize..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// As [`parley_posix::nanosleep`].
pub fn nanosleep(duration: &Timespec) -> Result<(), Errno> {
    time::nanosleep(&mut Within(PATIENCE), Some(duration), None).map(drop)
}
