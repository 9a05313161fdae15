//! The console: it never blocks who does not want to be, nor anybody else.

use parley_abi::Errno;
use parley_abi::linux::open::{NONBLOCK, RDONLY, RDWR};
use parley_posix as posix;
use parley_rt::sys;

use crate::tool::thread::Thread;
use crate::tool::verdict::Verdict;

tests![nonblocking_read, blocked_reader_stalls_nobody];

fn nonblocking_read() -> Verdict {
    let console = posix::open(c"/dev/console", RDONLY | NONBLOCK, 0)?;
    let mut results = [Ok(0); 3];
    for result in &mut results {
        *result = posix::read(console, &mut [0; 16]);
    }
    posix::close(console)?;
    ensure_eq!(results[2], Err(Errno::EAGAIN), "reading what nobody typed");
    Ok(())
}

fn blocked_reader_stalls_nobody() -> Verdict {
    let console = posix::open(c"/dev/console", RDWR, 0)?;
    let reader = Thread::start(move || {
        // Nobody types during the test; whatever it returns, the thread is done.
        let _ = posix::read(console, &mut [0; 16]);
    })?;
    sys::yield_now();
    let (written, pid) = (posix::write(console, b"\n"), posix::getpid());
    let zero = crate::tool::file::with_open(c"/dev/zero", |fd| posix::read(fd, &mut [1; 4]))?;
    drop(reader);
    posix::close(console)?;
    ensure_eq!((written, zero), (Ok(1), Ok(4)), "writing and reading meanwhile");
    ensure!(pid > 0, "getpid gave {pid} meanwhile");
    ensure_eq!(posix::write(1, b"\n"), Ok(1), "writing after the reader was killed");
    Ok(())
}
