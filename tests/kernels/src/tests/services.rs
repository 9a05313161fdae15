//! Services that die: the next instance takes over, and callers do not notice. Resident ones cannot.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::info::{ServiceInfo, kept, reason, topic, verb};
use parley_abi::linux::{Timespec, open};
use parley_abi::msg::{FOREVER, Flags};
use parley_abi::slot::{self, service};
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::elf::Elf;
use crate::tool::file::write_file;
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
    bad_programs_leave_the_old_one,
    hung_services_are_started_again,
    init_does_not_hang_with_them,
    only_the_shell_controls,
    what_init_tells_of_services,
    rogue_programs_leave_the_old_one,
    programs_that_fail_later_are_taken_back,
    deaths_have_reasons,
    spoilt_state_is_not_used,
    versions_come_and_go,
    what_cannot_take_over_leaves_the_old_one,
    much_survives,
    another_clock_takes_over,
    the_smallest_server_goes_on_counting,
    what_is_kept_is_said_and_given_back,
];

const MILLISECOND: u64 = 1_000_000;
/// Bytes of code at the end of an [`Elf`].
const CODE: usize = 11;

/// What is known of a service that is a process. Skips the test if it is resident.
fn process(number: u8) -> Verdict<ServiceInfo> {
    let info = posix::service(u32::from(number))?;
    match info.resident {
        0 => Ok(info),
        _ => Err(Trouble::Skip("the service is resident in ring 0".into())),
    }
}

fn control(number: u8, verb: u32) -> Result<(), Errno> {
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

/// What is no program, exits at once, faults at once or never says that it is ready.
fn bad_programs_leave_the_old_one() -> Verdict {
    process(service::TIME)?;
    let code = |code: &[u8]| {
        let mut elf = Elf::new();
        let at = elf.0.len() - CODE;
        elf.0[at..at + code.len()].copy_from_slice(code);
        elf.0
    };
    let cases: [(&str, alloc::vec::Vec<u8>, Errno); 5] = [
        ("text", b"no program".to_vec(), Errno::ENOEXEC),
        ("a truncated program", Elf::new().0[..100].to_vec(), Errno::ENOEXEC),
        ("a program that exits", Elf::new().0, Errno::EIO),
        ("a program that faults", code(&[0x0f, 0x0b]), Errno::EIO),
        ("a program that spins", code(&[0xeb, 0xfe]), Errno::ETIMEDOUT),
    ];
    let fd = posix::open(c"/tmp/kept", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    posix::write(fd, b"kept")?;
    for number in [service::TIME, service::VFS] {
        ensure_eq!(posix::swap(u32::from(number), c"/nonesuch"), Err(Errno::ENOENT), "a file that is not there");
        for (what, contents, errno) in &cases {
            let _file = write_file(c"/ktest.elf", contents)?;
            ensure_eq!(posix::swap(u32::from(number), c"/ktest.elf"), Err(*errno), "{what} as service {number}");
            ensure_eq!(process(number)?.state, 1, "the state of service {number} after {what}");
            posix::nanosleep(&Timespec::from_nanoseconds(MILLISECOND))?;
            let mut bytes = [0; 4];
            ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(4), "bytes of the file after {what}");
            ensure_eq!(&bytes, b"kept", "the file after {what}");
        }
    }
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/kept")?)
}

/// Calls to a service that runs in circles, or waits for ever, wait until init has noticed, and are served by the next instance.
fn hung_services_are_started_again() -> Verdict {
    process(service::PROC)?;
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
fn told(number: u8, topic: u32) -> Verdict<alloc::string::String> {
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

/// A copy of the program that does wrong, in this way.
fn rogue(mode: &[u8; 4]) -> Verdict<alloc::vec::Vec<u8>> {
    const MARK: &[u8] = b"ROGUE-MODE:";
    let fd = posix::open(c"/bin/ktest-rogue", open::RDONLY, 0)?;
    let mut bytes = alloc::vec![0; posix::fstat(fd)?.size as usize];
    let mut done = 0;
    while done < bytes.len() {
        done += posix::read(fd, &mut bytes[done..])?;
    }
    posix::close(fd)?;
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("the program has its mark");
    bytes[at + MARK.len()..][..4].copy_from_slice(mode);
    Ok(bytes)
}

/// Programs that look like servers: each leaves the old one serving, from its own state.
fn rogue_programs_leave_the_old_one() -> Verdict {
    process(service::VFS)?;
    let before = process(service::PROC)?;
    ensure_eq!(posix::swap(service::PROC.into(), c"/svc/char"), Err(Errno::EACCES), "a program that wants ports");
    ensure!(told(service::PROC, topic::LOG)?.contains("wants memory that outlives it"), "the log of what it wants");
    ensure_eq!(process(service::PROC)?.generation, before.generation, "the instance afterwards");
    let fd = posix::open(c"/tmp/kept", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    posix::write(fd, b"kept")?;
    for (mode, errno, said) in [
        (b"quit", Errno::EIO, "the new program has failed"),
        (b"old ", Errno::EIO, "the new program has failed"),
        (b"mute", Errno::ETIMEDOUT, "the new program has failed"),
        (b"junk", Errno::ETIMEDOUT, "the new program has failed"),
    ] {
        for number in [service::VFS, service::TIME] {
            let Ok(before) = process(number) else { continue };
            let name = alloc::string::String::from_utf8_lossy(mode);
            {
                let _file = write_file(c"/ktest.elf", &rogue(mode)?)?;
                ensure_eq!(posix::swap(number.into(), c"/ktest.elf"), Err(errno), "`{name}` as service {number}");
            }
            let after = process(number)?;
            ensure_eq!(after.checksum, before.checksum, "the program after `{name}` as service {number}");
            ensure!(told(number, topic::LOG)?.contains(said), "the log of service {number} after `{name}`");
            let mut bytes = [0; 4];
            ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(4), "bytes of the file after `{name}`");
            ensure_eq!(&bytes, b"kept", "the file after `{name}` as service {number}");
            ensure!(posix::clock_gettime(0)?.sec > 1_000_000_000, "the date after `{name}`");
        }
    }
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/kept")?)
}

/// Programs that say they are ready and then die, hang in a request, or use up their memory: within two seconds the
/// former one serves again, and the request that was in progress is answered.
fn programs_that_fail_later_are_taken_back() -> Verdict {
    process(service::PING)?;
    let ping = || parley_proto::ping::ping(&mut parley_rt::Trap, 1, 2, 3, 4, 5, 6);
    for mode in [b"loop", b"spin", b"leak"] {
        let before = process(service::PING)?;
        let name = alloc::string::String::from_utf8_lossy(mode);
        let _file = write_file(c"/ktest.elf", &rogue(mode)?)?;
        posix::swap(service::PING.into(), c"/ktest.elf")?;
        ensure_eq!(ping(), Ok(21), "the answer of who takes `{name}`'s place");
        let after = process(service::PING)?;
        ensure_eq!(after.checksum, before.checksum, "the program after `{name}`");
    }
    let log = told(service::PING, topic::LOG)?;
    ensure!(log.contains("hangs: no heartbeat") && log.contains(" pages; killing it"), "the log: {log}");
    Ok(())
}

/// Whatever a server dies of, the next one serves, and init tells what it was.
fn deaths_have_reasons() -> Verdict {
    process(service::PING)?;
    let ping = || parley_proto::ping::ping(&mut parley_rt::Trap, 1, 2, 3, 4, 5, 6);
    for (mode, wanted, said) in [
        (b"loop", 5, "exited with status 5"),
        (b"trap", 256 + 6, "invalid opcode"),
        (b"spin", reason::HUNG, "it hung"),
        (b"leak", reason::OVERRUN, "it had used up its memory"),
        (b"nobo", reason::VIOLATION, "it violated the protocol"),
        (b"leas", reason::VIOLATION, "it violated the protocol"),
    ] {
        let name = alloc::string::String::from_utf8_lossy(mode);
        let _file = write_file(c"/ktest.elf", &rogue(mode)?)?;
        posix::swap(service::PING.into(), c"/ktest.elf")?;
        ensure_eq!(ping(), Ok(21), "the answer of who takes `{name}`'s place");
        ensure_eq!(process(service::PING)?.reason, wanted, "the reason of `{name}`");
        let log = told(service::PING, topic::LOG)?;
        ensure!(log.contains(said), "the log after `{name}`: {log}");
    }
    Ok(())
}

/// A program that spoils the state and then says that it is ready: the former one goes on from the state before the swap.
fn spoilt_state_is_not_used() -> Verdict {
    process(service::VFS)?;
    let fd = posix::open(c"/tmp/kept", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    posix::write(fd, b"kept")?;
    let _file = write_file(c"/ktest.elf", &rogue(b"junR")?)?;
    let swapped = posix::swap(service::VFS.into(), c"/ktest.elf");
    ensure!(matches!(swapped, Ok(()) | Err(Errno::EIO)), "the swap: {swapped:?}");
    let mut bytes = [0; 4];
    ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(4), "bytes of the file");
    ensure_eq!(&bytes, b"kept", "the file");
    ensure!(told(service::VFS, topic::LOG)?.contains("before the swap"), "the log");
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/kept")?)
}

/// Newer versions of a service take its state over, die and start again, and older ones take it back.
fn versions_come_and_go() -> Verdict {
    const FILES: [(u8, [&core::ffi::CStr; 2]); 3] = [
        (service::VFS, [c"/svc/vfs", c"/svc/vfs-v2"]),
        (service::TIME, [c"/svc/time", c"/svc/time-v2"]),
        (service::CHAR, [c"/svc/char", c"/svc/char-v2"]),
    ];
    process(service::CHAR)?;
    let fd = posix::open(c"/tmp/versions", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    let mut written = 0u8;
    for (number, [old, new]) in FILES {
        for file in [new, new, old, old, new, old] {
            posix::write(fd, &[written; 100])?;
            written += 1;
            let asleep = Sleeper::start()?;
            posix::swap(u32::from(number), file)?;
            control(number, verb::KILL)?;
            ensure_eq!(asleep.end()?, Ok(()), "a sleep through a swap to {file:?} and a death");
            ensure_eq!(posix::lseek(fd, 0, SEEK_CUR), Ok(i64::from(written) * 100), "the offset");
        }
    }
    for number in 0..written {
        let mut bytes = [0; 100];
        ensure_eq!(posix::pread(fd, &mut bytes, i64::from(number) * 100), Ok(100), "bytes read");
        ensure_eq!(bytes, [number; 100], "what was written before swap {number}");
    }
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/versions")?)
}

const SEEK_CUR: u32 = parley_abi::linux::seek::CUR;

/// A program that is older than the state, and one that ruins it.
fn what_cannot_take_over_leaves_the_old_one() -> Verdict {
    process(service::CHAR)?;
    let fd = posix::open(c"/tmp/refused", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    posix::write(fd, b"kept")?;
    let cases = [
        (service::VFS, c"/svc/vfs-v0"),
        (service::VFS, c"/svc/wreck"),
        (service::TIME, c"/svc/wreck"),
        (service::CHAR, c"/svc/wreck"),
    ];
    for (number, file) in cases {
        let asleep = Sleeper::start()?;
        ensure_eq!(posix::swap(u32::from(number), file), Err(Errno::EIO), "{file:?} as service {number}");
        ensure_eq!(process(number)?.state, 1, "the state of service {number} after {file:?}");
        ensure_eq!(asleep.end()?, Ok(()), "a sleep through {file:?}");
        let mut bytes = [0; 5];
        ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(4), "bytes of the file after {file:?}");
        ensure_eq!(&bytes[..4], b"kept", "the file after {file:?}");
        ensure_eq!(posix::lseek(fd, 0, SEEK_CUR), Ok(4), "the offset after {file:?}");
    }
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/refused")?)
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
        posix::lseek(fd, index as i64, parley_abi::linux::seek::SET)?;
        posix::unlink(name)?;
        files.push(fd);
    }
    for way in ["a death", "a swap"] {
        match way {
            "a death" => control(service::VFS, verb::KILL)?,
            _ => posix::swap(u32::from(service::VFS), c"/svc/vfs")?,
        }
        for (index, &fd) in files.iter().enumerate() {
            ensure_eq!(posix::lseek(fd, 0, SEEK_CUR), Ok(index as i64), "the offset of file {index} after {way}");
            ensure_eq!(posix::pread(fd, &mut bytes, 0), Ok(EACH), "bytes of file {index} after {way}");
            ensure!(bytes.iter().all(|&byte| byte == index as u8), "the contents of file {index} after {way}");
        }
    }
    for fd in files {
        posix::close(fd)?;
    }
    Ok(())
}

/// A thread that sleeps for 20 ms.
struct Sleeper(Thread, Arc<AtomicU64>);

impl Sleeper {
    fn start() -> Verdict<Sleeper> {
        let result = Arc::new(AtomicU64::new(u64::MAX));
        let told = result.clone();
        let thread = Thread::start(move || {
            let slept = posix::nanosleep(&Timespec::from_nanoseconds(20 * MILLISECOND));
            told.store(slept.map_or_else(|errno| errno.negated().unsigned_abs(), |()| 0), Ordering::Relaxed);
        })?;
        sys::yield_now();
        Ok(Sleeper(thread, result))
    }

    /// Waits until it wakes; what its call returned, as a positive errno.
    fn end(self) -> Verdict<Result<(), u64>> {
        self.0.join()?;
        let errno = self.1.load(Ordering::Relaxed);
        Ok(if errno == 0 { Ok(()) } else { Err(errno) })
    }
}

/// The time service by the ACPI timer takes over, with its sleepers, and gives back what it took. Its clock shows ticks of
/// that timer, 279.4 ns apart, and no clock ever goes back.
fn another_clock_takes_over() -> Verdict {
    const HZ: u128 = 3_579_545;
    process(service::TIME)?;
    let clock = || {
        posix::clock_gettime(parley_abi::linux::clock::MONOTONIC)
            .map(|time| time.sec as u64 * 1_000_000_000 + time.nsec as u64)
    };
    let mut last = clock()?;
    for file in [c"/svc/time-acpi", c"/svc/time-acpi", c"/svc/time"] {
        let asleep = Sleeper::start()?;
        posix::swap(u32::from(service::TIME), file)?;
        let first = clock()?;
        let mut between = 0;
        for _ in 0..100 {
            let (now, core) = (clock()?, sys::clock());
            ensure!(now >= last && core.abs_diff(now) < 1000 * MILLISECOND, "{file:?}: {last}, {now}, core {core}");
            last = now;
            let passed = u128::from(now - first) * HZ;
            let off = (passed % 1_000_000_000).min(1_000_000_000 - passed % 1_000_000_000);
            between += u32::from(off > HZ * 2);
        }
        ensure_eq!(between < 50, file != c"/svc/time", "{file:?}: {between} of 100 times between two ticks");
        ensure_eq!(asleep.end()?, Ok(()), "a sleep through a swap to {file:?}");
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
    for calls in 1..20 {
        match calls % 3 {
            0 => control(service::PEER, verb::KILL)?,
            1 => posix::swap(u32::from(service::PEER), c"/svc/ping")?,
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
