//! `mem`, `uptime`, `sleep`, `pid`, `svc`, `poweroff`, `reboot`: the machine and its services.

use parley_abi::call::MemInfo;
use parley_abi::info::ServiceInfo;
use parley_abi::{Errno, PAGE};
use parley_posix::{self as posix, eprintln, println};
use parley_rt::sys;

use super::duration::{Span, parse};
use super::processes::text;
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

/// `svc list`: the services and where they run.
pub fn svc(args: &[&str]) -> i32 {
    if args != ["list"] {
        eprintln!("usage: svc list");
        return MISUSED;
    }
    println!("{:<10} {:<8} {:>6} state", "service", "ring", "pid");
    for index in 0.. {
        match posix::service(index) {
            Ok(info) => show(&info),
            Err(Errno::ENOENT) => break,
            Err(errno) => return complain("svc", "init", errno),
        }
    }
    0
}

fn show(info: &ServiceInfo) {
    let state = ["stopped", "running", "failed"].get(info.state as usize).unwrap_or(&"unknown");
    let name = text(&info.name);
    match info.resident {
        0 => println!("{name:<10} {:<8} {:>6} {state}", "3", info.pid),
        _ => println!("{name:<10} {:<8} {:>6} {state}", "0", "-"),
    }
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
