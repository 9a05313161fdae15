//! `ps`: processes and their threads.
//!
//! init knows processes, the core knows threads; the number of the address space joins them.

use alloc::vec::Vec;
use parley_abi::Errno;
use parley_abi::call::{STATE_NAMES, ThreadInfo};
use parley_abi::info::ProcessInfo;
use parley_posix::{self as posix, println};

use crate::commands::complain;
use crate::threads;

/// `ps`
pub fn ps(_: &[&str]) -> i32 {
    let listed = threads::all().collect::<Result<Vec<ThreadInfo>, Errno>>();
    match listed.and_then(|threads| Ok((threads, processes()?))) {
        Ok((threads, processes)) => {
            print_table(&threads, &processes);
            0
        }
        Err(errno) => complain("ps", "the list", errno),
    }
}

/// All processes, as init lists them.
pub fn processes() -> Result<Vec<ProcessInfo>, Errno> {
    let (mut processes, mut after) = (Vec::new(), 0);
    loop {
        match posix::process(after) {
            Ok(process) if process.pid > after => {
                after = process.pid;
                processes.push(process);
            }
            Ok(_) | Err(Errno::ESRCH) => return Ok(processes),
            Err(errno) => return Err(errno),
        }
    }
}

fn print_table(threads: &[ThreadInfo], processes: &[ProcessInfo]) {
    println!(
        "{:>5} {:>6} {:>6} {:<9} {:>4} {:>6} {:>7} {:<14} name",
        "pid", "parent", "thread", "state", "prio", "pages", "cpu ms", "waits for"
    );
    for process in processes {
        let own = threads.iter().filter(|thread| thread.space == process.space);
        own.for_each(|thread| row(Some(process), thread));
    }
    let known = |thread: &&ThreadInfo| processes.iter().any(|process| process.space == thread.space);
    threads.iter().filter(|thread| !known(thread)).for_each(|thread| row(None, thread));
}

fn row(process: Option<&ProcessInfo>, thread: &ThreadInfo) {
    match process {
        Some(process) => posix::print!("{:>5} {:>6} ", process.pid, process.parent),
        None => posix::print!("{:>5} {:>6} ", "-", "-"),
    }
    let state = STATE_NAMES.get(thread.state as usize).unwrap_or(&"unknown");
    let milliseconds = thread.cpu_time / 1_000_000;
    posix::print!("{:>6} {state:<9} {:>4} {:>6} {milliseconds:>7} ", thread.thread, thread.priority, thread.pages);
    match thread.waits_for {
        u32::MAX => posix::print!("{:<14} ", "-"),
        endpoint => posix::print!("endpoint {endpoint:<5} "),
    }
    println!("{}", process.map_or("-", |process| text(process.name.as_flattened())));
}

/// Text padded with NUL; `?` if it is not UTF-8.
pub fn text(padded: &[u8]) -> &str {
    let end = padded.iter().position(|&byte| byte == 0).unwrap_or(padded.len());
    core::str::from_utf8(&padded[..end]).unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn padding_goes_away() {
        assert_eq!((text(b"vfs\0\0"), text(b"full"), text(b""), text(b"\xff")), ("vfs", "full", "", "?"));
    }
}
