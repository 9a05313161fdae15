//! The kernel log: lines with time and level, to a serial port until a driver claims the console.
//!
//! After that they go into a ring that the driver drains. A second serial port, if the command line
//! names it, gets the log and nothing else, for tools. A panic takes the first port back.

use core::fmt::{self, Write};

use parley_abi::call::LOG_BIT;

use crate::arch::serial::{COM1, COM2, Serial};
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::Endpoint;

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl Level {
    fn name(self) -> &'static str {
        ["error", "warn", "info", "debug"][self as usize]
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Level> {
        [Level::Error, Level::Warn, Level::Info, Level::Debug].into_iter().find(|level| level.name() == name)
    }
}

/// Bytes of log that wait for the console's driver; the oldest are lost first.
const RING: usize = 4096;

/// Where log lines go.
enum Output {
    /// To a serial port, polled.
    Port(Serial),
    /// Into the ring, and a bit is set on an endpoint.
    Endpoint(Ref<Endpoint>),
}

/// The log.
pub struct Log {
    /// Lines above this are dropped.
    pub level: Level,
    output: Output,
    /// The port is for the log alone: no driver can claim it.
    separate: bool,
    ring: [u8; RING],
    read: usize,
    len: usize,
    reported: u64,
}

/// Reports that ring 3 can cause are at least this far apart, in nanoseconds: a serial port is slow.
const BETWEEN_REPORTS: u64 = 10_000_000;

impl Log {
    /// Everything up to `level` goes to the console.
    pub fn new(level: Level) -> Log {
        Log { level, output: Output::Port(COM1), separate: false, ring: [0; RING], read: 0, len: 0, reported: 0 }
    }

    /// The log gets the second serial port for itself.
    pub fn use_second_port(&mut self) {
        COM2.init();
        (self.output, self.separate) = (Output::Port(COM2), true);
    }

    /// The log goes where the console is.
    pub fn use_first_port(&mut self) {
        (self.output, self.separate) = (Output::Port(COM1), false);
    }

    /// A driver takes over the console.
    pub fn claim(&mut self, endpoint: Ref<Endpoint>) {
        if !self.separate {
            self.output = Output::Endpoint(endpoint);
        }
    }

    /// The oldest bytes in the ring, up to the length of `into`: they stay there.
    pub fn peek(&self, into: &mut [u8]) -> usize {
        let count = self.len.min(into.len());
        for (number, byte) in into[..count].iter_mut().enumerate() {
            *byte = self.ring[(self.read + number) % RING];
        }
        count
    }

    /// Forgets the oldest `count` bytes: they have been read.
    pub fn forget(&mut self, count: usize) {
        let count = count.min(self.len);
        self.read = (self.read + count) % RING;
        self.len -= count;
    }

    /// Takes bytes out of the ring.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let count = self.peek(into);
        self.forget(count);
        count
    }

    /// Whether something that ring 3 can cause as often as it likes may be written at time `now`.
    pub fn may_report(&mut self, now: u64) -> bool {
        let may = self.reported == 0 || now.saturating_sub(self.reported) >= BETWEEN_REPORTS;
        if may {
            self.reported = now.max(1);
        }
        may
    }

    /// Whether another line is sure not to push out what was not read yet.
    pub fn has_room(&self) -> bool {
        self.len <= RING / 2
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        match self.output {
            Output::Port(port) => port.write(bytes),
            _ => bytes.iter().for_each(|&byte| self.keep(byte)),
        }
    }

    fn keep(&mut self, byte: u8) {
        self.ring[(self.read + self.len) % RING] = byte;
        if self.len < RING {
            self.len += 1;
        } else {
            self.read = (self.read + 1) % RING;
        }
    }
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl Core {
    /// Writes a line with time and level.
    pub fn log(&mut self, level: Level, text: fmt::Arguments<'_>) {
        if level > self.log.level {
            return;
        }
        let microseconds = self.clock.now() / 1000;
        let (seconds, rest) = (microseconds / 1_000_000, microseconds % 1_000_000);
        let _ = writeln!(self.log, "[{seconds:4}.{rest:06} {}] {text}", level.name());
        self.tell_console();
    }

    /// Writes what ring 3 wants in the log.
    pub fn log_bytes(&mut self, bytes: &[u8]) {
        self.log.write(bytes);
        self.tell_console();
    }

    pub(crate) fn tell_console(&mut self) {
        match self.log.output {
            Output::Port(_) => {}
            Output::Endpoint(endpoint) => self.notify(endpoint, LOG_BIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest() {
        let mut log = Log::new(Level::Info);
        log.claim(Ref::NONE);
        for number in 0..RING + 10 {
            log.write(&[number as u8]);
        }
        let mut out = [0; RING + 1];
        assert_eq!(log.take(&mut out), RING);
        assert_eq!((out[0], out[RING - 1]), (10, ((RING + 9) % 256) as u8));
        assert_eq!(log.take(&mut out), 0);
    }

    #[test]
    fn what_was_not_delivered_is_still_there() {
        let mut log = Log::new(Level::Info);
        log.claim(Ref::NONE);
        log.write(b"abcdef");
        let mut out = [0; 4];
        assert_eq!((log.peek(&mut out), &out), (4, b"abcd"));
        log.forget(3);
        assert_eq!((log.take(&mut out), &out[..3]), (3, &b"def"[..]));
        log.forget(7);
        assert_eq!(log.take(&mut out), 0);
    }

    #[test]
    fn levels_have_an_order() {
        assert!(Level::Error < Level::Debug);
        assert_eq!(Level::from_name("warn"), Some(Level::Warn));
        assert_eq!(Level::from_name("loud"), None);
    }
}
