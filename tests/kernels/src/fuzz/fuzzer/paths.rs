//! The files that a cell may know of.

use core::ffi::CStr;
use parley_abi::linux::open::{APPEND, CREAT, DIRECTORY, EXCL, NONBLOCK, RDONLY, RDWR, TRUNC, WRONLY};

/// The folder in which cells make files.
pub const FOLDER: &CStr = c"/ktest-fuzz";

/// A file of the parent's, which cells cannot rename.
pub const PARENTS: &CStr = c"/ktest-fuzz.tmp";

/// What cells make, rename and remove.
pub const OWN: [&CStr; 8] = [
    c"/ktest-fuzz/a",
    c"/ktest-fuzz/b",
    c"/ktest-fuzz/c",
    c"/ktest-fuzz/d/a",
    c"/ktest-fuzz/d/b",
    c"/ktest-fuzz/e/d/f",
    c"/ktest-fuzz/d",
    c"/ktest-fuzz/e",
];

/// What cells only read: the system goes on with it. The console is not among them: reading it waits for a person.
pub const READABLE: [&CStr; 8] =
    [c"/", c"/bin", c"/bin/ktest-victim", c"/dev", c"/dev/null", c"/dev/zero", c"/dev/random", c"/bin/none/at/all"];

/// Flags of `open` for [`READABLE`].
pub const READING: [u64; 3] = [RDONLY as u64, (RDONLY | DIRECTORY) as u64, (RDONLY | NONBLOCK) as u64];
/// Flags of `open` for [`OWN`].
pub const FLAGS: [u64; 9] = [
    RDONLY as u64,
    RDWR as u64,
    WRONLY as u64,
    (RDWR | CREAT) as u64,
    (RDWR | CREAT | TRUNC) as u64,
    (WRONLY | CREAT | EXCL) as u64,
    (RDWR | CREAT | APPEND) as u64,
    (RDONLY | DIRECTORY | NONBLOCK) as u64,
    !(CREAT as u64),
];
