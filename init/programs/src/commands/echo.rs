//! `echo WORD...`: the words, a blank between two, and a newline.

use alloc::string::String;
use parley_posix::{STDOUT, write_all};

use super::complain;

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    let mut line: String = args.join(" ");
    line.push('\n');
    match write_all(STDOUT, line.as_bytes()) {
        Ok(()) => 0,
        Err(errno) => complain("echo", "output", errno),
    }
}
