//! What must hold after every round: sound invariants, nothing left over.

use parley_abi::Errno;
use parley_abi::call::MemInfo;
use parley_abi::msg::POLL;
use parley_rt::sys::{self, Event, Reply};

use crate::tool::machine::{MILLISECOND, mem_info};
use crate::trouble::Trouble;

/// Pages that heaps may have grown by, once and for all: init's holds the programs of swapped services, and has gaps.
const SLACK: u64 = 256;
/// How long servers get to forget what is closed, in milliseconds.
const NAPS: u64 = 50;
/// Longer than init keeps the program before a swap: three heartbeats, and one that is still to be answered.
const PROBATION: u64 = 4_200 * MILLISECOND;

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
        health.sleep(PROBATION)?;
        health.before = mem_info()?;
        Ok(health)
    }

    /// Looks again. What init keeps for a while and what heaps have grown by are no leaks: where something is left
    /// over, it is looked for again when `fresh` has started every service anew.
    pub fn check(&self, fresh: impl FnOnce() -> Result<(), Trouble>) -> Result<(), Trouble> {
        match sys::check()? {
            0 => {}
            number => return Err(Trouble::Left(alloc::format!("the core's invariant {number} does not hold"))),
        }
        if self.soon_as_before()? {
            return Ok(());
        }
        self.sleep(PROBATION)?;
        fresh()?;
        match self.soon_as_before()? {
            true => Ok(()),
            false => Err(Trouble::Left(alloc::format!("{:?} became {:?}", self.before, mem_info()?))),
        }
    }

    fn soon_as_before(&self) -> Result<bool, Errno> {
        for _ in 0..NAPS {
            if self.as_before(&mem_info()?) {
                return Ok(true);
            }
            self.sleep(MILLISECOND)?;
        }
        Ok(false)
    }

    fn as_before(&self, now: &MemInfo) -> bool {
        let objects = |info: &MemInfo| (info.threads, info.spaces, info.connections);
        objects(now) == objects(&self.before) && now.free + now.tables + SLACK >= self.before.free + self.before.tables
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
