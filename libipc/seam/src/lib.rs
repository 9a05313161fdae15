//! The seam: all that a server sees of the world around it.
//!
//! A server is written once against [`Host`] and [`Service`]. In ring 3 `libipc/rt` implements `Host`
//! with system calls and drives `Service` from its receive loop; in ring 0 the core does both with
//! plain function calls; in tests and in the loop-back placement it is ordinary memory. Nothing here
//! tells a server which it is. A crate of its own, because the core needs this and no table of any service.
#![no_std]
#![forbid(unsafe_code)]

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_abi::row::Row;

/// Badges of connections that init mints for a process carry this bit; those that a server mints for an
/// open file or device do not.
pub const ROOT: u64 = 1 << 63;

/// What a server can ask of its surroundings. No method waits.
pub trait Host {
    /// Nanoseconds since boot.
    fn now(&mut self) -> u64;

    /// Copies from buffer `lease` (0 or 1) of request `token`, from `offset` on, and returns the bytes
    /// copied: fewer than asked only where the buffer ends. Text stops after its NUL.
    ///
    /// EFAULT: the client's memory is not there. ESTALE: the request is gone. EACCES: no such buffer.
    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno>;

    /// Copies to buffer `lease` of request `token`. Errors as [`Host::copy_in`].
    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno>;

    /// Answers a request whose handler said [`Outcome::Later`]: a result, or a negated errno.
    /// Answering a request that is gone does nothing.
    fn reply(&mut self, token: Token, result: i64);

    /// Asks another service, which must be lower in the order of the services, through a row that is
    /// prompt and carries no buffers. `service` is a number of [`parley_abi::slot::service`].
    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno>;

    /// Asks for [`Service::alarm`] once [`Host::now`] has reached `at`; 0 takes the wish back.
    /// There is one alarm a service: a new one replaces the old.
    fn set_alarm(&mut self, at: u64);

    /// Writes a line to the kernel log, behind the service's name.
    fn log(&mut self, line: core::fmt::Arguments<'_>);

    /// For the console's driver: has the core write into the log what every thread does.
    fn dump_threads(&mut self);

    /// For the console's driver: takes bytes of the kernel log that are not on the console yet.
    fn read_log(&mut self, into: &mut [u8]) -> usize;
}

/// What a handler knows of the request that it serves.
pub struct Cx<'h> {
    /// The surroundings.
    pub host: &'h mut dyn Host,
    /// Names the request; to be kept for [`Outcome::Later`].
    pub token: Token,
    /// Names the open file, device or process behind the connection that was called.
    pub badge: u64,
}

impl Cx<'_> {
    /// The calling process's id, if the connection is one that init minted for a process.
    pub fn root_pid(&self) -> Option<u32> {
        (self.badge & ROOT != 0).then_some(self.badge as u32)
    }
}

/// How a handler ends. It never waits: what can't be answered now is [`Outcome::Later`].
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The result, or a negated errno.
    Done(i64),
    /// These bytes go to the request's writable buffer, cut to its length; the result is how many.
    Data(&'a [u8]),
    /// These bytes go to the request's writable buffer; the result is 0.
    Fill(&'a [u8]),
    /// The caller gets a handle to a new connection with this badge, and its slot as the result.
    Open {
        /// What the server will see as [`Cx::badge`] when the handle is used.
        badge: u64,
        /// The handle is dropped by exec.
        close_on_exec: bool,
    },
    /// Words for a caller of [`Host::call`].
    Words(Words),
    /// The token was kept: [`Host::reply`] follows.
    Later,
    /// Another service answers this request in the server's stead: its buffers go along.
    Forward {
        /// Number of the service.
        service: u8,
        /// Label of the row.
        label: u32,
        /// The first words of the message; the rest are 0.
        words: [u64; 4],
    },
}

impl From<Errno> for Outcome<'_> {
    fn from(errno: Errno) -> Self {
        Outcome::Done(errno.negated())
    }
}

impl From<Result<i64, Errno>> for Outcome<'_> {
    fn from(result: Result<i64, Errno>) -> Self {
        Outcome::Done(result.unwrap_or_else(Errno::negated))
    }
}

/// A row of a table, as a type: so that there can be a function for it.
pub trait RowType {
    /// What it says.
    const ROW: Row;
}

/// Takes rows, one after the other.
pub trait RowSink {
    /// Takes one.
    fn add<R: RowType>(&mut self);
}

/// A server, as its surroundings see it.
pub trait Service {
    /// Names the rows that it serves. Surroundings that share the caller's address space may make each of them a
    /// function of its own, of [`Service::request`] with that label.
    fn rows(sink: &mut impl RowSink)
    where
        Self: Sized,
    {
        let _ = sink;
    }

    /// Called once, before the first request, with the services below already running.
    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        let _ = host;
        Ok(())
    }

    /// Whether [`Service::at_hand`] says anything.
    fn has_at_hand() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// Answers a request from what is at hand, without the surroundings; `None`: [`Service::request`] has to. It is
    /// asked first and can be left out: it says the same as `request` would, for the few rows whose answer costs
    /// less than the trouble of describing the surroundings. Nothing changes by it that would have to be kept.
    #[inline(always)]
    fn at_hand(&mut self, badge: u64, label: u32, words: &Words) -> Option<Outcome<'_>> {
        let _ = (badge, label, words);
        None
    }

    /// Serves one request. The label says which row of the service's table.
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_>;

    /// Notification bits were set: interrupts, the kernel log.
    fn notified(&mut self, host: &mut dyn Host, bits: u64) {
        let _ = (host, bits);
    }

    /// The last handle to the connection with this badge is gone. It will not be used again.
    fn closed(&mut self, host: &mut dyn Host, badge: u64) {
        let _ = (host, badge);
    }

    /// The caller no longer waits for `token`, or wants to be answered early: answer with what there is,
    /// or EINTR, or not at all if the token is gone.
    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        let _ = (host, token);
    }

    /// The time of [`Host::set_alarm`] has come.
    fn alarm(&mut self, host: &mut dyn Host) {
        let _ = host;
    }
}
