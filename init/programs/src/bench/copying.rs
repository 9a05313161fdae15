//! How fast a file is copied while the server, or the driver of the source, is killed again and again.
//!
//! A thread copies page after page, from one file to another or from /dev/zero to a file, for some seconds of the machine's
//! clock, and this one kills the vfs, or char, every so many milliseconds of it. The figure is what a page has cost on the
//! average: pages a second are its inverse. Nothing may fail, and what was copied last is compared.
//!
//! It takes minutes on an emulator, so it is only measured when it is named. Only where the service is a process.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU64, Ordering};

use parley_abi::call::prot;
use parley_abi::counters::Counters;
use parley_abi::info::verb;
use parley_abi::linux::open;
use parley_abi::msg::FOREVER;
use parley_abi::slot::{self, service};
use parley_abi::{Errno, PAGE};
use parley_posix as posix;
use parley_rt::Trap;
use parley_rt::sys::{self, Event, NewThread, Reply};

use super::meter::{Failure, InRow, Meter, ticks};
use super::report::{Figures, Placement};
use super::stats::Spread;
use crate::threads::own_priority;

/// The rows, in the order of [`CASES`].
pub const ROWS: &[&str] = &[
    "copy_file",
    "copy_file_killed_10",
    "copy_file_killed_100",
    "copy_file_killed_1000",
    "copy_device",
    "copy_device_killed_10",
    "copy_device_killed_100",
    "copy_device_killed_1000",
];
/// Where the bytes come from, who is killed, milliseconds between two deaths (0: nobody dies) and of the whole.
const CASES: [(&CStr, u8, u64, u64); 8] = [
    (SOURCE, service::VFS, 0, 100),
    (SOURCE, service::VFS, 10, 200),
    (SOURCE, service::VFS, 100, 500),
    (SOURCE, service::VFS, 1000, 1000),
    (c"/dev/zero", service::CHAR, 0, 100),
    (c"/dev/zero", service::CHAR, 10, 200),
    (c"/dev/zero", service::CHAR, 100, 500),
    (c"/dev/zero", service::CHAR, 1000, 1000),
];
const SOURCE: &CStr = c"/tmp/copied";
const TARGET: &CStr = c"/tmp/copy";
/// Pages of the file; it is copied again and again.
const PAGES: u64 = 64;
const MILLISECOND: u64 = 1_000_000;
/// Where the copying thread's stack lies, and its pages.
const STACK_AT: u64 = 0x33_0000_0000;
const STACK_PAGES: u64 = 8;

/// The thread listens here; its bit says: copy.
static GO: AtomicU64 = AtomicU64::new(0);
/// And here this one, which is told that it is done.
static DONE: AtomicU64 = AtomicU64::new(0);
/// Descriptors of source and target, and when to stop, in nanoseconds since boot.
static FILES: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static UNTIL: AtomicU64 = AtomicU64::new(0);
/// Pages copied, ticks that they took, and the errno of a call that failed.
static COPIED: AtomicU64 = AtomicU64::new(0);
static TOOK: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);

/// Measures [`ROWS`].
pub fn measure(meter: &mut Meter<'_>, _: &mut Trap) -> Result<(), Failure> {
    let mut started = false;
    for (row, case) in ROWS.iter().zip(CASES) {
        if meter.is_named(row) && posix::service(u32::from(case.1)).in_row(row)?.resident == 0 {
            if !core::mem::replace(&mut started, true) {
                start().in_row(row)?;
            }
            let cost = copied(case).in_row(row)?;
            let (n, counted) = (COPIED.load(Ordering::Relaxed) as usize, Counters::default());
            let ticks = Spread::of(&mut [cost], 0);
            meter.add(Figures { row, placement: Placement::Ring3, n, ticks, counted, batch: 1 });
        }
    }
    Ok(())
}

/// What a page costs, in ticks. EIO: something else than the source was copied.
fn copied((path, number, every, lasts): (&CStr, u8, u64, u64)) -> Result<u64, Errno> {
    let page = [b'x'; PAGE];
    let source = posix::open(SOURCE, open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    (0..PAGES).try_for_each(|_| posix::write_all(source, &page))?;
    let from = posix::open(path, open::RDONLY, 0)?;
    let to = posix::open(TARGET, open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    for (file, fd) in FILES.iter().zip([from, to]) {
        file.store(u64::from(fd), Ordering::Relaxed);
    }
    let begin = sys::clock();
    UNTIL.store(begin + lasts * MILLISECOND, Ordering::Relaxed);
    sys::notify(GO.load(Ordering::Relaxed) as u32, 1)?;
    // The first death is in the middle of its time.
    let mut next = if every == 0 { FOREVER } else { begin + every * MILLISECOND / 2 };
    while let Event::Timeout = sys::reply_recv(DONE.load(Ordering::Relaxed) as u32, &Reply::NONE, next)? {
        posix::control(u32::from(number), verb::KILL)?;
        next += every * MILLISECOND;
    }
    let mut found = [0; PAGE];
    let read = posix::pread(to, &mut found, 0)?;
    let expected = if path == SOURCE { page } else { [0; PAGE] };
    for fd in [source, from, to] {
        posix::close(fd)?;
    }
    posix::unlink(SOURCE)?;
    posix::unlink(TARGET)?;
    match FAILED.load(Ordering::Relaxed) {
        0 if read == PAGE && found == expected => {
            Ok(TOOK.load(Ordering::Relaxed) / COPIED.load(Ordering::Relaxed).max(1))
        }
        _ => Err(Errno::EIO),
    }
}

/// Starts the thread, below this one's priority. It stays: bench ends soon.
fn start() -> Result<(), Errno> {
    for endpoint in [&GO, &DONE] {
        endpoint.store(u64::from(sys::endpoint_create(slot::QUOTA)?), Ordering::Relaxed);
    }
    let mem = sys::mem_create(slot::QUOTA, STACK_PAGES)?;
    sys::map(slot::SPACE, mem, STACK_AT, 0, STACK_PAGES, prot::READ | prot::WRITE)?;
    sys::handle_drop(mem)?;
    let stack = STACK_AT + STACK_PAGES * PAGE as u64 - 8; // as after a call
    let priority = own_priority().saturating_sub(1);
    let new = NewThread { entry: copy as *const () as u64, stack, argument: 0, priority };
    // SAFETY: `copy` is a function of the C ABI, and its stack was just mapped, for it alone.
    let thread = unsafe { sys::thread_create(slot::SPACE, slot::QUOTA, new) }?;
    sys::thread_start(thread)
}

/// The thread that copies.
extern "C" fn copy(_: u64) -> ! {
    let go = GO.load(Ordering::Relaxed) as u32;
    while let Ok(Event::Notified { .. }) = sys::reply_recv(go, &Reply::NONE, FOREVER) {
        let [from, to] = [&FILES[0], &FILES[1]].map(|file| file.load(Ordering::Relaxed) as u32);
        let (mut pages, begin) = (0, ticks());
        while sys::clock() < UNTIL.load(Ordering::Relaxed) {
            if let Err(errno) = copy_page(from, to, (pages % PAGES * PAGE as u64) as i64) {
                FAILED.store(errno.negated().unsigned_abs(), Ordering::Relaxed);
                break;
            }
            pages += 1;
        }
        TOOK.store(ticks() - begin, Ordering::Relaxed);
        COPIED.store(pages, Ordering::Relaxed);
        let _ = sys::notify(DONE.load(Ordering::Relaxed) as u32, 1);
    }
    sys::thread_exit()
}

/// EIO: less than a page was read or written.
fn copy_page(from: u32, to: u32, at: i64) -> Result<(), Errno> {
    let mut page = [0; PAGE];
    let read = posix::pread(from, &mut page, at)?;
    let written = posix::pwrite(to, &page[..read], at)?;
    if (read, written) == (PAGE, PAGE) { Ok(()) } else { Err(Errno::EIO) }
}
