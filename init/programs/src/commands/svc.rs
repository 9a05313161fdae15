//! `svc`: what the services are, and what shall become of them.

use alloc::vec;

use parley_abi::Errno;
use parley_abi::call::State;
use parley_abi::exception;
use parley_abi::info::{ServiceInfo, reason, topic, verb};
use parley_posix::{self as posix, eprintln, print, println};
use parley_proto::calltable::INTERFACES;
use parley_rt::sys;

use super::{MISUSED, complain};
use crate::path::c_string;
use crate::shell::{Span, text};
use crate::threads;

/// Words that do something to a service.
const VERBS: [(&str, u32); 8] = [
    ("start", verb::START),
    ("stop", verb::STOP),
    ("restart", verb::RESTART),
    ("kill", verb::KILL),
    ("hang", verb::HANG),
    ("stall", verb::STALL),
    ("load", verb::START),
    ("unload", verb::UNLOAD),
];

/// Longest text that init tells of a service, in bytes.
const LONGEST: usize = 8192;

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    match *args {
        ["list"] => list(),
        ["status", name] => with(name, status),
        ["log", name] => with(name, |index, _| report(index, topic::LOG)),
        ["policy", name] => with(name, policy),
        ["swap", name, file] => with(name, |index, info| swap(index, info, file)),
        ["unload", "--force", name] | ["unload", name, "--force"] => {
            with(name, |index, info| control(index, info, verb::FORCE))
        }
        [word, name] => match VERBS.iter().find(|(known, _)| *known == word) {
            Some(&(_, verb)) => with(name, |index, info| control(index, info, verb)),
            None => misused(),
        },
        _ => misused(),
    }
}

fn misused() -> i32 {
    eprintln!("usage: svc list | svc status|log|policy NAME | svc start|stop|restart|kill|hang|stall NAME");
    eprintln!("       svc swap NAME FILE | svc load NAME | svc unload [--force] NAME");
    MISUSED
}

/// The services and where they run.
fn list() -> i32 {
    println!("{:<10} {:<5} {:>6} {:>8} {:>8} state", "service", "ring", "pid", "instance", "restarts");
    for index in 0.. {
        match posix::service(index) {
            Ok(info) if info.resident == 0 => {
                let ServiceInfo { pid, generation, restarts, .. } = info;
                let name = text(&info.name);
                println!("{name:<10} {:<5} {pid:>6} {generation:>8} {restarts:>8} {}", "3", state(&info));
            }
            Ok(info) => println!("{:<10} {:<5} {:>6} {:>8} {:>8} resident", text(&info.name), "0", "-", "-", "-"),
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

fn status(index: u32, info: &ServiceInfo) -> i32 {
    println!(" service: {}", text(&info.name));
    if info.resident != 0 {
        println!("   state: resident in ring 0: part of the kernel image. A fault in it is a panic of the");
        println!("          machine, and it can be neither restarted nor swapped; the micro kernel can.");
        return 0;
    }
    println!("   state: {}", state(info));
    println!(" version: program with checksum {:08x}", info.checksum);
    if info.pid != 0 {
        let up = Span(sys::clock().saturating_sub(info.since));
        println!("instance: {}, process {}, up {up}", info.generation, info.pid);
        println!("requests: {} served at the last heartbeat", info.served);
        load(info);
        println!("  memory: {} of {} KiB", info.pages * 4, info.pages_granted * 4);
        kept(info);
    }
    println!("restarts: {} after deaths", info.restarts);
    if info.generation > 1 || info.pid == 0 && info.generation > 0 {
        println!("  before: {}", why(info.reason));
        return last_death(index, &why(info.reason));
    }
    0
}

/// What the last instance that died said, unless it was `before`, of which all is said.
fn last_death(index: u32, before: &str) -> i32 {
    let mut buffer = vec![0; LONGEST];
    match said(index, topic::DEATH, &mut buffer) {
        Ok(death) if death.is_empty() || death.trim_end() == before => 0,
        Ok(death) => {
            println!("    died: {}", death.trim_end());
            0
        }
        Err(errno) => complain("svc", "init", errno),
    }
}

/// What outlives the process.
fn kept(info: &ServiceInfo) {
    let ServiceInfo { state_granted, state_records, state_contents, state_log, .. } = info;
    if *state_granted != 0 {
        let (records, contents, granted) = (state_records.div_ceil(1024), state_contents / 1024, state_granted / 1024);
        println!("   state: {records} KiB, contents {contents} KiB, undo log {state_log} bytes; of {granted} KiB");
    }
}

/// Who waits for it, and what it has needed of the processor.
fn load(info: &ServiceInfo) {
    let (mut queued, mut served, mut nanoseconds) = (0, 0, 0);
    for thread in threads::all().flatten() {
        let waits = thread.waits_for == info.endpoint;
        queued += u32::from(waits && thread.state == State::Calling as u32);
        served += u32::from(waits && thread.state == State::Awaiting as u32);
        nanoseconds += if thread.space == info.space { thread.cpu_time } else { 0 };
    }
    println!("   queue: {queued} waiting, {served} in progress");
    println!("     cpu: {} ms beside what it did on its callers' account", nanoseconds / 1_000_000);
}

/// How an instance ended.
fn why(status: u32) -> alloc::string::String {
    match status {
        reason::HUNG => "it hung".into(),
        reason::OVERRUN => "it had used up its memory".into(),
        reason::PANICKED => "it panicked".into(),
        reason::VIOLATION => "it violated the protocol".into(),
        status @ 0..256 => alloc::format!("ended with status {status}"),
        status => {
            let vector = u64::from(status - 256);
            alloc::format!("killed by {} (vector {vector})", exception::name(vector))
        }
    }
}

fn state(info: &ServiceInfo) -> &'static str {
    match info.state {
        0 if info.loadable != 0 => "not loaded",
        0 => "stopped",
        1 if info.ready == 0 => "starting",
        1 => "running",
        2 => "failed",
        3 => "unloading: somebody has it open",
        _ => "unknown",
    }
}

/// Prints what init has to say.
fn report(index: u32, topic: u32) -> i32 {
    let mut buffer = vec![0; LONGEST];
    match said(index, topic, &mut buffer) {
        Ok(text) => {
            print!("{text}");
            0
        }
        Err(errno) => complain("svc", "init", errno),
    }
}

fn said(index: u32, topic: u32, buffer: &mut [u8]) -> Result<&str, Errno> {
    let length = posix::report(index, topic, buffer)?.min(buffer.len());
    Ok(core::str::from_utf8(&buffer[..length]).unwrap_or("?"))
}

/// What the manifest says, and what happens to requests in progress.
fn policy(index: u32, info: &ServiceInfo) -> i32 {
    println!(" service: {}", text(&info.name));
    if info.resident != 0 {
        println!("resident: the kernel image says all: it has the rights of the kernel, and ends with it");
        return 0;
    }
    let status = report(index, topic::POLICY);
    println!("requests: those in progress when it dies are served again; of a service without state,");
    println!("          the rows that may not be served twice end with EIO (libipc/proto, `repeats`)");
    for (name, rows) in INTERFACES.iter().filter(|(name, _)| serves(text(&info.name), name)) {
        print!("{name:>8}:");
        for row in rows.iter() {
            print!(" {}{}", row.name, if row.repeats { "" } else { "!" });
        }
        println!();
    }
    println!("          (! may not be served twice)");
    status
}

/// Which interfaces a service has.
fn serves(service: &str, interface: &str) -> bool {
    match service {
        "vfs" => matches!(interface, "vfs" | "file"),
        "char" | "tqueue" => matches!(interface, "chardev" | "file"),
        "proc" => interface == "process",
        "peer" => interface == "ping",
        service => interface == service,
    }
}

fn control(index: u32, info: &ServiceInfo, verb: u32) -> i32 {
    let name = text(&info.name);
    if info.resident != 0 {
        return resident(name);
    }
    match posix::control(index, verb) {
        Ok(()) => return 0,
        Err(Errno::EPERM) => return forbidden(name),
        Err(Errno::EBUSY) if verb == verb::START => eprintln!("svc: {name}: runs already"),
        Err(Errno::EBUSY) if verb == verb::UNLOAD => {
            eprintln!("svc: {name}: in use; unload --force ends that with EIO")
        }
        Err(Errno::EBUSY) => eprintln!("svc: {name}: no program can do without it; try restart"),
        Err(Errno::ESRCH) => eprintln!("svc: {name}: does not run"),
        Err(Errno::EINVAL) if matches!(verb, verb::HANG | verb::STALL) => {
            eprintln!("svc: {name}: has no heartbeat: nobody would notice")
        }
        Err(Errno::EINVAL) => eprintln!("svc: {name}: is no driver to be unloaded; try stop"),
        Err(Errno::EIO) => eprintln!("svc: {name}: it died before it was ready; `svc status {name}` says of what"),
        Err(errno) => return complain("svc", name, errno),
    }
    1
}

fn resident(name: &str) -> i32 {
    eprintln!("svc: {name}: resident in ring 0: it is part of the kernel and ends only with the machine");
    1
}

fn forbidden(name: &str) -> i32 {
    eprintln!("svc: {name}: only who holds the control handle may do that: the shell's own svc");
    1
}

/// Lets another program take over.
fn swap(index: u32, info: &ServiceInfo, file: &str) -> i32 {
    let name = text(&info.name);
    if info.resident != 0 {
        return resident(name);
    }
    let why = match c_string(file).and_then(|path| posix::swap(index, &path)) {
        Ok(()) => {
            println!("{name} is now {file}");
            return 0;
        }
        Err(Errno::EPERM) => return forbidden(name),
        Err(Errno::EBUSY) => "another swap is not over yet",
        Err(Errno::EIO) => "it died; `svc status` and the kernel log say of what",
        Err(Errno::ETIMEDOUT) => "it was not ready in time",
        Err(Errno::ENOEXEC) => "it is no program that runs here",
        Err(Errno::EACCES) => "it wants what the manifest does not grant; `svc log` says what",
        Err(errno) => errno.text(),
    };
    eprintln!("svc: {name}: {file} did not take over: {why}; the former program goes on");
    1
}
