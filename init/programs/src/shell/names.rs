//! `mkdir`, `rmdir`, `rm`, `mv`, `touch`: the namespace, changed.

use core::ffi::CStr;
use parley_abi::Errno;
use parley_abi::linux::open;
use parley_posix::{self as posix, eprintln};

use crate::commands::{MISUSED, complain};
use crate::path::c_string;

/// `mkdir DIRECTORY...`
pub fn mkdir(args: &[&str]) -> i32 {
    each("mkdir DIRECTORY...", args, |path| posix::mkdir(path, 0o755))
}

/// `rmdir DIRECTORY...`
pub fn rmdir(args: &[&str]) -> i32 {
    each("rmdir DIRECTORY...", args, posix::rmdir)
}

/// `rm FILE...`
pub fn rm(args: &[&str]) -> i32 {
    each("rm FILE...", args, posix::unlink)
}

/// `touch FILE...`: makes files that are not there.
pub fn touch(args: &[&str]) -> i32 {
    each("touch FILE...", args, |path| posix::open(path, open::WRONLY | open::CREAT, 0o644).and_then(posix::close))
}

/// `mv FROM TO`
pub fn mv(args: &[&str]) -> i32 {
    let (&[from, to], false) = (args, have_options(args)) else {
        eprintln!("usage: mv FROM TO");
        return MISUSED;
    };
    let renamed = c_string(from).and_then(|from| c_string(to).and_then(|to| posix::rename(&from, &to)));
    renamed.map_or_else(|errno| complain("mv", from, errno), |_| 0)
}

/// One of them looks like an option. There are none, and `mkdir -p` shall not make a directory of that name
/// (`mkdir ./-p` does).
fn have_options(args: &[&str]) -> bool {
    args.iter().any(|arg| arg.len() > 1 && arg.starts_with('-'))
}

/// Does `change` to each path. `usage` begins with the command's name.
fn each(usage: &str, args: &[&str], change: impl Fn(&CStr) -> Result<(), Errno>) -> i32 {
    if args.is_empty() || have_options(args) {
        eprintln!("usage: {usage}");
        return MISUSED;
    }
    let name = usage.split(' ').next().unwrap_or_default();
    args.iter().fold(0, |status, path| match c_string(path).and_then(|path| change(&path)) {
        Ok(()) => status,
        Err(errno) => complain(name, path, errno),
    })
}
