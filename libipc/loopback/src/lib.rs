//! The loop-back placement: messages without a kernel.
//!
//! Program and servers are linked into one image. A call becomes a message by the same rows of the call
//! table and reaches the same servers as in every other placement, but no privilege boundary is
//! crossed and no address space switched. What a call costs here is marshalling and the work itself, so the
//! difference to the other placements is protection. The benchmark runs it in the guest, the placement test
//! on the host. Nothing here needs memory from a heap.
#![cfg_attr(not(test), no_std)]

mod descriptors;
pub mod lease;
mod memory;
mod party;
mod requests;
#[cfg(test)]
mod tests;

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_abi::row::{Op, ROWS, Row};
use parley_abi::slot::{SERVICE, service::COUNT};
use parley_proto::{Caller, Service, calltable};

pub use descriptors::{Connection, Descriptors};
pub use memory::{Memory, Own};
use requests::Requests;

use party::{Answer, PROCESS, Party, Places, World};

/// The call table, in memory: the same that init gives each process.
static TABLE: [Row; ROWS] = calltable::TABLE;

/// How a call went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A result, or a negated errno.
    Now(i64),
    /// The server answers later: see [`Loopback::take_reply`].
    Later(Token),
}

/// One process with its descriptors, and the services bound to it. About 30 KiB.
///
/// Calls to a service that is not bound are EBADF, as in a process that was given no connection to it.
pub struct Loopback<'s, M> {
    places: Places<'s>,
    world: World<'s, M>,
    descriptors: Descriptors,
}

impl<'s, M: Memory> Loopback<'s, M> {
    /// A process without services. Its clock stands at 0 and the log goes nowhere.
    pub fn new(memory: M) -> Self {
        let world = World { memory, clock: &|| 0, log: &|_| (), alarms: [0; COUNT], requests: Requests::default() };
        Loopback { places: [const { None }; COUNT], world, descriptors: Descriptors::new() }
    }

    /// Binds a service to its number, in `parley_abi::slot::service`. Numbers out of range bind nothing.
    pub fn bind(&mut self, number: u8, service: &'s mut dyn Service) -> &mut Self {
        if let Some(place) = self.places.get_mut(number as usize) {
            *place = Some(service);
        }
        self
    }

    /// What tells the services the time, in nanoseconds since boot.
    pub fn set_clock(&mut self, clock: &'s dyn Fn() -> u64) -> &mut Self {
        self.world.clock = clock;
        self
    }

    /// Where the services' log lines go.
    pub fn set_log(&mut self, log: &'s dyn Fn(core::fmt::Arguments<'_>)) -> &mut Self {
        self.world.log = log;
        self
    }

    /// Starts the bound services, lower ones (with higher numbers) first. Returns the number of the one that
    /// could not start, and why; those above it have not been tried.
    pub fn start(&mut self) -> Result<(), (u8, Errno)> {
        for number in (0..COUNT as u8).rev() {
            if self.places[number as usize].is_some() {
                let started = self.party().with(number, |server, host| server.start(host));
                started.and_then(|result| result).map_err(|errno| (number, errno))?;
            }
        }
        Ok(())
    }

    /// Calls number `number` of the call table with what would be in rdi rsi rdx r10 r8 r9.
    pub fn call(&mut self, number: u16, args: Words) -> Reply {
        self.interpret(number, args).unwrap_or_else(|errno| Reply::Now(errno.negated()))
    }

    /// The answer to a call that was [`Reply::Later`], once it has been given. It is given out once.
    pub fn take_reply(&mut self, token: Token) -> Option<i64> {
        self.world.requests.take_reply(token)
    }

    /// Tells the server that has `token` to answer early. Does nothing if nobody has it.
    pub fn cancel(&mut self, token: Token) {
        if let Ok(service) = self.world.requests.service(token) {
            let _ = self.party().with(service, |server, host| server.cancelled(host, token));
        }
    }

    /// Sets notification bits of a service. ENXIO: it is not bound.
    pub fn notify(&mut self, service: u8, bits: u64) -> Result<(), Errno> {
        self.party().with(service, |server, host| server.notified(host, bits))
    }

    /// Raises the alarms whose time has come.
    pub fn run_alarms(&mut self) {
        for number in 0..COUNT as u8 {
            let at = self.world.alarms[number as usize];
            if at != 0 && (self.world.clock)() >= at {
                self.world.alarms[number as usize] = 0;
                let _ = self.party().with(number, |server, host| server.alarm(host));
            }
        }
    }

    /// The client's memory.
    pub fn memory(&mut self) -> &mut M {
        &mut self.world.memory
    }

    fn party(&mut self) -> Party<'_, 's, M> {
        Party { places: &mut self.places, world: &mut self.world }
    }

    /// What the core does with a row.
    #[inline]
    fn interpret(&mut self, number: u16, args: Words) -> Result<Reply, Errno> {
        let row = TABLE.get(number as usize).ok_or(Errno::ENOSYS)?;
        let [first, second, c, d, e, f] = args;
        match row.op {
            Op::None | Op::Reflect => Err(Errno::ENOSYS),
            Op::Send => self.send(row, root_connection(row)?, args),
            Op::SendTo => self.send(row, self.descriptors.get(first)?, [second, c, d, e, f, 0]),
            Op::Drop => {
                let closed = self.descriptors.close(first)?;
                self.close(closed);
                Ok(Reply::Now(0))
            }
            Op::Copy => self.descriptors.dup(first).map(|fd| Reply::Now(fd as i64)),
            Op::CopyTo => {
                let (fd, closed) = self.descriptors.dup2(first, second)?;
                self.close(closed);
                Ok(Reply::Now(fd as i64))
            }
            Op::Yield => Ok(Reply::Now(0)),
        }
    }

    /// Sends a message and waits for its answer, unless that comes later.
    #[inline]
    fn send(&mut self, row: &Row, to: Connection, words: Words) -> Result<Reply, Errno> {
        if self.places[to.service as usize].is_none() {
            return Err(Errno::EBADF);
        }
        if row.opens != 0 {
            self.descriptors.check_room()?;
        }
        let token = self.world.requests.begin(to.service, lease::of_message(row, &words))?;
        let result = match self.party().serve(to, row.label, words, token) {
            Answer::Result(result) => result,
            Answer::Words(_) => 0,
            Answer::Open(connection) => self.open(row, connection)?,
            Answer::Later => {
                return Ok(self.world.requests.take_reply(token).map_or(Reply::Later(token), Reply::Now));
            }
        };
        self.world.requests.end(token);
        Ok(Reply::Now(result))
    }

    /// Gives the process a descriptor. EINVAL: the row does not open anything.
    fn open(&mut self, row: &Row, connection: Connection) -> Result<i64, Errno> {
        if row.opens == 0 {
            self.close(Some(connection));
            return Err(Errno::EINVAL);
        }
        self.descriptors.open(connection).map(|fd| fd as i64)
    }

    /// Tells a service that nobody holds a connection any more.
    fn close(&mut self, closed: Option<Connection>) {
        if let Some(Connection { service, badge }) = closed {
            let _ = self.party().with(service, |server, host| server.closed(host, badge));
        }
    }
}

/// A call that is answered later is EAGAIN here: whoever uses such rows uses [`Loopback::call`].
impl<M: Memory> Caller for Loopback<'_, M> {
    #[inline]
    fn invoke(&mut self, number: u16, args: Words) -> i64 {
        match self.call(number, args) {
            Reply::Now(result) => result,
            Reply::Later(_) => Errno::EAGAIN.negated(),
        }
    }
}

/// The process's own connection that a row names. EBADF: it is not one to a service.
#[inline]
fn root_connection(row: &Row) -> Result<Connection, Errno> {
    match (row.slot as u32).checked_sub(SERVICE) {
        Some(service) if (service as usize) < COUNT => Ok(Connection { service: service as u8, badge: PROCESS }),
        _ => Err(Errno::EBADF),
    }
}
