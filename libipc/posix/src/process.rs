//! Processes and what init knows of them.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::info::{ProcessInfo, ServiceInfo};
use parley_abi::linux::nr;
use parley_proto::{init, process as rows};
use parley_rt::{Trap, sys};

/// The caller's process id. As POSIX wants, it cannot fail: without a process service it is 0.
#[inline]
pub fn getpid() -> u32 {
    rows::getpid(&mut Trap).unwrap_or(0) as u32
}

/// The process id of the caller's parent; 0 without a process service.
#[inline]
pub fn getppid() -> u32 {
    rows::getppid(&mut Trap).unwrap_or(0) as u32
}

/// Lets other threads of the same priority run.
pub fn sched_yield() {
    sys::posix(nr::SCHED_YIELD, [0; 6]);
}

/// Ends the process; its parent sees the lowest eight bits of `status`.
pub fn exit(status: i32) -> ! {
    let _ = init::exit_group(&mut Trap, status);
    // Without init nobody takes the process away, but its thread can stop.
    sys::thread_exit()
}

/// Starts the program at `path` with these arguments, its name first. Returns its process id.
/// ENOMEM: also if the arguments do not fit into the heap. Other errors: the row `spawn` of
/// [`parley_proto::init`].
pub fn spawn(path: &CStr, args: &[&str]) -> Result<u32, Errno> {
    let block = join(args)?;
    init::spawn(&mut Trap, path, &block).map(|pid| pid as u32)
}

/// The arguments, each ended by NUL.
fn join(args: &[&str]) -> Result<Vec<u8>, Errno> {
    let mut block = Vec::new();
    block.try_reserve_exact(args.iter().map(|arg| arg.len() + 1).sum()).map_err(|_| Errno::ENOMEM)?;
    for arg in args {
        block.extend_from_slice(arg.as_bytes());
        block.push(0);
    }
    Ok(block)
}

/// Waits for a child. Returns its exit status: 0 to 255, or 256 + the vector of the exception that
/// killed it. ECHILD: not a child of the caller.
pub fn wait(pid: u32) -> Result<i32, Errno> {
    init::wait(&mut Trap, pid).map(|status| status as i32)
}

/// The first process with an id above `after`. ESRCH: there is none.
pub fn process(after: u32) -> Result<ProcessInfo, Errno> {
    let mut info = ProcessInfo::default();
    init::process(&mut Trap, after, Some(&mut info))?;
    Ok(info)
}

/// Service number `index`. ENOENT: there is none.
pub fn service(index: u32) -> Result<ServiceInfo, Errno> {
    let mut info = ServiceInfo::default();
    init::service(&mut Trap, index, Some(&mut info))?;
    Ok(info)
}

/// Does `verb` ([`parley_abi::info::verb`]) to service number `index`. Errors: see [`init::control`].
pub fn control(index: u32, verb: u32) -> Result<(), Errno> {
    init::control(&mut Trap, index, verb).map(drop)
}

/// Lets the program at `path` take over service number `index`. Errors: see [`init::swap`].
pub fn swap(index: u32, path: &CStr) -> Result<(), Errno> {
    init::swap(&mut Trap, index, path).map(drop)
}

/// What init has to say of service number `index` on a topic ([`parley_abi::info::topic`]): bytes of text, at most as
/// many as fit into `into`. Errors: see [`init::report`].
pub fn report(index: u32, topic: u32, into: &mut [u8]) -> Result<usize, Errno> {
    init::report(&mut Trap, index, topic, into).map(|count| count as usize)
}

/// Shuts the machine down: 0 powers off, 1 resets. EINVAL: `how` is neither.
pub fn shutdown(how: u32) -> Result<(), Errno> {
    init::shutdown(&mut Trap, how).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_block() {
        assert_eq!(join(&["ls", "", "-l"]).unwrap(), b"ls\0\0-l\0");
        assert_eq!(join(&[]).unwrap(), b"");
    }
}
