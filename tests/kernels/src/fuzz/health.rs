//! What must hold after every block: sound invariants, a system that answers, nothing left over.

use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::call::MemInfo;
use parley_abi::linux::Timespec;
use parley_abi::linux::open::{CREAT, RDONLY, RDWR};
use parley_posix as posix;
use parley_rt::sys;

use crate::fuzzer::paths;
use crate::tidy;
use crate::trouble::Trouble;

/// Pages that servers may keep for themselves: their heaps grow in steps of sixteen.
const SLACK: u64 = 64;
/// Blocks from one look at the file system to the next, and from one program started to the next.
const LOOK_EVERY: u64 = 4;
const SPAWN_EVERY: u64 = 32;
/// How long servers get to forget what is closed: so many naps of a millisecond.
const NAPS: u32 = 200;
const NAP: i64 = 1_000_000;

/// The machine as it was.
pub struct Health {
    before: MemInfo,
    clock: u64,
}

impl Health {
    /// Looks at the machine.
    pub fn measure() -> Result<Health, Trouble> {
        file_system()?;
        spawn()?;
        tidy::clear(paths::FOLDER)?;
        nap()?;
        Ok(Health { before: info()?, clock: sys::clock() })
    }

    /// After block number `block`.
    pub fn check(&mut self, block: u64) -> Result<(), Trouble> {
        invariants()?;
        let clock = sys::clock();
        if clock <= self.clock {
            return Err(Trouble::new(format_args!("the clock went from {} to {clock}", self.clock)));
        }
        self.clock = clock;
        tidy::clear(paths::FOLDER)?;
        if block.is_multiple_of(LOOK_EVERY) {
            file_system()?;
        }
        if block.is_multiple_of(SPAWN_EVERY) {
            spawn()?;
        }
        self.nothing_left()
    }

    /// After the last.
    pub fn final_check(&self) -> Result<(), Trouble> {
        file_system()?;
        spawn()?;
        self.nothing_left()
    }

    fn nothing_left(&self) -> Result<(), Trouble> {
        for _ in 0..NAPS {
            if self.as_before(&info()?) {
                return Ok(());
            }
            nap()?;
        }
        Err(Trouble::new(format_args!("left over: {:?} became {:?}", self.before, info()?)))
    }

    fn as_before(&self, now: &MemInfo) -> bool {
        let objects = |info: &MemInfo| (info.threads, info.spaces, info.connections);
        objects(now) == objects(&self.before) && now.free + now.tables + SLACK >= self.before.free + self.before.tables
    }
}

/// The core's own.
pub fn invariants() -> Result<(), Trouble> {
    match sys::check()? {
        0 => Ok(()),
        number => Err(Trouble::new(format_args!("the core's invariant {number} does not hold"))),
    }
}

fn info() -> Result<MemInfo, Errno> {
    let mut info = MemInfo::default();
    sys::mem_info(&mut info)?;
    Ok(info)
}

/// Makes the folder in which cells may make files.
pub fn prepare() -> Result<(), Trouble> {
    match posix::mkdir(paths::FOLDER, 0o755) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Trouble::new(format_args!("mkdir: {errno}"))),
    }
}

fn file_system() -> Result<(), Trouble> {
    let failed = |what, errno| Trouble::new(format_args!("the system does not answer: {what}: {errno}"));
    posix::stat(c"/bin").map_err(|errno| failed("stat", errno))?;
    read(c"/bin/ktest-victim", RDONLY, &mut [0; 64]).map_err(|errno| failed("reading a program", errno))?;
    read(c"/dev/zero", RDONLY, &mut [1; 64]).map_err(|errno| failed("reading /dev/zero", errno))?;
    let scratch = paths::PARENTS;
    let fd = posix::open(scratch, RDWR | CREAT, 0o644).map_err(|errno| failed("making a file", errno))?;
    let written = posix::write(fd, b"health").map(drop).map_err(|errno| failed("writing", errno));
    posix::close(fd)?;
    posix::unlink(scratch)?;
    written
}

fn read(path: &CStr, flags: u32, buffer: &mut [u8]) -> Result<(), Errno> {
    let fd = posix::open(path, flags, 0)?;
    let count = posix::read(fd, buffer);
    posix::close(fd)?;
    if count? == buffer.len() { Ok(()) } else { Err(Errno::EIO) }
}

fn spawn() -> Result<(), Trouble> {
    let started = posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "exit", "7"]);
    match started.and_then(posix::wait) {
        Ok(7) => Ok(()),
        other => Err(Trouble::new(format_args!("a program that exits with 7 gave {other:?}"))),
    }
}

fn nap() -> Result<(), Trouble> {
    Ok(posix::nanosleep(&Timespec { sec: 0, nsec: NAP })?)
}
