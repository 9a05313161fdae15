//! `> FILE`: a builtin's output to a file.
//!
//! Descriptor 1 is the file while the builtin runs, and the console again afterwards.

use parley_abi::Errno;
use parley_abi::linux::open;
use parley_posix::{self as posix, STDOUT};

use super::line::Redirect;
use crate::commands::complain;
use crate::path::c_string;

/// Runs `builtin` with its output going where `redirect` says; if that cannot be, says why.
pub fn run(redirect: &Redirect, builtin: impl FnOnce() -> i32) {
    if let Err(errno) = with_output(redirect, builtin) {
        complain("sh", &redirect.path, errno);
    }
}

fn with_output(redirect: &Redirect, builtin: impl FnOnce() -> i32) -> Result<(), Errno> {
    let place = if redirect.append { open::APPEND } else { open::TRUNC };
    let file = posix::open(&c_string(&redirect.path)?, open::WRONLY | open::CREAT | place, 0o644)?;
    let console = posix::dup(STDOUT)?;
    posix::dup2(file, STDOUT)?;
    builtin();
    posix::dup2(console, STDOUT)?;
    posix::close(console)?;
    posix::close(file)
}
