//! poll: of the queue, the terminal, devices and files; it waits, and nobody looks again and again.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use parley_abi::Errno;
use parley_abi::call::ThreadInfo;
use parley_abi::info::verb;
use parley_abi::linux::{PollFd, nr, open, poll};
use parley_abi::slot::{self, service};
use parley_posix as posix;
use parley_rt::sys;

use super::tqueue::{Loaded, drain, open_queue, rest};
use crate::tool::edge::{Access, Edge};
use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![
    files_and_devices_are_always_ready,
    the_queue_is_ready_for_what_fits,
    two_waits_for_one_queue,
    the_terminal_is_ready_to_be_written,
    a_poll_ends_with_its_time,
    a_poll_is_interrupted,
    what_poll_is_given,
    a_poll_waits_and_does_not_look_again,
    a_poll_survives_servers,
    a_poll_of_a_driver_that_is_unloaded,
];

const MILLISECOND: u64 = 1_000_000;
const CAPACITY: usize = 4096;

fn entry(fd: u32, events: u32) -> PollFd {
    PollFd { fd: fd.cast_signed(), events: events as u16, revents: 0xffff }
}

/// What poll says of one descriptor.
fn ask(fd: u32, events: u32, milliseconds: i32) -> Result<u32, Errno> {
    let mut entries = [entry(fd, events)];
    let count = posix::poll(&mut entries, milliseconds)?;
    if count == usize::from(entries[0].revents != 0) { Ok(entries[0].revents.into()) } else { Err(Errno::EIO) }
}

/// A thread that polls one descriptor, for ever.
struct Poller {
    thread: Thread,
    answer: Arc<AtomicU64>,
}

impl Poller {
    /// One that has had the time to begin waiting.
    fn waiting(fd: u32, events: u32) -> Result<Poller, Errno> {
        let answer = Arc::new(AtomicU64::new(u64::MAX));
        let result = answer.clone();
        let thread = Thread::start(move || {
            let value = ask(fd, events, -1).map_or_else(Errno::negated, i64::from);
            result.store(value.cast_unsigned(), Ordering::Relaxed);
        })?;
        rest(5);
        Ok(Poller { thread, answer })
    }

    fn is_waiting(&self) -> bool {
        self.answer.load(Ordering::Relaxed) == u64::MAX
    }

    /// What it was answered.
    fn answer(self) -> Verdict<i64> {
        self.thread.join()?;
        Ok(self.answer.load(Ordering::Relaxed).cast_signed())
    }
}

fn files_and_devices_are_always_ready() -> Verdict {
    for (path, flags, wanted) in [
        (c"/etc/motd", open::RDONLY, poll::IN),
        (c"/", open::RDONLY, poll::IN),
        (c"/dev/zero", open::RDWR, poll::IN | poll::OUT),
        (c"/dev/null", open::WRONLY, poll::OUT),
        (c"/dev/urandom", open::RDONLY, poll::IN),
    ] {
        let fd = posix::open(path, flags, 0)?;
        ensure_eq!(ask(fd, wanted, -1), Ok(wanted), "{path:?}");
        ensure_eq!(ask(fd, 0, 0), Ok(0), "{path:?}, asked for nothing");
        posix::close(fd)?;
    }
    Ok(())
}

fn the_queue_is_ready_for_what_fits() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    let both = poll::IN | poll::OUT;
    ensure_eq!(ask(fd, both, -1), Ok(poll::OUT), "an empty queue");
    ensure_eq!(posix::write(fd, &[1]), Ok(1), "bytes written");
    ensure_eq!(ask(fd, both | poll::RDNORM, -1), Ok(both | poll::RDNORM), "a queue with a byte");
    let reader = open_queue(open::RDONLY)?;
    ensure_eq!(ask(reader, both, -1), Ok(poll::IN), "one that is open for reading only");
    ensure_eq!(posix::write(fd, &[1; CAPACITY - 1]), Ok(CAPACITY - 1), "bytes written");
    ensure_eq!(ask(fd, both, -1), Ok(poll::IN), "a full queue");
    ensure_eq!(ask(fd, poll::OUT, 0), Ok(0), "room in a full queue");
    drain()?;
    posix::close(reader)?;
    Ok(posix::close(fd)?)
}

/// One waits for bytes, one for room; each is woken by what it waits for and by nothing else.
fn two_waits_for_one_queue() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let (one, two) = (open_queue(open::RDWR)?, open_queue(open::RDWR)?);
    let readable = Poller::waiting(one, poll::IN)?;
    let zero = posix::open(c"/dev/zero", open::RDONLY, 0)?;
    let mut entries = [entry(one, poll::IN), entry(two, poll::IN), entry(zero, 0), entry(u32::MAX, poll::IN)];
    ensure_eq!(posix::poll(&mut entries, 10), Ok(0), "four, of which none is ready");
    ensure!(readable.is_waiting(), "it ended without a byte");
    ensure_eq!(posix::write(two, &[7; CAPACITY]), Ok(CAPACITY), "bytes written");
    ensure_eq!(readable.answer()?, i64::from(poll::IN), "a poll for bytes");
    let writable = Poller::waiting(two, poll::OUT)?;
    ensure_eq!(posix::poll(&mut entries, -1), Ok(2), "of the four, two are the queue");
    ensure_eq!(entries.map(|entry| entry.revents), [1, 1, 0, 0], "what is said of the four");
    ensure!(writable.is_waiting(), "it ended without room");
    ensure_eq!(posix::read(one, &mut [0; 10]), Ok(10), "bytes read");
    ensure_eq!(writable.answer()?, i64::from(poll::OUT), "a poll for room");
    drain()?;
    for fd in [one, two, zero] {
        posix::close(fd)?;
    }
    Ok(())
}

fn the_terminal_is_ready_to_be_written() -> Verdict {
    let fd = posix::open(c"/dev/tty", open::RDWR, 0)?;
    ensure_eq!(ask(fd, poll::OUT, 1000), Ok(poll::OUT), "room in the terminal");
    // Nobody types.
    ensure_eq!(ask(fd, poll::IN, 20), Ok(0), "a line of the terminal");
    Ok(posix::close(fd)?)
}

fn a_poll_ends_with_its_time() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    for (milliseconds, at_most) in [(0, 1000), (1, 1000), (40, 1000)] {
        let before = sys::clock();
        ensure_eq!(ask(fd, poll::IN, milliseconds), Ok(0), "a poll of {milliseconds} ms");
        let took = (sys::clock() - before) / MILLISECOND;
        ensure!(took >= milliseconds as u64 && took < at_most, "{milliseconds} ms took {took}");
    }
    ensure_eq!(posix::poll(&mut [], 5), Ok(0), "a poll of nothing");
    Ok(posix::close(fd)?)
}

/// Nothing of it is left: the driver can be unloaded, and what comes later goes to whoever asks then.
fn a_poll_is_interrupted() -> Verdict {
    let driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    let poller = Poller::waiting(fd, poll::IN)?;
    sys::cancel(poller.thread.handle())?;
    ensure_eq!(poller.answer()?, Errno::EINTR.negated(), "a poll that is interrupted");
    ensure_eq!(posix::write(fd, &[3]), Ok(1), "bytes written");
    ensure_eq!(ask(fd, poll::IN, -1), Ok(poll::IN), "the byte");
    drain()?;
    posix::close(fd)?;
    drop(driver);
    Ok(())
}

fn what_poll_is_given() -> Verdict {
    let raw = |at: u64, count: u64| Errno::check(sys::posix(nr::POLL, [at, count, 0, 0, 0, 0]));
    let fd = posix::open(c"/dev/zero", open::RDONLY, 0)?;
    posix::close(fd)?;
    for closed in [fd, 1023, 1024, slot::INIT, slot::QUOTA, 0x7fff_ffff] {
        ensure_eq!(ask(closed, poll::IN, -1), Ok(poll::NVAL), "descriptor {closed}, which is not open");
    }
    ensure_eq!(ask(0x8000_0000, poll::IN, 0), Ok(0), "a descriptor below 0");
    for address in [8, 0xffff_8000_0000_0000, 0x7fff_ffff_f000] {
        ensure_eq!(raw(address, 1), Err(Errno::EFAULT), "an entry at {address:#x}");
    }
    let edge = Edge::new(Access::ReadOnly, 0)?;
    ensure_eq!(raw(edge.before_end(8), 1), Err(Errno::EFAULT), "an entry that cannot be written");
    ensure_eq!(raw(edge.before_end(8), 2), Err(Errno::EFAULT), "entries that end behind the mapping");
    drop(edge);
    let mut entries = alloc::vec![entry(fd, poll::IN); 1024];
    ensure_eq!(posix::poll(&mut entries, -1), Ok(1024), "as many as can be open");
    ensure!(entries.iter().all(|entry| u32::from(entry.revents) == poll::NVAL), "what is said of them");
    for count in [1025, 1 << 20, u64::MAX] {
        ensure_eq!(raw(entries.as_ptr().expose_provenance() as u64, count), Err(Errno::EINVAL), "{count} entries");
    }
    for time in [[-1, 0], [0, -1], [0, 1_000_000_000]] {
        let at = time.as_ptr().expose_provenance() as u64;
        ensure_eq!(Errno::check(sys::posix(nr::PPOLL, [0, 0, at, 0, 8, 0])), Err(Errno::EINVAL), "time {time:?}");
    }
    ensure_eq!(Errno::check(sys::posix(nr::PPOLL, [0, 0, 8, 0, 8, 0])), Err(Errno::EFAULT), "time at 8");
    Ok(())
}

/// While it waits, its thread needs no processor.
fn a_poll_waits_and_does_not_look_again() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    let poller = Poller::waiting(fd, poll::IN)?;
    let number = sys::handle_info(poller.thread.handle())?.2;
    let needed = || {
        let mut info = ThreadInfo::default();
        sys::thread_info(number, &mut info).map(|_| info.cpu_time)
    };
    let before = needed()?;
    rest(200);
    ensure_eq!(needed()?, before, "nanoseconds of processor time after 200 ms");
    posix::write(fd, &[1])?;
    ensure_eq!(poller.answer()?, i64::from(poll::IN), "the poll");
    drain()?;
    Ok(posix::close(fd)?)
}

/// The driver, or the time service, dies or is swapped while a poll waits: it hears of what comes all the same.
fn a_poll_survives_servers() -> Verdict {
    let _driver = Loaded::process()?;
    let fd = open_queue(open::RDWR)?;
    let kill = |number: u8| posix::control(number.into(), verb::KILL);
    type Harm<'a> = &'a dyn Fn() -> Result<(), Errno>;
    let harms: [(&str, Harm<'_>); 4] = [
        ("the driver dies", &|| kill(service::TQUEUE)),
        ("the time service dies", &|| {
            if posix::service(service::TIME.into())?.resident == 1 { Ok(()) } else { kill(service::TIME) }
        }),
        ("the driver is swapped", &|| posix::swap(service::TQUEUE.into(), c"/svc/tqueue")),
        ("both die", &|| {
            kill(service::TQUEUE)?;
            if posix::service(service::TIME.into())?.resident == 1 { Ok(()) } else { kill(service::TIME) }
        }),
    ];
    for (name, harm) in harms {
        drain()?;
        let poller = Poller::waiting(fd, poll::IN)?;
        harm()?;
        rest(20);
        ensure!(poller.is_waiting(), "{name}: the poll ended without a byte");
        ensure_eq!(posix::write(fd, &[1]), Ok(1), "{name}: bytes written");
        ensure_eq!(poller.answer()?, i64::from(poll::IN), "{name}: the poll");
    }
    drain()?;
    Ok(posix::close(fd)?)
}

fn a_poll_of_a_driver_that_is_unloaded() -> Verdict {
    let _driver = Loaded::process()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    let poller = Poller::waiting(fd, poll::IN)?;
    posix::control(service::TQUEUE.into(), verb::FORCE)?;
    ensure_eq!(poller.answer()?, i64::from(poll::ERR | poll::HUP), "a poll that waited");
    ensure_eq!(ask(fd, poll::IN, -1), Ok(poll::ERR | poll::HUP), "one that comes later");
    Ok(posix::close(fd)?)
}
