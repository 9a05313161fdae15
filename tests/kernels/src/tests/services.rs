//! Services that die: the next instance takes over, and callers do not notice. Resident ones cannot.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::info::{ServiceInfo, kept, reason, topic, verb};
use parley_abi::linux::{Timespec, open, seek};
use parley_abi::msg::{FOREVER, Flags};
use parley_abi::slot::{self, service};
use parley_posix as posix;
use parley_rt::sys;

use super::scheduling::rest;
use crate::tool::machine::mem_info;
use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    residents_stay,
    a_killed_service_serves_again,
    callers_of_a_killed_service_wait,
    stopped_and_started,
    sleepers_survive,
    devices_stay_open,
    files_survive,
    no_write_is_lost_and_none_done_twice,
    swapped_under_load,
    hung_services_are_started_again,
    init_does_not_hang_with_them,
    only_the_shell_controls,
    what_init_tells_of_services,
    much_survives,
    the_smallest_server_goes_on_counting,
    what_is_kept_is_said_and_given_back,
];
pub(super) const MILLISECOND: u64 = 1_000_000;
/// A program that was swapped in proves itself for so long, in milliseconds; until then its death brings the former one back.
pub(super) const PROBATION: u64 = 3_000;

/// What is known of a service that is a process. Skips the test if it is resident.
pub(super) fn process(number: u8) -> Verdict<ServiceInfo> {
    let info = posix::service(u32::from(number))?;
    match info.resident {
        0 => Ok(info),
        _ => Err(Trouble::Skip("the service is resident in ring 0".into())),
    }
}

pub(super) fn control(number: u8, verb: u32) -> Result<(), Errno> {
    posix::control(u32::from(number), verb)
}

fn residents_stay() -> Verdict {
    for number in 0..service::COUNT as u8 {
        let info = posix::service(u32::from(number))?;
        for verb in
            [verb::STOP, verb::START, verb::RESTART, verb::KILL, verb::HANG, verb::UNLOAD, verb::FORCE, verb::STALL]
        {
            if info.resident != 0 {
                ensure_eq!(control(number, verb), Err(Errno::EPERM), "verb {verb} for resident service {number}");
            }
        }
    }
    ensure_eq!(control(service::COUNT as u8, verb::KILL), Err(Errno::ENOENT), "killing what is no service");
    ensure_eq!(posix::control(u32::MAX, verb::KILL), Err(Errno::ENOENT), "killing what is no service at all");
    Ok(())
}

fn a_killed_service_serves_again() -> Verdict {
    let before = process(service::PROC)?;
    let pid = posix::getpid();
    for verb in [verb::KILL, verb::RESTART, verb::KILL] {
        control(service::PROC, verb)?;
        ensure_eq!(posix::getpid(), pid, "the process id");
    }
    let after = process(service::PROC)?;
    ensure_eq!(after.generation, before.generation + 3, "the instance");
    ensure!(after.pid != before.pid && after.state == 1 && after.since > before.since, "after it: {after:?}");
    ensure_eq!(control(service::PROC, 99), Err(Errno::EINVAL), "a verb that is none");
    ensure_eq!(control(service::PROC, verb::STOP), Err(Errno::EBUSY), "stopping what everybody needs");
    ensure_eq!(control(service::PROC, verb::START), Err(Errno::EBUSY), "starting what runs");
    Ok(())
}

/// Three threads call without a pause while the service is killed again and again.
fn callers_of_a_killed_service_wait() -> Verdict {
    process(service::PROC)?;
    let pid = posix::getpid();
    let (done, calls, wrong) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut threads = alloc::vec::Vec::new();
    for _ in 0..3 {
        let (done, calls, wrong) = (done.clone(), calls.clone(), wrong.clone());
        threads.push(Thread::start(move || {
            while !done.load(Ordering::Relaxed) {
                wrong.fetch_add(u64::from(posix::getpid() != pid), Ordering::Relaxed);
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })?);
    }
    for _ in 0..20 {
        let seen = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < seen + 10 {
            sys::yield_now();
        }
        control(service::PROC, verb::KILL)?;
    }
    done.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join()?;
    }
    ensure_eq!(wrong.load(Ordering::Relaxed), 0, "calls with a wrong answer");
    Ok(())
}

fn stopped_and_started() -> Verdict {
    process(service::PING)?;
    control(service::PING, verb::STOP)?;
    ensure_eq!(control(service::PING, verb::STOP), Err(Errno::ESRCH), "stopping it twice");
    ensure_eq!(control(service::PING, verb::KILL), Err(Errno::ESRCH), "killing what does not run");
    let sum = Arc::new(AtomicU64::new(0));
    let caller = {
        let sum = sum.clone();
        Thread::start(move || {
            let answer = parley_proto::ping::ping(&mut parley_rt::Trap, 1, 2, 3, 4, 5, 6).unwrap_or(-1);
            sum.store(answer.cast_unsigned(), Ordering::Relaxed);
        })?
    };
    for _ in 0..10 {
        sys::yield_now();
    }
    ensure_eq!(sum.load(Ordering::Relaxed), 0, "the answer of a service that is stopped");
    control(service::PING, verb::START)?;
    caller.join()?;
    ensure_eq!(sum.load(Ordering::Relaxed), 21, "the answer when it runs again");
    Ok(())
}

/// Twenty sleep while the time service is killed ten times; nobody wakes early, late, or not at all, and the date
/// does not jump.
fn sleepers_survive() -> Verdict {
    process(service::TIME)?;
    let offset = || {
        let now = posix::clock_gettime(0)?;
        Ok::<i64, Errno>(now.sec * 1_000_000_000 + now.nsec - sys::clock().cast_signed())
    };
    let before = offset()?;
    let mut sleepers = alloc::vec::Vec::new();
    for number in 0..20u64 {
        let slept = Arc::new(AtomicU64::new(0));
        let result = slept.clone();
        let duration = 20 * MILLISECOND + number * 3 * MILLISECOND;
        let thread = Thread::start(move || {
            let start = sys::clock();
            let outcome = posix::nanosleep(&Timespec::from_nanoseconds(duration));
            result.store(if outcome.is_ok() { sys::clock() - start } else { u64::MAX }, Ordering::Relaxed);
        })?;
        sleepers.push((thread, slept, duration));
    }
    for _ in 0..10 {
        posix::nanosleep(&Timespec::from_nanoseconds(5 * MILLISECOND))?;
        control(service::TIME, verb::KILL)?;
    }
    for (thread, slept, duration) in sleepers {
        thread.join()?;
        let slept = slept.load(Ordering::Relaxed);
        ensure!(slept >= duration && slept < duration + 500 * MILLISECOND, "slept {slept} ns instead of {duration}");
    }
    let jump = (offset()? - before).unsigned_abs();
    ensure!(jump < MILLISECOND, "the date jumped by {jump} ns");
    Ok(())
}

/// Descriptors of devices are connections to the endpoint, and lead to whoever serves it.
fn devices_stay_open() -> Verdict {
    process(service::CHAR)?;
    let zero = posix::open(c"/dev/zero", open::RDWR, 0)?;
    let tty = posix::open(c"/dev/tty", open::RDWR, 0)?;
    for _ in 0..5 {
        control(service::CHAR, verb::KILL)?;
        let mut bytes = [1; 100];
        ensure_eq!(posix::read(zero, &mut bytes), Ok(100), "bytes read");
        ensure!(bytes.iter().all(|&byte| byte == 0), "bytes that are not zero");
        ensure_eq!(posix::write(zero, &bytes), Ok(100), "bytes written");
        ensure_eq!(posix::write(tty, b"\n"), Ok(1), "bytes written to the console");
    }
    posix::close(tty)?;
    Ok(posix::close(zero)?)
}

/// Open files with their offsets, files without a name, directories and contents.
fn files_survive() -> Verdict {
    process(service::VFS)?;
    let path = c"/tmp/survivor";
    let fd = posix::open(path, open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    let nameless = posix::open(c"/tmp/nameless", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    posix::mkdir(c"/tmp/dir", 0o700)?;
    posix::unlink(c"/tmp/nameless")?;
    let shared = posix::dup(fd)?;
    for round in 0..8u8 {
        control(service::VFS, if round % 2 == 0 { verb::KILL } else { verb::RESTART })?;
        let page = [round; 5000];
        ensure_eq!(posix::write(if round % 2 == 0 { fd } else { shared }, &page), Ok(5000), "bytes written");
        ensure_eq!(posix::write(nameless, &[round]), Ok(1), "bytes written without a name");
        posix::rename(c"/tmp/dir", c"/tmp/moved")?;
        posix::rename(c"/tmp/moved", c"/tmp/dir")?;
    }
    control(service::VFS, verb::KILL)?;
    ensure_eq!(posix::fstat(fd)?.size, 40_000, "the size");
    for round in 0..8u8 {
        let mut page = [99; 5000];
        ensure_eq!(posix::pread(fd, &mut page, i64::from(round) * 5000), Ok(5000), "bytes read");
        ensure!(page.iter().all(|&byte| byte == round), "contents of round {round}");
    }
    let mut bytes = [9; 8];
    ensure_eq!(posix::pread(nameless, &mut bytes, 0), Ok(8), "bytes read without a name");
    ensure_eq!(bytes, [0, 1, 2, 3, 4, 5, 6, 7], "contents without a name");
    ensure_eq!(posix::mkdir(c"/tmp/dir", 0o700), Err(Errno::EEXIST), "making the directory again");
    ensure_eq!(posix::stat(c"/tmp/nameless").err(), Some(Errno::ENOENT), "the name that was removed");
    for fd in [fd, shared, nameless] {
        posix::close(fd)?;
    }
    posix::rmdir(c"/tmp/dir")?;
    posix::unlink(path)?;
    control(service::VFS, verb::KILL)?;
    ensure_eq!(posix::open(path, open::RDONLY, 0).err(), Some(Errno::ENOENT), "a file that was removed");
    Ok(())
}

/// The vfs is killed at whatever instant it happens to be.
fn no_write_is_lost_and_none_done_twice() -> Verdict {
    process(service::VFS)?;
    under_load(40, |_| control(service::VFS, verb::KILL))
}

/// Services are swapped, for the same program.
fn swapped_under_load() -> Verdict {
    const FILES: [(u8, &core::ffi::CStr); 4] = [
        (service::VFS, c"/svc/vfs"),
        (service::TIME, c"/svc/time"),
        (service::PROC, c"/svc/proc"),
        (service::CHAR, c"/svc/char"),
    ];
    process(service::CHAR)?;
    let before = process(service::VFS)?.generation;
    under_load(16, |round| {
        let (number, file) = FILES[round % FILES.len()];
        posix::swap(u32::from(number), file)
    })?;
    ensure_eq!(process(service::VFS)?.generation, before + 4, "the instance of the vfs");
    Ok(())
}

/// Three threads append counted records, each to its own file, while `disturb` happens again and again: each record is
/// there once, in order, and no call failed.
fn under_load(rounds: usize, disturb: impl Fn(usize) -> Result<(), Errno>) -> Verdict {
    const PATHS: [&core::ffi::CStr; 3] = [c"/tmp/log0", c"/tmp/log1", c"/tmp/log2"];
    let (done, wrong) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let counts = [const { AtomicU64::new(0) }; 3];
    let counts = Arc::new(counts);
    let mut threads = alloc::vec::Vec::new();
    for (index, path) in PATHS.into_iter().enumerate() {
        let (done, wrong, counts) = (done.clone(), wrong.clone(), counts.clone());
        threads.push(Thread::start(move || {
            let Ok(fd) = posix::open(path, open::WRONLY | open::CREAT | open::TRUNC, 0o600) else {
                wrong.fetch_add(1, Ordering::Relaxed);
                return;
            };
            while !done.load(Ordering::Relaxed) {
                let number = counts[index].load(Ordering::Relaxed);
                let wrote = posix::write(fd, &number.to_le_bytes());
                wrong.fetch_add(u64::from(wrote != Ok(8)), Ordering::Relaxed);
                counts[index].store(number + 1, Ordering::Relaxed);
            }
            wrong.fetch_add(u64::from(posix::close(fd).is_err()), Ordering::Relaxed);
        })?);
    }
    let mut disturbed = Ok(());
    for round in 0..rounds {
        posix::nanosleep(&Timespec::from_nanoseconds(3 * MILLISECOND))?;
        disturbed = disturbed.and(disturb(round));
    }
    done.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join()?;
    }
    disturbed?;
    ensure_eq!(wrong.load(Ordering::Relaxed), 0, "calls that failed");
    for (path, count) in PATHS.into_iter().zip(counts.iter()) {
        let count = count.load(Ordering::Relaxed);
        ensure!(count > rounds as u64, "only {count} records");
        let fd = posix::open(path, open::RDONLY, 0)?;
        for number in 0..count {
            let mut record = [0; 8];
            ensure_eq!(posix::read(fd, &mut record), Ok(8), "bytes of record {number} of {count}");
            ensure_eq!(u64::from_le_bytes(record), number, "record {number} of {count}");
        }
        ensure_eq!(posix::read(fd, &mut [0; 8]), Ok(0), "bytes after the last record");
        posix::close(fd)?;
        posix::unlink(path)?;
    }
    Ok(())
}

/// Calls to a service that runs in circles, or waits for ever, wait until init has noticed, and are served by the next instance.
fn hung_services_are_started_again() -> Verdict {
    process(service::PROC)?;
    rest(PROBATION)?; // of what other tests have swapped in
    let pid = posix::getpid();
    for number in [service::PROC, service::TIME] {
        let Ok(before) = process(number) else { continue };
        control(number, if number == service::CHAR { verb::STALL } else { verb::HANG })?;
        let start = sys::clock();
        match number {
            service::PROC => ensure_eq!(posix::getpid(), pid, "the process id"),
            _ => ensure!(posix::clock_gettime(0)?.sec > 0, "the time of day"),
        }
        let after = process(number)?;
        let took = sys::clock() - start;
        ensure_eq!(after.generation, before.generation + 1, "the instance of service {number}");
        ensure_eq!(after.restarts, before.restarts + 1, "restarts of service {number}");
        ensure_eq!(after.reason, reason::HUNG, "what service {number} died of");
        ensure!(took < 8_000 * MILLISECOND, "service {number} was away for {took} ns");
    }
    for verb in [verb::HANG, verb::STALL] {
        ensure_eq!(control(service::PEER, verb), Err(Errno::EINVAL), "verb {verb} for a service without heartbeat");
    }
    Ok(())
}

/// init reads a program's file, and says on the console how it ended, while those who serve that hang; they are started
/// again like any other.
fn init_does_not_hang_with_them() -> Verdict {
    for number in [service::VFS, service::CHAR] {
        process(number)?;
        control(number, if number == service::VFS { verb::STALL } else { verb::HANG })?;
        let child = posix::spawn(c"/bin/echo", &["/bin/echo"])?;
        ensure_eq!(posix::wait(child), Ok(0), "the status of a program started while service {number} hung");
        ensure_eq!(process(number)?.reason, reason::HUNG, "what service {number} died of");
    }
    Ok(())
}

/// A program that another program started gets EPERM for whatever changes a service, and can look.
fn only_the_shell_controls() -> Verdict {
    let before = process(service::PROC)?;
    ensure_eq!(before.may_control, 1, "the right of this test to control");
    for (args, status) in [
        (&["/bin/svc", "kill", "proc"][..], 1),
        (&["/bin/svc", "hang", "proc"], 1),
        (&["/bin/svc", "swap", "proc", "/svc/proc"], 1),
        (&["/bin/svc", "policy", "proc"], 0),
        (&["/bin/svc", "log", "proc"], 0),
    ] {
        let child = posix::spawn(c"/bin/svc", args)?;
        ensure_eq!(posix::wait(child), Ok(status), "the status of {args:?}");
    }
    ensure_eq!(process(service::PROC)?.generation, before.generation, "the instance");
    Ok(())
}

/// The text that init has on a topic.
pub(super) fn told(number: u8, topic: u32) -> Verdict<alloc::string::String> {
    let mut buffer = alloc::vec![0; 8192];
    let length = posix::report(u32::from(number), topic, &mut buffer)?;
    buffer.truncate(length);
    Ok(alloc::string::String::from_utf8(buffer).expect("init writes UTF-8"))
}

fn what_init_tells_of_services() -> Verdict {
    let before = process(service::PROC)?;
    ensure!(before.pages > 0 && before.pages < before.pages_granted, "pages: {before:?}");
    ensure!(before.checksum != 0 && before.space != u32::MAX && before.endpoint != u32::MAX, "numbers: {before:?}");
    for _ in 0..1000 {
        posix::getpid();
    }
    let served = before.served;
    let mut after = before;
    for _ in 0..50 {
        posix::nanosleep(&Timespec::from_nanoseconds(100 * MILLISECOND))?;
        after = process(service::PROC)?;
        if after.served >= served + 1000 {
            break;
        }
    }
    ensure!(after.served >= served + 1000, "{} requests served of 1000 and {served}", after.served);
    control(service::PROC, verb::KILL)?;
    let log = told(service::PROC, topic::LOG)?;
    ensure!(log.contains("killed on request") && log.contains(" started as process "), "the log: {log}");
    ensure!(told(service::PROC, topic::DEATH)?.contains("killed on request"), "the death");
    ensure!(told(service::PROC, topic::POLICY)?.contains("heartbeat: every 1000 ms"), "the policy");
    ensure_eq!(posix::report(99, topic::LOG, &mut [0; 8]), Err(Errno::ENOENT), "a report on what is no service");
    ensure_eq!(posix::report(0, 99, &mut [0; 8]), Err(Errno::EINVAL), "a report on what is no topic");
    ensure_eq!(posix::report(0, topic::POLICY, &mut [0; 8]), Ok(8), "a report that is cut");
    Ok(())
}

/// A thousand open files with offsets of their own, and 4 MiB of contents, through a death and a swap.
fn much_survives() -> Verdict {
    const FILES: usize = 1000;
    const EACH: usize = (4 << 20) / FILES + 1;
    process(service::VFS)?;
    let mut bytes = alloc::vec![0; EACH];
    let mut files = alloc::vec::Vec::new();
    for index in 0..FILES {
        let name = alloc::format!("/tmp/many{index}\0");
        let name = core::ffi::CStr::from_bytes_with_nul(name.as_bytes()).map_err(|_| Errno::EINVAL)?;
        let fd = posix::open(name, open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
        bytes.fill(index as u8);
        ensure_eq!(posix::write(fd, &bytes), Ok(EACH), "bytes written to file {index}");
        posix::lseek(fd, index as i64, seek::SET)?;
        posix::unlink(name)?;
        files.push(fd);
    }
    for way in ["a death", "a swap"] {
        match way {
            "a death" => control(service::VFS, verb::KILL)?,
            _ => posix::swap(u32::from(service::VFS), c"/svc/vfs")?,
        }
        for (index, &fd) in files.iter().enumerate() {
            ensure_eq!(posix::lseek(fd, 0, seek::CUR), Ok(index as i64), "the offset of file {index} after {way}");
            ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(EACH), "bytes of file {index} after {way}");
            ensure!(bytes.iter().all(|&byte| byte == index as u8), "the contents of file {index} after {way}");
        }
    }
    for fd in files {
        posix::close(fd)?;
    }
    Ok(())
}

/// What the template shows: ping's second instance counts its calls, whoever serves them.
fn the_smallest_server_goes_on_counting() -> Verdict {
    let peer = slot::of_service(service::PEER);
    let count = || {
        let (_, words) = sys::call(peer, Flags::empty(), parley_proto::ping::label::count, [0; 6], FOREVER)?;
        Errno::check(words[0].cast_signed())
    };
    let first = count()?;
    // There and back between two versions of its state.
    for calls in 1..20 {
        match calls % 6 {
            0 | 3 => control(service::PEER, verb::KILL)?,
            1 => posix::swap(u32::from(service::PEER), c"/svc/ping-v2")?,
            4 => posix::swap(u32::from(service::PEER), c"/svc/ping")?,
            _ => {}
        }
        ensure_eq!(count()?, first + calls, "the count after {calls} calls");
    }
    Ok(())
}

/// init says what it holds on to after a swap and after a death, until it does no more; then nothing is left over.
fn what_is_kept_is_said_and_given_back() -> Verdict {
    let number = service::PROC;
    let kept = || posix::service(u32::from(number)).map(|info| info.kept);
    process(number)?;
    let settled = || {
        for _ in 0..8000 {
            if kept()? == 0 {
                return Ok(true);
            }
            posix::nanosleep(&Timespec::from_nanoseconds(MILLISECOND))?;
        }
        Ok::<bool, Errno>(false)
    };
    posix::swap(u32::from(number), c"/svc/proc")?;
    ensure!(settled()?, "kept for ever: {:#b}", kept()?);
    let before = mem_info()?;
    posix::swap(u32::from(number), c"/svc/proc")?;
    ensure_eq!(kept()? & kept::FORMER, kept::FORMER, "the former program, right after a swap");
    ensure!(settled()?, "kept for ever: {:#b}", kept()?);
    control(number, verb::KILL)?;
    ensure_eq!(kept()?, kept::DEAD, "a dead instance, right after its death");
    ensure!(settled()?, "kept for ever: {:#b}", kept()?);
    let after = mem_info()?;
    ensure_eq!((after.spaces, after.threads), (before.spaces, before.threads), "address spaces and threads");
    Ok(())
}
