//! `mem`, `uptime`, `sleep`, `pid`, `poweroff`, `reboot`: the machine.

use parley_abi::PAGE;
use parley_abi::call::MemInfo;
use parley_posix::{self as posix, eprintln, println};
use parley_rt::sys;

use super::duration::{Span, parse};
use crate::commands::{MISUSED, complain};

/// `mem`: who has the memory.
pub fn mem(_: &[&str]) -> i32 {
    let mut info = MemInfo::default();
    if let Err(errno) = sys::mem_info(&mut info) {
        return complain("mem", "the core", errno);
    }
    let pages = |what: &str, pages: u64| println!("{what:<8} {pages:>8} pages {:>10} KiB", pages * PAGE as u64 / 1024);
    pages("total", info.total);
    pages("used", info.total.saturating_sub(info.free));
    pages("free", info.free);
    pages("tables", info.tables);
    println!("{} threads, {} address spaces, {} connections", info.threads, info.spaces, info.connections);
    0
}

/// `uptime`: since the core started.
pub fn uptime(_: &[&str]) -> i32 {
    println!("up {}", Span(sys::clock()));
    0
}

/// `sleep SECONDS`
pub fn sleep(args: &[&str]) -> i32 {
    let Some(duration) = args.first().filter(|_| args.len() == 1).and_then(|text| parse(text)) else {
        eprintln!("usage: sleep SECONDS");
        return MISUSED;
    };
    posix::nanosleep(&duration).map_or_else(|errno| complain("sleep", "clock", errno), |_| 0)
}

/// `pid`: the shell's own.
pub fn pid(_: &[&str]) -> i32 {
    println!("{}", posix::getpid());
    0
}

/// `poweroff`
pub fn poweroff(_: &[&str]) -> i32 {
    shutdown("poweroff", 0)
}

/// `reboot`
pub fn reboot(_: &[&str]) -> i32 {
    shutdown("reboot", 1)
}

fn shutdown(name: &str, how: u32) -> i32 {
    posix::shutdown(how).map_or_else(|errno| complain(name, "init", errno), |_| 0)
}
