//! The queue device: loaded and unloaded at run time where it is a process, in use on every kernel.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use parley_abi::Errno;
use parley_abi::info::{reason, verb};
use parley_abi::linux::{Timespec, makedev, open};
use parley_abi::slot::service;
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::thread::Thread;
use crate::tool::verdict::{Trouble, Verdict};

tests![
    a_queue_between_programs,
    a_queue_with_many_users,
    a_queue_that_does_not_wait,
    a_wait_for_the_queue_is_interrupted,
    a_driver_is_loaded_and_unloaded,
    a_driver_is_unloaded_by_force,
    the_queue_survives_its_server,
    a_new_program_that_ruins_the_queue,
    versions_come_and_go,
    the_bug_costs_one_instance,
];

const PATH: &core::ffi::CStr = c"/dev/tqueue";
const CAPACITY: usize = 4096;
const MILLISECOND: u64 = 1_000_000;

fn control(verb: u32) -> Result<(), Errno> {
    posix::control(service::TQUEUE.into(), verb)
}

/// The driver, loaded if it can be; unloaded when this is dropped.
pub struct Loaded(bool);

impl Loaded {
    /// Loads it.
    pub fn new() -> Verdict<Loaded> {
        let info = posix::service(service::TQUEUE.into())?;
        if info.resident == 0 {
            control(verb::START)?;
        }
        Ok(Loaded(info.resident == 0))
    }

    /// Skips a test that a resident driver cannot pass.
    pub fn process() -> Verdict<Loaded> {
        match Loaded::new()? {
            Loaded(false) => Err(Trouble::Skip("the driver is resident in ring 0".into())),
            loaded => Ok(loaded),
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if self.0 {
            let _ = control(verb::FORCE);
            // Whoever still has it open is a test that has failed already.
            for _ in 0..30 {
                if posix::service(service::TQUEUE.into()).is_ok_and(|info| info.pid == 0) {
                    return;
                }
                rest(100);
            }
        }
    }
}

/// Lets others run.
pub fn rest(milliseconds: u64) {
    let _ = posix::nanosleep(&Timespec::from_nanoseconds(milliseconds * MILLISECOND));
}

/// Opens the queue.
pub fn open_queue(flags: u32) -> Result<u32, Errno> {
    posix::open(PATH, flags, 0)
}

/// A thread that reads an empty queue.
struct Reader {
    thread: Thread,
    answer: Arc<AtomicU64>,
}

impl Reader {
    /// One that has had the time to begin waiting.
    fn waiting(fd: u32) -> Result<Reader, Errno> {
        let answer = Arc::new(AtomicU64::new(0));
        let result = answer.clone();
        let thread = Thread::start(move || {
            let value = posix::read(fd, &mut [0; 4]).map_or_else(Errno::negated, |count| count as i64);
            result.store(value.cast_unsigned(), Ordering::Relaxed);
        })?;
        rest(5);
        Ok(Reader { thread, answer })
    }

    /// What it was answered.
    fn answer(self) -> Verdict<i64> {
        self.thread.join()?;
        Ok(self.answer.load(Ordering::Relaxed).cast_signed())
    }
}

/// Takes out what is there.
pub fn drain() -> Verdict {
    let fd = open_queue(open::RDONLY | open::NONBLOCK)?;
    while posix::read(fd, &mut [0; 1024]).is_ok_and(|count| count > 0) {}
    Ok(posix::close(fd)?)
}

fn a_queue_between_programs() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    ensure_eq!(posix::fstat(fd)?.rdev, makedev(240, 0), "the device number");
    ensure_eq!(posix::lseek(fd, 0, 0), Err(Errno::ESPIPE), "moving the offset");
    ensure_eq!(posix::pread(fd, &mut [0; 4], 0), Err(Errno::ESPIPE), "reading at an offset");
    let got = Arc::new(AtomicU64::new(0));
    let result = got.clone();
    let reader = Thread::start(move || {
        let mut bytes = [0; 8];
        let mut done = 0;
        while done < 8 {
            match posix::read(fd, &mut bytes[done..]) {
                Ok(count) if count > 0 => done += count,
                _ => return,
            }
        }
        result.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
    })?;
    rest(5);
    ensure_eq!(posix::write(fd, &[1, 2, 3]), Ok(3), "bytes written while a reader waits");
    ensure_eq!(posix::write(fd, &[4, 5, 6, 7, 8]), Ok(5), "more bytes written");
    reader.join()?;
    ensure_eq!(got.load(Ordering::Relaxed), 0x0807_0605_0403_0201, "what the reader has read");
    Ok(posix::close(fd)?)
}

/// Four write 20,000 bytes each, in pieces of which each has one writer's number; two read. No piece is torn.
fn a_queue_with_many_users() -> Verdict {
    const WRITERS: u64 = 4;
    const PIECE: usize = 100;
    const PIECES: usize = 200;
    let _driver = Loaded::new()?;
    drain()?;
    let (sums, wrong) = (Arc::new([const { AtomicU64::new(0) }; WRITERS as usize]), Arc::new(AtomicU64::new(0)));
    let mut threads = Vec::new();
    for number in 0..WRITERS {
        let wrong = wrong.clone();
        threads.push(Thread::start(move || {
            let Ok(fd) = open_queue(open::WRONLY) else {
                wrong.fetch_add(1, Ordering::Relaxed);
                return;
            };
            for _ in 0..PIECES {
                let wrote = posix::write(fd, &[number as u8; PIECE]);
                wrong.fetch_add(u64::from(wrote != Ok(PIECE)), Ordering::Relaxed);
            }
            wrong.fetch_add(u64::from(posix::close(fd).is_err()), Ordering::Relaxed);
        })?);
    }
    for _ in 0..2 {
        let (sums, wrong) = (sums.clone(), wrong.clone());
        threads.push(Thread::start(move || {
            let Ok(fd) = open_queue(open::RDONLY) else {
                wrong.fetch_add(1, Ordering::Relaxed);
                return;
            };
            for _ in 0..PIECES * WRITERS as usize / 2 {
                // Pieces are as long as reads, so that each read has one piece, whoever else reads.
                let mut piece = [9; PIECE];
                let read = posix::read(fd, &mut piece);
                let torn = read != Ok(PIECE) || piece.iter().any(|&byte| byte != piece[0]);
                wrong.fetch_add(u64::from(torn), Ordering::Relaxed);
                if let Some(sum) = sums.get(usize::from(piece[0])) {
                    sum.fetch_add(1, Ordering::Relaxed);
                }
            }
            wrong.fetch_add(u64::from(posix::close(fd).is_err()), Ordering::Relaxed);
        })?);
    }
    for thread in threads {
        thread.join()?;
    }
    ensure_eq!(wrong.load(Ordering::Relaxed), 0, "calls that failed, or torn pieces");
    for (number, sum) in sums.iter().enumerate() {
        ensure_eq!(sum.load(Ordering::Relaxed), PIECES as u64, "pieces of writer {number}");
    }
    Ok(())
}

fn a_queue_that_does_not_wait() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR | open::NONBLOCK)?;
    ensure_eq!(posix::read(fd, &mut [0; 1]), Err(Errno::EAGAIN), "reading an empty queue");
    ensure_eq!(posix::write(fd, &[5; CAPACITY + 100]), Ok(CAPACITY), "a write that is cut");
    ensure_eq!(posix::write(fd, &[5]), Err(Errno::EAGAIN), "writing to a full queue");
    let mut bytes = [0; CAPACITY + 100];
    ensure_eq!(posix::read(fd, &mut bytes), Ok(CAPACITY), "bytes read");
    ensure!(bytes[..CAPACITY].iter().all(|&byte| byte == 5), "bytes that are not what was written");
    Ok(posix::close(fd)?)
}

fn a_wait_for_the_queue_is_interrupted() -> Verdict {
    let _driver = Loaded::new()?;
    drain()?;
    let fd = open_queue(open::RDWR)?;
    let answer = Arc::new(AtomicU64::new(0));
    let call = |what: fn(u32) -> Result<usize, Errno>| {
        let result = answer.clone();
        Thread::start(move || {
            let value = what(fd).map_or_else(Errno::negated, |count| count as i64);
            result.store(value.cast_unsigned(), Ordering::Relaxed);
        })
    };
    let reader = call(|fd| posix::read(fd, &mut [0; 4]))?;
    rest(5);
    sys::cancel(reader.handle())?;
    reader.join()?;
    ensure_eq!(answer.load(Ordering::Relaxed) as i64, Errno::EINTR.negated(), "a read that is interrupted");
    let writer = call(|fd| posix::write(fd, &[0; CAPACITY + 1]))?;
    rest(5);
    sys::cancel(writer.handle())?;
    writer.join()?;
    ensure_eq!(answer.load(Ordering::Relaxed), CAPACITY as u64, "a write that is interrupted in the middle");
    drain()?;
    Ok(posix::close(fd)?)
}

fn a_driver_is_loaded_and_unloaded() -> Verdict {
    let info = posix::service(service::TQUEUE.into())?;
    if info.resident != 0 {
        for verb in [verb::START, verb::UNLOAD, verb::FORCE] {
            ensure_eq!(control(verb), Err(Errno::EPERM), "verb {verb} for a resident driver");
        }
        return Ok(posix::stat(PATH).map(drop)?);
    }
    for round in 0..3 {
        ensure_eq!(posix::stat(PATH).err(), Some(Errno::ENOENT), "the node before round {round}");
        ensure_eq!(control(verb::UNLOAD), Err(Errno::ESRCH), "unloading what is not loaded");
        control(verb::START)?;
        ensure_eq!(control(verb::START), Err(Errno::EBUSY), "loading it twice");
        let stat = posix::stat(PATH)?;
        ensure_eq!((stat.rdev, stat.mode & 0o777), (makedev(240, 0), 0o666), "the node");
        let fd = open_queue(open::RDWR)?;
        ensure_eq!(posix::write(fd, b"gone"), Ok(4), "bytes written");
        ensure_eq!(control(verb::UNLOAD), Err(Errno::EBUSY), "unloading what is in use");
        posix::close(fd)?;
        control(verb::UNLOAD)?;
        ensure_eq!(open_queue(open::RDWR), Err(Errno::ENOENT), "opening what was unloaded");
    }
    let _driver = Loaded::new()?;
    let fd = open_queue(open::RDWR | open::NONBLOCK)?;
    ensure_eq!(posix::read(fd, &mut [0; 4]), Err(Errno::EAGAIN), "what is left of the driver before");
    // A VFS that starts again learns of it, too.
    posix::control(service::VFS.into(), verb::KILL)?;
    ensure_eq!(posix::stat(PATH)?.rdev, makedev(240, 0), "the node after the death of the vfs");
    posix::close(open_queue(open::RDWR)?)?;
    Ok(posix::close(fd)?)
}

fn a_driver_is_unloaded_by_force() -> Verdict {
    let _driver = Loaded::process()?;
    let fd = open_queue(open::RDWR)?;
    let reader = Reader::waiting(fd)?;
    control(verb::FORCE)?;
    ensure_eq!(reader.answer()?, Errno::EIO.negated(), "a read that waited");
    ensure_eq!(posix::read(fd, &mut [0; 4]), Err(Errno::ENXIO), "a read afterwards");
    ensure_eq!(posix::write(fd, b"x"), Err(Errno::ENXIO), "a write afterwards");
    ensure_eq!(posix::stat(PATH).err(), Some(Errno::ENOENT), "the node");
    ensure_eq!(control(verb::START), Err(Errno::EBUSY), "loading it while somebody has it open");
    posix::close(fd)?;
    for _ in 0..40 {
        if posix::service(service::TQUEUE.into())?.pid == 0 {
            return Ok(());
        }
        rest(100);
    }
    Err(Trouble::Fail("it is still there four seconds after nobody had it open".into()))
}

/// Bytes, open descriptors and a reader that waits go on after each of ten deaths.
fn the_queue_survives_its_server() -> Verdict {
    let _driver = Loaded::process()?;
    let fd = open_queue(open::RDWR)?;
    for round in 0..10u8 {
        ensure_eq!(posix::write(fd, &[round; 50]), Ok(50), "bytes written in round {round}");
        control(verb::KILL)?;
        let mut bytes = [99; 80];
        ensure_eq!(posix::read(fd, &mut bytes), Ok(50), "bytes read in round {round}");
        ensure!(bytes[..50].iter().all(|&byte| byte == round), "bytes of round {round}");
        let reader = Reader::waiting(fd)?;
        control(verb::KILL)?;
        ensure_eq!(posix::write(fd, &[1]), Ok(1), "a byte written while a reader waits");
        ensure_eq!(reader.answer()?, 1, "what the reader was answered in round {round}");
    }
    Ok(posix::close(fd)?)
}

/// What was in the queue is there after a program that wrote over it, and so is a reader that waited.
fn a_new_program_that_ruins_the_queue() -> Verdict {
    let _driver = Loaded::process()?;
    let fd = open_queue(open::RDWR)?;
    for round in 0..4u8 {
        posix::write(fd, &[round; 50])?;
        ensure_eq!(posix::swap(service::TQUEUE.into(), c"/svc/wreck"), Err(Errno::EIO), "a swap in round {round}");
        let mut bytes = [99; 80];
        ensure_eq!(posix::read(fd, &mut bytes), Ok(50), "bytes read in round {round}");
        ensure!(bytes[..50].iter().all(|&byte| byte == round), "bytes of round {round}");
    }
    Ok(posix::close(fd)?)
}

/// A newer version takes the queue over, with those who wait, dies and starts again, and the older one takes it back.
fn versions_come_and_go() -> Verdict {
    let _driver = Loaded::process()?;
    let fd = open_queue(open::RDWR)?;
    for (round, file) in
        [c"/svc/tqueue-v2", c"/svc/tqueue-v2", c"/svc/tqueue", c"/svc/tqueue-v2"].into_iter().enumerate()
    {
        let bytes = [round as u8; 50];
        posix::write(fd, &bytes)?;
        posix::swap(service::TQUEUE.into(), file)?;
        control(verb::KILL)?;
        let mut found = [99; 80];
        ensure_eq!(posix::read(fd, &mut found), Ok(50), "bytes read after a swap to {file:?}");
        ensure_eq!(&found[..50], &bytes, "what was queued before it");
        let reader = Thread::start(move || assert_eq!(posix::read(fd, &mut [0; 8]), Ok(4)))?;
        rest(5);
        posix::swap(service::TQUEUE.into(), file)?;
        posix::write(fd, b"more")?;
        reader.join()?;
    }
    Ok(posix::close(fd)?)
}

/// The request that the driver dies of ends with EIO; everything else goes on.
fn the_bug_costs_one_instance() -> Verdict {
    let _driver = Loaded::process()?;
    let before = posix::service(service::TQUEUE.into())?;
    let fd = open_queue(open::RDWR)?;
    posix::write(fd, b"safe")?;
    let bug = posix::open(c"/dev/tqueue-bug", open::WRONLY, 0)?;
    ensure_eq!(posix::write(bug, b"x"), Err(Errno::EIO), "the request that the driver dies of");
    let after = posix::service(service::TQUEUE.into())?;
    ensure!(after.restarts > before.restarts, "restarts: {}", after.restarts);
    ensure_eq!(after.reason, reason::PANICKED, "what it died of");
    let mut bytes = [0; 8];
    ensure_eq!(posix::read(fd, &mut bytes), Ok(4), "bytes that were in the queue");
    ensure_eq!(&bytes[..4], b"safe", "what was in the queue");
    posix::close(bug)?;
    Ok(posix::close(fd)?)
}
