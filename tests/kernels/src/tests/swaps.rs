//! Programs that take a service's place: versions that come and go, and programs that should not have it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use parley_abi::Errno;
use parley_abi::info::{reason, topic, verb};
use parley_abi::linux::{Timespec, open, seek};
use parley_abi::slot::service;
use parley_posix as posix;
use parley_rt::sys;

use super::scheduling::rest;
use super::services::{MILLISECOND, PROBATION, control, process, told};
use crate::tool::elf::Elf;
use crate::tool::file::write_file;
use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![
    bad_programs_leave_the_old_one,
    rogue_programs_leave_the_old_one,
    programs_that_fail_later_are_taken_back,
    deaths_have_reasons,
    deaths_on_request_cost_no_request,
    spoilt_state_is_not_used,
    versions_come_and_go,
    what_cannot_take_over_leaves_the_old_one,
    another_clock_takes_over,
];

/// Bytes of code at the end of an [`Elf`].
const CODE: usize = 11;

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

/// A request during which one server after the other is killed because somebody wants that is not given up for it.
fn deaths_on_request_cost_no_request() -> Verdict {
    /// More than a request may have on its own account (`libipc/rt/src/durable/mod.rs`), in milliseconds apart.
    const KILLS: u32 = 5;
    const APART: u64 = 5;
    process(service::PING)?;
    let file = write_file(c"/ktest.elf", &rogue(b"stuc")?)?;
    posix::swap(service::PING.into(), c"/ktest.elf")?;
    rest(PROBATION)?;
    let answer = Arc::new(AtomicU64::new(0));
    let theirs = answer.clone();
    let caller = Thread::start(move || {
        let sum = parley_proto::ping::ping(&mut parley_rt::Trap, 1, 2, 3, 4, 5, 6);
        theirs.store(sum.unwrap_or_else(|errno| errno.negated()).cast_unsigned(), Ordering::Release);
    })?;
    for _ in 0..KILLS {
        rest(APART)?;
        control(service::PING, verb::KILL)?;
    }
    rest(APART)?;
    let early = answer.load(Ordering::Acquire).cast_signed();
    posix::swap(service::PING.into(), c"/svc/ping")?;
    caller.join()?;
    drop(file);
    ensure_eq!(early, 0, "the answer of a server that gives none");
    ensure_eq!(answer.load(Ordering::Acquire), 21, "the answer of the server that gives one");
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
            ensure_eq!(posix::lseek(fd, 0, seek::CUR), Ok(i64::from(written) * 100), "the offset");
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
        ensure_eq!(posix::lseek(fd, 0, seek::CUR), Ok(4), "the offset after {file:?}");
    }
    posix::close(fd)?;
    Ok(posix::unlink(c"/tmp/refused")?)
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
