//! `cat FILE...`: files to the output, one after the other; without a file, what is typed.

use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::open;
use parley_posix::{self as posix, STDOUT, write_all};

use super::complain;
use crate::path::c_string;

const STDIN: u32 = 0;

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    if args.is_empty() {
        return report("input", copy(STDIN));
    }
    args.iter().fold(0, |status, path| status.max(report(path, c_string(path).and_then(|path| file(&path)))))
}

fn report(what: &str, copied: Result<(), Errno>) -> i32 {
    copied.map_or_else(|errno| complain("cat", what, errno), |()| 0)
}

/// Copies one file to the output.
pub fn file(path: &CStr) -> Result<(), Errno> {
    let fd = posix::open(path, open::RDONLY, 0)?;
    let copied = copy(fd);
    posix::close(fd)?;
    copied
}

fn copy(fd: u32) -> Result<(), Errno> {
    let mut buffer = [0; 4096];
    loop {
        match posix::read(fd, &mut buffer)? {
            0 => return Ok(()),
            read => write_all(STDOUT, &buffer[..read.min(4096)])?,
        }
    }
}
