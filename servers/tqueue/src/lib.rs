//! /dev/tqueue: a queue of bytes between programs, and the template of a driver that is loaded at run time.
//!
//! It holds 4,096 bytes. A read takes what there is and waits while there is nothing; a write waits until all of it is
//! in, and no other write comes in between. With O_NONBLOCK what would wait is EAGAIN, and a write is cut to what
//! fits. A wait that is interrupted ends with EINTR, or with the count of what was written already. poll says that it can be
//! read while there are bytes, and written while there is room. Any number of programs can have it open, and up to 512 a
//! side can wait.
//!
//! It can be unloaded when nobody has it open, or by force; then those who wait get EIO, and later calls ENXIO.
//!
//! /dev/tqueue-bug is a mistake left in on purpose, as Linux keeps `lkdtm`: writing there makes the driver use an index
//! that it did not check. In ring 3 that costs one instance, in ring 0 the machine: `cargo xtask demo`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod device;
mod keep;
mod ring;
#[cfg(test)]
mod tests;
mod waiting;

use parley_abi::Errno;
use parley_abi::linux::{Plain, Stat, mode, open, poll};
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service;
use parley_proto::{Cx, Host, In, Out, OutOf, Outcome, ROOT, RowSink, Service, chardev, file, time};

use crate::device::{Minor, Opened};
use crate::ring::Ring;
use crate::waiting::{Line, Waiter};

pub use crate::ring::CAPACITY;

/// Most requests that one event ends, so that none is long.
const MOST_AT_ONCE: usize = 64;
/// Most bytes that one request moves (Linux `MAX_RW_COUNT`): the result must fit the caller's `int`.
const COUNT_MAX: u64 = 0x7fff_f000;
/// init's process id.
const INIT: u32 = 1;

/// The driver.
pub struct TQueue {
    /// Descriptors that lead here.
    users: u64,
    /// It is being unloaded by force.
    is_retired: bool,
    ring: Ring,
    readers: Line,
    writers: Line,
    /// Events that were asked for and did not hold: who asked is told when they do. A new instance does not know them, so
    /// for it they are all.
    wanted: u32,
    /// Which version of the state it writes, and what version 2 adds: see `keep`.
    version: u32,
    passed: u64,
    /// The answer to `fstat`, which leaves with the reply.
    stat: Stat,
}

impl TQueue {
    /// An empty queue that nobody has open.
    #[allow(clippy::new_without_default)] // a `static` needs a constant
    pub fn new() -> TQueue {
        TQueue {
            users: 0,
            is_retired: false,
            ring: Ring::new(),
            readers: Line::new(),
            writers: Line::new(),
            wanted: u32::MAX,
            version: 1,
            passed: 0,
            stat: Stat::default(),
        }
    }

    /// The same, in another version of its state.
    pub fn in_version(self, version: u32) -> TQueue {
        TQueue { version, ..self }
    }

    /// The open device behind a badge. EBADF: it is none, or not open for this. ENXIO: it was unloaded.
    fn opened(&self, badge: u64, for_this: fn(Opened) -> bool) -> Result<Opened, Errno> {
        let file = Opened::from_badge(badge).filter(|&file| for_this(file)).ok_or(Errno::EBADF)?;
        if self.is_retired { Err(Errno::ENXIO) } else { Ok(file) }
    }

    fn try_read(&mut self, cx: &mut Cx<'_>, len: u64) -> Result<Outcome<'static>, Errno> {
        let file = self.opened(cx.badge, Opened::is_readable)?;
        if len == 0 {
            return Ok(Outcome::Done(0));
        }
        let waiter = Waiter::new(cx.token, len.min(COUNT_MAX), 0);
        if self.ring.len() == 0 || !self.readers.is_empty() {
            if file.is_nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.readers.join(waiter)?;
            return Ok(Outcome::Later);
        }
        let count = self.give(cx.host, waiter)?;
        self.go_on(cx.host);
        Ok(Outcome::Done(count as i64))
    }

    fn try_write(&mut self, cx: &mut Cx<'_>, len: u64) -> Result<Outcome<'static>, Errno> {
        let file = self.opened(cx.badge, Opened::is_writable)?;
        if file.minor == Minor::Bug {
            // The mistake: what a caller says is taken for a place in the buffer.
            let byte = self.ring.at(CAPACITY + len as usize);
            return Ok(Outcome::Done(byte.into()));
        }
        let mut waiter = Waiter::new(cx.token, len.min(COUNT_MAX), 0);
        if self.writers.is_empty() {
            self.accept(cx.host, &mut waiter)?;
        }
        let outcome = match waiter.done {
            done if done == waiter.len => Outcome::Done(done as i64),
            0 if file.is_nonblocking => return Err(Errno::EAGAIN),
            done if file.is_nonblocking => Outcome::Done(done as i64),
            _ => match self.writers.join(waiter) {
                Ok(()) => Outcome::Later,
                Err(errno) if waiter.done == 0 => return Err(errno),
                Err(_) => Outcome::Done(waiter.done as i64),
            },
        };
        self.go_on(cx.host);
        Ok(outcome)
    }

    /// Copies the oldest bytes to a reader. Bytes that could not be copied stay. Errors are those of the copy, if
    /// there is nothing that was copied.
    fn give(&mut self, host: &mut dyn Host, reader: Waiter) -> Result<u64, Errno> {
        let mut done = 0;
        while done < reader.len && self.ring.len() > 0 {
            let part = self.ring.oldest((reader.len - done).min(CAPACITY as u64) as usize);
            match host.copy_out(reader.token(), 0, done, part) {
                Ok(0) => break,
                Ok(count) => {
                    self.ring.take(count);
                    done += count as u64;
                }
                Err(errno) if done == 0 => return Err(errno),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Copies from a writer as much as fits; `done` says how much it was. Errors are those of the copy, if there is
    /// nothing of this write in the queue.
    fn accept(&mut self, host: &mut dyn Host, writer: &mut Waiter) -> Result<(), Errno> {
        while writer.done < writer.len && self.ring.room() > 0 {
            let place = self.ring.free((writer.len - writer.done).min(CAPACITY as u64) as usize);
            match host.copy_in(writer.token(), 0, writer.done, place) {
                Ok(0) => writer.len = writer.done,
                Ok(count) => {
                    self.ring.add(count);
                    self.passed += count as u64;
                    writer.done += count as u64;
                }
                Err(errno) if writer.done == 0 => return Err(errno),
                Err(_) => writer.len = writer.done,
            }
        }
        Ok(())
    }

    /// Serves those who wait, as far as there are bytes and room now.
    fn go_on(&mut self, host: &mut dyn Host) {
        for _ in 0..MOST_AT_ONCE {
            if let Some(reader) = self.readers.first().filter(|_| self.ring.len() > 0) {
                let result = self.give(host, reader);
                self.readers.leave();
                host.reply(reader.token(), result.map_or_else(Errno::negated, |count| count as i64));
            } else if let Some(mut writer) = self.writers.first().filter(|_| self.ring.room() > 0) {
                match self.accept(host, &mut writer) {
                    Ok(()) if writer.done < writer.len => self.writers.advance(writer.done),
                    result => {
                        self.writers.leave();
                        host.reply(writer.token(), result.map_or_else(Errno::negated, |()| writer.done as i64));
                    }
                }
            } else {
                return self.tell(host);
            }
        }
        host.set_alarm(1); // at once, after whatever is more urgent
    }

    /// Nothing will be served any more: who waits gets EIO, or the count of what was written already.
    fn turn_away(&mut self, host: &mut dyn Host) {
        self.is_retired = true;
        self.tell(host);
        for _ in 0..MOST_AT_ONCE {
            let Some(waiter) = self.readers.leave().or_else(|| self.writers.leave()) else { return };
            let result = if waiter.done == 0 { Errno::EIO.negated() } else { waiter.done as i64 };
            host.reply(waiter.token(), result);
        }
        host.set_alarm(1);
    }

    /// Events that hold now.
    fn events(&self) -> u32 {
        let readable = if self.ring.len() > 0 { poll::READABLE } else { 0 };
        let writable = if self.ring.room() > 0 { poll::WRITABLE } else { 0 };
        readable | writable | if self.is_retired { poll::HUP } else { 0 }
    }

    /// Tells those who poll for an event that holds now.
    fn tell(&mut self, host: &mut dyn Host) {
        if self.wanted != 0 && self.wanted & self.events() != 0 {
            self.wanted = 0;
            // Without a time service nobody waits for this.
            let _ = host.call(service::TIME, time::label::changed, [0; 6]);
        }
    }

    fn describe(&mut self, badge: u64) -> Result<&Stat, Errno> {
        let minor = self.opened(badge, |_| true)?.minor;
        self.stat = Stat {
            ino: minor.number(),
            nlink: 1,
            mode: mode::IFCHR | minor.mode(),
            rdev: minor.number(),
            blksize: parley_abi::PAGE as i64,
            ..Stat::default()
        };
        Ok(&self.stat)
    }

    /// A call that only devices with offsets can answer. ESPIPE.
    fn no_offset(&self, badge: u64) -> Outcome<'static> {
        self.opened(badge, |_| true).err().unwrap_or(Errno::ESPIPE).into()
    }
}

impl file::File for TQueue {
    fn read(&mut self, cx: &mut Cx<'_>, buf: Out) -> Outcome<'_> {
        self.try_read(cx, buf.len).unwrap_or_else(Outcome::from)
    }

    fn write(&mut self, cx: &mut Cx<'_>, buf: In) -> Outcome<'_> {
        self.try_write(cx, buf.len).unwrap_or_else(Outcome::from)
    }

    fn pread(&mut self, cx: &mut Cx<'_>, _: Out, _: i64) -> Outcome<'_> {
        self.no_offset(cx.badge)
    }

    fn pwrite(&mut self, cx: &mut Cx<'_>, _: In, _: i64) -> Outcome<'_> {
        self.no_offset(cx.badge)
    }

    fn lseek(&mut self, cx: &mut Cx<'_>, _: i64, _: u32) -> Outcome<'_> {
        self.no_offset(cx.badge)
    }

    fn fstat(&mut self, cx: &mut Cx<'_>, stat: OutOf<Stat>) -> Outcome<'_> {
        match self.describe(cx.badge) {
            Err(errno) => errno.into(),
            Ok(_) if stat.is_null => Errno::EFAULT.into(),
            Ok(stat) => Outcome::Fill(stat.bytes()),
        }
    }

    /// As far as it is open for that.
    fn ready(&mut self, cx: &mut Cx<'_>, events: u32) -> Outcome<'_> {
        let file = match self.opened(cx.badge, |_| true) {
            Ok(file) => file,
            Err(errno) => return errno.into(),
        };
        let readable = if file.is_readable() { poll::READABLE } else { 0 };
        let writable = if file.is_writable() { poll::WRITABLE } else { 0 };
        let events = events & (readable | writable);
        let ready = events & self.events();
        if ready == 0 {
            self.wanted |= events | poll::HUP;
        }
        Outcome::Done(ready.into())
    }

    fn getdents(&mut self, cx: &mut Cx<'_>, _: Out) -> Outcome<'_> {
        self.opened(cx.badge, |_| true).err().unwrap_or(Errno::ENOTDIR).into()
    }
}

impl chardev::CharDev for TQueue {
    /// EINVAL: access mode 3, which is none. EACCES: the bug is for writing only.
    fn open_device(&mut self, _: &mut Cx<'_>, device: u64, flags: u32) -> Outcome<'_> {
        let known = Minor::ALL.into_iter().find(|minor| minor.number() == device);
        let Some(minor) = known.filter(|_| !self.is_retired) else { return Errno::ENXIO.into() };
        match Opened::new(minor, flags) {
            None => Errno::EINVAL.into(),
            Some(file) if minor == Minor::Bug && file.is_readable() => Errno::EACCES.into(),
            Some(file) => {
                self.users += 1;
                Outcome::Open { badge: file.badge(), close_on_exec: flags & open::CLOEXEC != 0 }
            }
        }
    }

    fn device(&mut self, _: &mut Cx<'_>, index: u32) -> Outcome<'_> {
        match Minor::ALL.get(index as usize).filter(|_| !self.is_retired) {
            Some(minor) => Outcome::Words(minor.words()),
            None => Errno::ENOENT.into(),
        }
    }

    fn users(&mut self, _: &mut Cx<'_>) -> Outcome<'_> {
        Outcome::Done(self.users as i64)
    }

    fn await_interrupt(&mut self, _: &mut Cx<'_>, _: u32) -> Outcome<'_> {
        Errno::ENOSYS.into()
    }

    fn retire(&mut self, cx: &mut Cx<'_>, force: u32) -> Outcome<'_> {
        match cx.root_pid() {
            Some(INIT) if self.users > 0 && force == 0 => Errno::EBUSY.into(),
            Some(INIT) => {
                self.turn_away(cx.host);
                Outcome::Done(self.users as i64)
            }
            _ => Errno::EPERM.into(),
        }
    }
}

impl Service for TQueue {
    fn rows(sink: &mut impl RowSink) {
        file::rows(sink);
        chardev::rows(sink);
    }

    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        match label >> 8 {
            file::ID => file::dispatch(self, cx, label, words),
            // As in the char service: an open device opens no other. Badge 0 is a caller inside ring 0.
            chardev::ID if cx.badge & ROOT == 0 && cx.badge != 0 => Errno::EBADF.into(),
            chardev::ID => chardev::dispatch(self, cx, label, words),
            _ => Errno::ENOSYS.into(),
        }
    }

    fn closed(&mut self, _: &mut dyn Host, badge: u64) {
        if Opened::from_badge(badge).is_some() {
            self.users = self.users.saturating_sub(1);
        }
    }

    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        if let Some(waiter) = self.readers.remove(token).or_else(|| self.writers.remove(token)) {
            let result = if waiter.done == 0 { Errno::EINTR.negated() } else { waiter.done as i64 };
            host.reply(token, result);
            // Room that the first in line waited for is there for the next.
            self.go_on(host);
        }
    }

    fn alarm(&mut self, host: &mut dyn Host) {
        if self.is_retired { self.turn_away(host) } else { self.go_on(host) }
    }
}
