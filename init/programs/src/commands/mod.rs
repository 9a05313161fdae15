//! Commands that are both programs in /bin and builtins of the shell.

pub mod bug;
pub mod cat;
pub mod date;
pub mod echo;
pub mod ls;
pub mod stat;
pub mod svc;

use parley_abi::Errno;
use parley_posix::eprintln;

/// Exit status of a command that was called the wrong way.
pub const MISUSED: i32 = 2;

/// Says on the error output what went wrong with what, and returns the exit status for it.
pub fn complain(command: &str, what: &str, errno: Errno) -> i32 {
    eprintln!("{command}: {what}: {}", errno.text());
    1
}
