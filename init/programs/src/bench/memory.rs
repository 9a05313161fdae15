//! What it costs a service in memory that it outlives its process.
//!
//! init holds the memory that the state lies in and counts what is used of it; this only asks, after it has given the service
//! something to keep. Only where the service is a process; a resident one keeps nothing. What a service has once kept it does
//! not give back, so these rows are only measured when they are named, by `compare` in a machine of their own.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::info::{ServiceInfo, verb};
use parley_abi::linux::open;
use parley_abi::slot::service;
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_rt::Trap;

use super::blackout::{CONTENTS, OPEN_FILES};
use super::meter::{Failure, InRow, Meter};
use super::report::Memory;

/// The rows, in the order of [`CASES`].
pub const ROWS: &[&str] = &["memory_time", "memory_char", "memory_tqueue", "memory_vfs", "memory_vfs_1000"];
const CASES: [(u8, Load); 5] = [
    (service::TIME, Load::None),
    (service::CHAR, Load::None),
    (service::TQUEUE, Load::Queue),
    (service::VFS, Load::None),
    (service::VFS, Load::Files),
];
const PATH: &CStr = c"/tmp/memory";

/// What a service has to keep beside what it has anyway.
#[derive(Clone, Copy)]
enum Load {
    None,
    /// A queue that is full.
    Queue,
    /// [`OPEN_FILES`], and [`CONTENTS`] in one.
    Files,
}

/// Measures [`ROWS`].
pub fn measure(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    for (row, (number, load)) in ROWS.iter().zip(CASES) {
        let number = u32::from(number);
        if meter.is_named(row) && posix::service(number).in_row(row)?.resident == 0 {
            let info = match load {
                Load::None => posix::service(number),
                Load::Queue => with_queue(number),
                Load::Files => with_files(number),
            };
            let ServiceInfo { state_granted, state_records, state_contents, state_log, pages, .. } =
                info.in_row(row)?;
            meter.add_memory(Memory {
                row,
                granted: state_granted,
                records: state_records,
                contents: state_contents,
                log: state_log,
                process: pages * PAGE as u32,
            });
        }
    }
    Ok(())
}

fn with_queue(number: u32) -> Result<ServiceInfo, Errno> {
    // EBUSY: it runs already, and goes on.
    let loaded = match posix::control(number, verb::START) {
        Err(Errno::EBUSY) => false,
        started => started.map(|()| true)?,
    };
    let fd = posix::open(c"/dev/tqueue", open::RDWR | open::NONBLOCK, 0)?;
    let page = [b'x'; PAGE];
    let full = loop {
        match posix::write(fd, &page) {
            Ok(_) => {}
            Err(Errno::EAGAIN) => break posix::service(number),
            Err(errno) => break Err(errno),
        }
    };
    posix::close(fd)?;
    if loaded {
        posix::control(number, verb::FORCE)?;
    }
    full
}

fn with_files(number: u32) -> Result<ServiceInfo, Errno> {
    let mut files = Vec::new();
    files.try_reserve_exact(OPEN_FILES).map_err(|_| Errno::ENOMEM)?;
    for _ in 0..OPEN_FILES {
        files.push(posix::open(PATH, open::RDWR | open::CREAT, 0o600)?);
    }
    let page = [b'x'; PAGE];
    (0..CONTENTS / PAGE).try_for_each(|_| posix::write_all(files[0], &page))?;
    let full = posix::service(number);
    files.into_iter().try_for_each(posix::close)?;
    posix::unlink(PATH)?;
    full
}
