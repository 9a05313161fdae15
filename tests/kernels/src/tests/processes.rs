//! Processes: started, waited for, listed.

use alloc::string::{String, ToString};
use parley_abi::Errno;
use parley_abi::call::ThreadInfo;
use parley_abi::info::ProcessInfo;
use parley_abi::slot;
use parley_posix as posix;
use parley_programs::threads;
use parley_rt::sys;

use crate::tool::process::victim;
use crate::tool::verdict::Verdict;

tests![exit_status, arguments_arrive, only_children, cannot_start, many_arguments, listed, shutdown_is_not_for_all];

fn exit_status() -> Verdict {
    for status in ["0", "1", "7", "255"] {
        ensure_eq!(victim(&["exit", status])?.to_string(), status, "exit({status})");
    }
    ensure_eq!(victim(&["exit", "256"])?, 0, "exit(256)");
    ensure_eq!(victim(&["panic"])?, 101, "a panic");
    Ok(())
}

fn arguments_arrive() -> Verdict {
    // "ktest-victim" + "arguments" + the rest.
    ensure_eq!(victim(&["arguments", "", "a b", "\u{e4}"])?, 12 + 9 + 3 + 2, "bytes in all arguments");
    Ok(())
}

fn only_children() -> Verdict {
    for pid in [0, 1, posix::getpid(), posix::getppid(), 999_999, u32::MAX] {
        ensure_eq!(posix::wait(pid), Err(Errno::ECHILD), "waiting for process {pid}");
    }
    let pid = posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "exit", "3"])?;
    ensure_eq!(posix::wait(pid), Ok(3), "waiting for a child");
    ensure_eq!(posix::wait(pid), Err(Errno::ECHILD), "waiting for it again");
    Ok(())
}

fn cannot_start() -> Verdict {
    ensure_eq!(posix::spawn(c"/bin/nothing", &["x"]), Err(Errno::ENOENT), "a program that is not there");
    ensure_eq!(posix::spawn(c"", &["x"]), Err(Errno::ENOENT), "the empty path");
    let directory = posix::spawn(c"/bin", &["x"]);
    ensure!(matches!(directory, Err(Errno::EACCES | Errno::EISDIR | Errno::ENOEXEC)), "a directory: {directory:?}");
    let device = posix::spawn(c"/dev/null", &["x"]);
    ensure!(matches!(device, Err(Errno::EACCES | Errno::ENOEXEC)), "a device: {device:?}");
    Ok(())
}

fn many_arguments() -> Verdict {
    let long = String::from_utf8(alloc::vec![b'x'; 200_000]).unwrap_or_default();
    let many = alloc::vec!["x"; 20_000];
    for args in [["ktest-victim", "exit", &long].as_slice(), &many] {
        let spawned = posix::spawn(c"/bin/ktest-victim", args);
        match spawned {
            Ok(pid) => drop(posix::wait(pid)?),
            Err(errno) => ensure!(matches!(errno, Errno::E2BIG | Errno::ENOMEM), "huge arguments: {errno}"),
        }
    }
    let none = posix::spawn(c"/bin/ktest-victim", &[]);
    if let Ok(pid) = none {
        ensure!(posix::wait(pid)? < 512, "a program without arguments");
    }
    Ok(())
}

fn listed() -> Verdict {
    let (own, mut after, mut found): (u32, u32, Option<ProcessInfo>) = (posix::getpid(), 0, None);
    while let Ok(process) = posix::process(after) {
        ensure!(process.pid > after, "process {} after {after}", process.pid);
        after = process.pid;
        found = if process.pid == own { Some(process) } else { found };
    }
    let Some(process) = found else { fail!("process {own} is not listed") };
    ensure_eq!(process.parent, posix::getppid(), "its parent");
    ensure_eq!(process.space, sys::handle_info(slot::SPACE)?.2, "its address space");
    ensure!(process.name.as_flattened().starts_with(b"ktest\0"), "its name is {:?}", process.name);
    let mut listed = threads::all().flatten();
    ensure!(listed.any(|thread: ThreadInfo| thread.space == process.space), "its thread is not listed");
    Ok(())
}

fn shutdown_is_not_for_all() -> Verdict {
    ensure!(posix::shutdown(7).is_err(), "shutting down in a way that is none");
    ensure_eq!(posix::service(9999), Err(Errno::ENOENT), "service 9999");
    Ok(())
}
