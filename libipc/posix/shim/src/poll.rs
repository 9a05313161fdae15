//! `poll(2)` and `ppoll(2)`: ask each, wait for news, ask again.

use parley_abi::Errno;
use parley_abi::linux::{PollFd, Timespec, poll};
use parley_abi::slot::FD_END;

use crate::sys::{self, Copy};

/// Entries that are on the stack at a time.
const CHUNK: usize = 16;
/// Bytes of an entry.
const ENTRY: u64 = size_of::<PollFd>() as u64;
/// Where the entries begin in the copy; before them is what ppoll is given for a time.
const ENTRIES: u64 = size_of::<Timespec>() as u64;
const SECOND: u64 = 1_000_000_000;

/// How long to wait.
pub enum Timeout {
    /// Below 0: for ever.
    Milliseconds(i32),
    /// As long as the [`Timespec`] there says; null: for ever.
    At(u64),
}

/// How long that is, in nanoseconds; `None` is for ever. EINVAL, EFAULT: it is no time.
fn patience(copy: &Copy, timeout: &Timeout) -> Result<Option<u64>, Errno> {
    match *timeout {
        Timeout::Milliseconds(time) => Ok(u64::try_from(time).ok().map(|time| time * 1_000_000)),
        Timeout::At(0) => Ok(None),
        Timeout::At(at) => {
            copy.fetch(0, at, ENTRIES)?;
            let mut time = [Timespec::default()];
            copy.read(0, &mut time)?;
            let seconds = u64::try_from(time[0].sec).map_err(|_| Errno::EINVAL)?;
            let rest = u64::try_from(time[0].nsec).ok().filter(|&rest| rest < SECOND).ok_or(Errno::EINVAL)?;
            Ok(Some(seconds.saturating_mul(SECOND).saturating_add(rest)))
        }
    }
}

/// Waits until one of `count` entries at `entries` is ready, at most for `timeout`. Returns how many are.
///
/// EINVAL: more entries than there can be descriptors, or no time. EFAULT. EINTR. ENOMEM: no room for a copy.
pub fn poll(entries: u64, count: u64, timeout: Timeout) -> Result<i64, Errno> {
    if count > FD_END.into() {
        return Err(Errno::EINVAL);
    }
    let copy = Copy::new(ENTRIES + count * ENTRY)?;
    let patience = patience(&copy, &timeout)?;
    copy.fetch(ENTRIES, entries, count * ENTRY)?;
    // 0 would be for ever.
    let until = patience.map(|time| sys::now().saturating_add(time).max(1));
    let ready = loop {
        let seen = sys::changes()?;
        let ready = ask(&copy, count as usize)?;
        if ready > 0 || patience == Some(0) || sys::await_change(seen, until.unwrap_or(0))? {
            break ready;
        }
    };
    copy.store(ENTRIES, entries, count * ENTRY)?;
    if let (Timeout::At(at), Some(until)) = (timeout, until) {
        copy.write(0, &[Timespec::from_nanoseconds(until.saturating_sub(sys::now()))])?;
        // As on Linux, a time that cannot be written is let be.
        let _ = copy.store(0, at, ENTRIES);
    }
    Ok(ready)
}

/// Asks the server of each entry; how many are ready.
fn ask(copy: &Copy, count: usize) -> Result<i64, Errno> {
    let (mut ready, mut done) = (0, 0);
    while done < count {
        let mut chunk = [PollFd::default(); CHUNK];
        let at = ENTRIES + done as u64 * ENTRY;
        let Some(part) = chunk.get_mut(..(count - done).min(CHUNK)) else { break };
        copy.read(at, part)?;
        for entry in part.iter_mut() {
            entry.revents = events(*entry)?;
            ready += i64::from(entry.revents != 0);
        }
        copy.write(at, part)?;
        done += part.len();
    }
    Ok(ready)
}

/// What holds for an entry. EINTR: the wait for the answer was interrupted.
fn events(entry: PollFd) -> Result<u16, Errno> {
    let fd = match u64::try_from(entry.fd) {
        Err(_) => return Ok(0),
        Ok(fd) if fd >= FD_END.into() => return Ok(poll::NVAL as u16),
        Ok(fd) => fd,
    };
    let events = match sys::ready(fd, entry.events.into()) {
        Ok(events) => events as u32 & u32::from(entry.events),
        Err(Errno::EINTR) => return Err(Errno::EINTR),
        Err(Errno::EBADF | Errno::ENOSYS) => poll::NVAL,
        Err(Errno::ENXIO) => poll::ERR | poll::HUP,
        Err(_) => poll::ERR,
    };
    Ok(events as u16)
}
