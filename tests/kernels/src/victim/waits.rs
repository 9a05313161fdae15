//! Waits for something that does not come, until Ctrl-C: `tests/system/interrupt.session`.

use parley_abi::Errno;
use parley_abi::linux::{PollFd, Timespec, open, poll};
use parley_posix::{self as posix, eprintln, println};

const QUEUE: &core::ffi::CStr = c"/dev/tqueue";

/// Says that it is going to, and waits; returns 1 if it ends all the same.
pub fn run(what: &str) -> i32 {
    // Bytes that are there however early it is ended.
    if what == "write"
        && let Ok(fd) = posix::open(QUEUE, open::WRONLY, 0)
    {
        let _ = posix::write(fd, b"wwww");
    }
    println!("waiting");
    let ended = match what {
        "tty" => posix::read(0, &mut [0; 16]).map(drop),
        "read" => posix::open(QUEUE, open::RDONLY, 0).and_then(|fd| posix::read(fd, &mut [0; 16])).map(drop),
        "write" => posix::open(QUEUE, open::WRONLY, 0).and_then(|fd| posix::write(fd, &[b'w'; 5000])).map(drop),
        "poll" => posix::open(QUEUE, open::RDONLY, 0).and_then(poll_both),
        "sleep" => posix::nanosleep(&Timespec { sec: 1000, nsec: 0 }),
        "child" => {
            posix::spawn(c"/bin/ktest-victim", &["ktest-victim", "wait", "read"]).and_then(posix::wait).map(drop)
        }
        _ => Err(Errno::EINVAL),
    };
    eprintln!("the wait has ended: {ended:?}");
    1
}

/// The queue and the terminal.
fn poll_both(fd: u32) -> Result<(), Errno> {
    let entry = |fd: u32| PollFd { fd: fd.cast_signed(), events: poll::IN as u16, revents: 0 };
    posix::poll(&mut [entry(0), entry(fd)], -1).map(drop)
}
