//! What must hold after every round: sound invariants, nothing left over.

use parley_abi::Errno;
use parley_abi::call::MemInfo;
use parley_abi::msg::POLL;
use parley_abi::slot::service;
use parley_posix as posix;
use parley_rt::sys::{self, Event, Reply};

use crate::tool::machine::{MILLISECOND, mem_info};
use crate::trouble::Trouble;

/// Pages that heaps may have grown by, once and for all: init's holds the programs of swapped services, and has gaps. (In a
/// machine of 40 rounds all of it was 488, and nothing more after the fourteenth.)
const SLACK: u64 = 512;
/// How long servers get to forget what is closed, in milliseconds: one that hangs is ended within two heartbeats.
const NAPS: u64 = 3_000;
/// How often init is asked whether it still keeps something that it gives back by itself, and how long one waits in between:
/// a new program is on probation for three heartbeats, and one that is still to be answered.
const QUESTIONS: u64 = 800;
const BETWEEN: u64 = 25 * MILLISECOND;

/// The machine as it was.
pub struct Health {
    before: MemInfo,
    nap: u32,
}

impl Health {
    /// Looks at the machine.
    pub fn measure() -> Result<Health, Trouble> {
        let nap = sys::endpoint_create(parley_abi::slot::QUOTA)?;
        let mut health = Health { before: MemInfo::default(), nap };
        health.await_init()?;
        // Servers forget what is closed within a millisecond.
        health.sleep(10 * MILLISECOND)?;
        health.before = mem_info()?;
        Ok(health)
    }

    /// Looks again. What init says that it still keeps is no leak before it has given that back, nor is what heaps have
    /// grown by: where memory is left over, it is looked for again when `fresh` has started every service anew. A thread,
    /// an address space or a connection that is left over then is one too many whatever `fresh` does.
    pub fn check(&self, fresh: impl FnOnce() -> Result<(), Trouble>) -> Result<(), Trouble> {
        match sys::check()? {
            0 => {}
            number => return Err(Trouble::Left(alloc::format!("the core's invariant {number} does not hold"))),
        }
        if self.soon(|now| self.has_objects(now) && self.has_memory(now))? {
            return Ok(());
        }
        self.await_init()?;
        if self.soon(|now| self.has_objects(now))? {
            fresh()?;
            self.await_init()?;
            if self.soon(|now| self.has_objects(now) && self.has_memory(now))? {
                return Ok(());
            }
        }
        Err(Trouble::Left(alloc::format!("{:?} became {:?}", self.before, mem_info()?)))
    }

    /// Waits until init has given back all that it keeps for a while.
    fn await_init(&self) -> Result<(), Trouble> {
        for _ in 0..QUESTIONS {
            if !is_kept()? {
                return Ok(());
            }
            self.sleep(BETWEEN)?;
        }
        Err(Trouble::Left("init does not give back what it keeps".into()))
    }

    /// It is like this now, or in a moment.
    fn soon(&self, is_so: impl Fn(&MemInfo) -> bool) -> Result<bool, Errno> {
        for _ in 0..NAPS {
            if is_so(&mem_info()?) {
                return Ok(true);
            }
            self.sleep(MILLISECOND)?;
        }
        Ok(false)
    }

    fn has_objects(&self, now: &MemInfo) -> bool {
        let objects = |info: &MemInfo| (info.threads, info.spaces, info.connections);
        objects(now) == objects(&self.before)
    }

    fn has_memory(&self, now: &MemInfo) -> bool {
        now.free + now.tables + SLACK >= self.before.free + self.before.tables
    }

    /// The core's clock, and nobody's help.
    fn sleep(&self, nanoseconds: u64) -> Result<(), Errno> {
        let deadline = sys::clock() + nanoseconds;
        while sys::clock() < deadline {
            if let Event::Timeout = sys::reply_recv(self.nap, &Reply::NONE, deadline.max(POLL + 1))? {
                break;
            }
        }
        Ok(())
    }
}

/// init says that it keeps something for a while.
fn is_kept() -> Result<bool, Errno> {
    for number in 0..service::COUNT as u32 {
        if posix::service(number)?.kept != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
