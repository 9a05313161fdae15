//! `bug`: makes the driver tqueue run past the end of its buffer, and tells what follows.
//!
//! Where the driver is a process, that costs one request. Where it is part of the kernel, nothing follows.

use parley_abi::Errno;
use parley_abi::info::verb;
use parley_abi::linux::open;
use parley_abi::slot::service;
use parley_posix::{self as posix, eprintln, println};

use super::complain;

/// Runs it. Status 0: everything but the one request went on.
pub fn run() -> i32 {
    match try_run() {
        Ok(status) => status,
        Err(errno) => complain("bug", "/dev/tqueue", errno),
    }
}

fn try_run() -> Result<i32, Errno> {
    let number = u32::from(service::TQUEUE);
    let before = posix::service(number)?;
    match before.resident {
        0 => println!("the driver tqueue is a process"),
        _ => println!("the driver tqueue is part of the kernel"),
    }
    if before.resident == 0 && before.pid == 0 {
        match posix::control(number, verb::START) {
            Err(Errno::EPERM) => {
                eprintln!("bug: it is not loaded, and only the shell may do that: svc load tqueue");
                return Ok(1);
            }
            other => other?,
        }
    }
    let queue = posix::open(c"/dev/tqueue", open::RDWR, 0)?;
    posix::write_all(queue, b"kept")?;
    println!("the queue has: kept");
    println!("now it takes a length for an index ...");
    let bug = posix::open(c"/dev/tqueue-bug", open::WRONLY, 0)?;
    match posix::write(bug, b"x") {
        Ok(_) => println!("... and nothing happened"),
        Err(errno) => println!("... and this one request failed: {errno}"),
    }
    let after = posix::service(number)?;
    println!("the driver was started again {} times", after.restarts - before.restarts);
    let mut bytes = [0; 16];
    let count = posix::read(queue, &mut bytes)?;
    println!("the queue still has: {}", core::str::from_utf8(&bytes[..count]).unwrap_or("?"));
    let is_well = &bytes[..count] == b"kept" && after.restarts > before.restarts;
    Ok(i32::from(!is_well))
}
