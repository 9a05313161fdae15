//! Victims: programs that are meant to come to harm.

use parley_abi::Errno;
use parley_posix as posix;

/// Runs `ktest-victim` with these arguments and returns its exit status.
pub fn victim(args: &[&str]) -> Result<i32, Errno> {
    let mut words = alloc::vec!["ktest-victim"];
    words.extend(args);
    posix::wait(posix::spawn(c"/bin/ktest-victim", &words)?)
}
