//! Traces of two programs that write while the vfs is killed, for the model of the protocol (`tests/model`).
//!
//! One kill a trace: the core keeps the last two thousand events, and loading a server takes more than a thousand.

use alloc::vec::Vec;

use parley_abi::info::verb;
use parley_abi::linux::open;
use parley_abi::slot::{self, service};
use parley_abi::trace::{Event, mode};
use parley_posix::{self as posix, println};
use parley_programs::threads::own_priority;
use parley_rt::sys::{self, Reply};

use crate::options::Options;
use crate::tool::random::Random;
use crate::tool::thread::Thread;
use crate::trouble::{Trouble, Trying};

/// Writes of each program.
const WRITES: u64 = 5;
/// The kill comes so many nanoseconds after the writes began, at most: they take about as long.
const LATEST: u64 = 60_000;

/// Records and prints `--rounds` traces: `trace N`, then lines of `event THREAD KIND WORD WORD`.
pub fn run(options: &Options) -> Result<(), Trouble> {
    let nap = sys::endpoint_create(slot::QUOTA)?;
    let mut random = Random::new(options.seed);
    for number in 0..options.rounds {
        let events = record(nap, random.next() % LATEST)?;
        println!("trace {number}");
        for Event { thread, kind, words: [first, second], .. } in events {
            println!("event {thread} {kind} {first} {second}");
        }
    }
    Ok(())
}

fn record(nap: u32, delay: u64) -> Result<Vec<Event>, Trouble> {
    let paths = [c"/tmp/recorded0", c"/tmp/recorded1"];
    let (mut threads, mut fds) = (Vec::new(), Vec::new());
    for path in paths {
        fds.push(posix::open(path, open::WRONLY | open::CREAT | open::TRUNC, 0o600)?);
    }
    for &fd in &fds {
        let body = move || (0..WRITES).for_each(|number| assert_eq!(posix::write(fd, &number.to_le_bytes()), Ok(8)));
        threads.push(Thread::with_priority(own_priority().saturating_sub(1), body)?);
    }
    sys::trace(mode::ON)?;
    sys::reply_recv(nap, &Reply::NONE, sys::clock() + delay)?;
    posix::control(u32::from(service::VFS), verb::KILL).trying(format_args!("killing vfs"))?;
    for thread in threads {
        thread.join().map_err(|_| Trouble::Stuck("a program that writes".into()))?;
    }
    sys::trace(mode::PAUSE)?;
    let (mut events, mut part) = (Vec::new(), [Event::default(); 8]);
    loop {
        let count = sys::trace_read(&mut part)?;
        events.extend(&part[..count]);
        if count == 0 {
            break;
        }
    }
    sys::trace(mode::OFF)?;
    for (fd, path) in fds.into_iter().zip(paths) {
        let size = posix::fstat(fd)?.size;
        if size != 8 * WRITES as i64 {
            return Err(Trouble::Wrong(alloc::format!("{size} bytes were written")));
        }
        posix::close(fd)?;
        posix::unlink(path)?;
    }
    Ok(events)
}
