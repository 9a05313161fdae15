//! Steps through the call table: what programs do.

use parley_abi::linux::nr;
use parley_rt::sys;

use super::paths::{self, OWN, READABLE};
use super::{Fuzzer, WORDS};
use crate::cell::FILES;

/// Calls on descriptors.
const ON_FILES: [u16; 8] =
    [nr::READ, nr::WRITE, nr::PREAD64, nr::PWRITE64, nr::LSEEK, nr::FSTAT, nr::GETDENTS64, nr::CLOSE];
/// Calls without handles or paths.
const OTHERS: [u16; 8] =
    [nr::GETPID, nr::GETPPID, nr::CLOCK_GETTIME, nr::GETTIMEOFDAY, nr::TIME, nr::SCHED_YIELD, nr::OWN, nr::EXIT_GROUP];
/// Where files end at most: what servers keep of a cell must stay small.
const FILE_END: u64 = 24 * 1024;

impl Fuzzer {
    pub(super) fn posix(&mut self) {
        let (number, args) = match self.random.below(16) {
            0..6 => self.on_file(),
            6..8 => (nr::OPEN, [self.own_path(), self.random.of(&paths::FLAGS), 0o644, 0, 0, 0]),
            8 => (nr::OPEN, [self.any_path(), self.random.of(&paths::READING), 0, 0, 0, 0]),
            9..11 => self.on_path(),
            11 => (self.random.of(&[nr::DUP, nr::DUP2]), [self.descriptor(), self.descriptor(), 0, 0, 0, 0]),
            12 => (nr::NANOSLEEP, [self.duration(), self.pointer(), 0, 0, 0, 0]),
            _ => (self.random.of(&OTHERS), [self.pointer(), self.pointer(), self.pointer(), 0, 0, 0]),
        };
        // The stub is safe for buffers that are lent: these are atomics, or nothing of Rust's.
        sys::posix(number, args);
    }

    fn on_file(&mut self) -> (u16, [u64; 6]) {
        let number = self.random.of(&ON_FILES);
        let offset = match self.random.below(8) {
            0 => self.random.next(),
            _ => self.random.below(FILE_END),
        };
        let length = if self.random.below(8) == 0 { self.random.next() } else { self.random.below((WORDS * 8) as u64) };
        // A write of any length ends where the buffer ends: memory of the cell, a page or two.
        let args = match number {
            nr::LSEEK => [self.descriptor(), self.random.below(FILE_END), self.random.below(4), 0, 0, 0],
            nr::PWRITE64 => [self.descriptor(), self.pointer(), length, self.random.below(FILE_END), 0, 0],
            _ => [self.descriptor(), self.pointer(), length, offset, 0, 0],
        };
        (number, args)
    }

    fn on_path(&mut self) -> (u16, [u64; 6]) {
        match self.random.below(6) {
            0 => (nr::MKDIR, [self.own_path(), 0o755, 0, 0, 0, 0]),
            1 => (nr::RMDIR, [self.own_path(), 0, 0, 0, 0, 0]),
            2 => (nr::UNLINK, [self.own_path(), 0, 0, 0, 0, 0]),
            3 => (nr::RENAME, [self.own_path(), self.own_path(), 0, 0, 0, 0]),
            _ => (nr::STAT, [self.any_path(), self.pointer(), 0, 0, 0, 0]),
        }
    }

    /// A descriptor that the parent gave, or that `open` gives next.
    fn descriptor(&mut self) -> u64 {
        if self.random.below(16) == 0 { self.word() } else { self.random.below(u64::from(FILES) + 8) }
    }

    /// The buffer, or nowhere.
    fn pointer(&mut self) -> u64 {
        if self.random.below(8) == 0 { self.nowhere() } else { self.buffer() }
    }

    /// A path that may be changed, or a pointer to none.
    fn own_path(&mut self) -> u64 {
        match self.random.below(16) {
            0 => self.nowhere(),
            _ => self.random.of(&OWN).as_ptr().expose_provenance() as u64,
        }
    }

    /// Any path.
    fn any_path(&mut self) -> u64 {
        match self.random.below(3) {
            0 => self.random.of(&READABLE).as_ptr().expose_provenance() as u64,
            _ => self.own_path(),
        }
    }

    /// A short `struct timespec`, or a pointer to none.
    fn duration(&mut self) -> u64 {
        static SHORT: [[i64; 2]; 4] = [[0, 0], [0, 1], [0, 50_000], [0, -1]];
        match self.random.below(8) {
            0 => self.nowhere(),
            _ => SHORT[self.random.below(4) as usize].as_ptr().expose_provenance() as u64,
        }
    }
}
