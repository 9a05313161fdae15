//! `svc`: what the services are, and what shall become of them.

use parley_abi::Errno;
use parley_abi::exception;
use parley_abi::info::{ServiceInfo, verb};
use parley_posix::{self as posix, eprintln, println};
use parley_rt::sys;

use super::{MISUSED, complain};
use crate::path::c_string;
use crate::shell::{Span, text};

/// Words that do something to a service.
const VERBS: [(&str, u32); 4] =
    [("start", verb::START), ("stop", verb::STOP), ("restart", verb::RESTART), ("kill", verb::KILL)];

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    match *args {
        ["list"] => list(),
        ["status", name] => with(name, |_, info| status(info)),
        ["swap", name, file] => with(name, |index, info| swap(index, info, file)),
        [word, name] => match VERBS.iter().find(|(known, _)| *known == word) {
            Some(&(_, verb)) => with(name, |index, info| control(index, info, verb)),
            None => misused(),
        },
        _ => misused(),
    }
}

fn misused() -> i32 {
    eprintln!("usage: svc list | svc status|start|stop|restart|kill NAME | svc swap NAME FILE");
    MISUSED
}

/// The services and where they run.
fn list() -> i32 {
    println!("{:<10} {:<8} {:>6} {:>8} state", "service", "ring", "pid", "instance");
    for index in 0.. {
        match posix::service(index) {
            Ok(info) if info.resident == 0 => {
                println!("{:<10} {:<8} {:>6} {:>8} {}", text(&info.name), "3", info.pid, info.generation, state(&info));
            }
            Ok(info) => println!("{:<10} {:<8} {:>6} {:>8} {}", text(&info.name), "0", "-", "-", state(&info)),
            Err(Errno::ENOENT) => break,
            Err(errno) => return complain("svc", "init", errno),
        }
    }
    0
}

/// Calls `what` with the number of the service called `name`, and what is known of it.
fn with(name: &str, what: impl FnOnce(u32, &ServiceInfo) -> i32) -> i32 {
    for index in 0.. {
        match posix::service(index) {
            Ok(info) if text(&info.name) == name => return what(index, &info),
            Ok(_) => {}
            Err(Errno::ENOENT) => break,
            Err(errno) => return complain("svc", "init", errno),
        }
    }
    eprintln!("svc: {name}: no such service; `svc list` names them");
    1
}

fn status(info: &ServiceInfo) -> i32 {
    println!(" service: {}", text(&info.name));
    if info.resident != 0 {
        println!("   state: resident in ring 0: part of the kernel image. A fault in it is a panic of the");
        println!("          machine, and it can be neither restarted nor swapped; the micro kernel can.");
        return 0;
    }
    println!("   state: {}", state(info));
    println!(
        "instance: {}, process {}, up {}",
        info.generation,
        info.pid,
        Span(sys::clock().saturating_sub(info.since))
    );
    match info.reason {
        _ if info.generation < 2 => {}
        reason @ 0..256 => println!("  before: ended with status {reason}"),
        reason => {
            let vector = u64::from(reason - 256);
            println!("  before: killed by {} (vector {vector})", exception::name(vector));
        }
    }
    0
}

fn state(info: &ServiceInfo) -> &'static str {
    ["stopped", "running", "failed"].get(info.state as usize).unwrap_or(&"unknown")
}

fn control(index: u32, info: &ServiceInfo, verb: u32) -> i32 {
    let name = text(&info.name);
    match posix::control(index, verb) {
        Ok(()) => return 0,
        Err(Errno::EPERM) if info.resident != 0 => resident(name),
        Err(Errno::EBUSY) if verb == verb::START => eprintln!("svc: {name}: runs already"),
        Err(Errno::EBUSY) => eprintln!("svc: {name}: no program can do without it; try restart"),
        Err(Errno::ESRCH) => eprintln!("svc: {name}: does not run"),
        Err(errno) => return complain("svc", name, errno),
    }
    1
}

fn resident(name: &str) {
    eprintln!("svc: {name}: resident in ring 0: it is part of the kernel and ends only with the machine");
}

/// Lets another program take over.
fn swap(index: u32, info: &ServiceInfo, file: &str) -> i32 {
    let name = text(&info.name);
    let why = match c_string(file).and_then(|path| posix::swap(index, &path)) {
        Ok(()) => {
            println!("{name} is now {file}");
            return 0;
        }
        Err(Errno::EPERM) if info.resident != 0 => {
            resident(name);
            return 1;
        }
        Err(Errno::EBUSY) => "another swap is not over yet",
        Err(Errno::EIO) => "it died; the kernel log says of what",
        Err(Errno::ETIMEDOUT) => "it was not ready in time",
        Err(errno) => errno.text(),
    };
    eprintln!("svc: {name}: {file} did not take over: {why}; the former program goes on");
    1
}
