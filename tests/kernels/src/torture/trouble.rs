//! What can be wrong, and the count of what happened.

use alloc::string::String;
use core::fmt;
use parley_abi::Errno;

/// Why a round failed.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// A call failed that should not have; its error was said, so nobody was deceived.
    Refused(String, Errno),
    /// A program saw what it should not have seen: lost, wrong or repeated data.
    Wrong(String),
    /// Somebody waits for ever.
    Stuck(String),
    /// Objects or memory are left over, or the core's invariants do not hold.
    Left(String),
}

impl Trouble {
    /// Names the round.
    pub fn in_round(self, round: u64) -> Trouble {
        let name = |what: String| alloc::format!("round {round}: {what}");
        match self {
            Trouble::Refused(what, errno) => Trouble::Refused(name(what), errno),
            Trouble::Wrong(what) => Trouble::Wrong(name(what)),
            Trouble::Stuck(what) => Trouble::Stuck(name(what)),
            Trouble::Left(what) => Trouble::Left(name(what)),
        }
    }

    /// Its kind as the host hears it, from 1 on; 0 is none.
    pub fn code(&self) -> u64 {
        match self {
            Trouble::Refused(..) => 1,
            Trouble::Wrong(_) => 2,
            Trouble::Stuck(_) => 3,
            Trouble::Left(_) => 4,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Refused(what, errno) => write!(f, "refused: {what}: {errno}"),
            Trouble::Wrong(what) => write!(f, "wrong: {what}"),
            Trouble::Stuck(what) => write!(f, "stuck: {what}"),
            Trouble::Left(what) => write!(f, "left: {what}"),
        }
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::Refused("the torture itself".into(), errno)
    }
}

/// Names what was tried when a call failed.
pub trait Trying<T> {
    /// The value, or that `what` was refused.
    fn trying(self, what: fmt::Arguments<'_>) -> Result<T, Trouble>;
}

impl<T> Trying<T> for Result<T, Errno> {
    fn trying(self, what: fmt::Arguments<'_>) -> Result<T, Trouble> {
        self.map_err(|errno| Trouble::Refused(alloc::fmt::format(what), errno))
    }
}

/// What was done, and what came of it.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    /// Rounds of everybody, or passes of a script.
    pub rounds: u64,
    /// Operations of all workers.
    pub operations: u64,
    /// Services killed.
    pub kills: u64,
    /// Services restarted on request.
    pub restarts: u64,
    /// Services swapped.
    pub swaps: u64,
    /// Boundaries of system calls at which one was swapped.
    pub boundaries: u64,
    /// Those at which the swap came too early or too late each time.
    pub missed: u64,
    /// Services that were made to hang.
    pub hung: u64,
    /// Services killed because they did not answer.
    pub hangs: u64,
    /// Faults left to the host.
    pub host: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { rounds, operations, kills, restarts, swaps, boundaries, missed, hung, hangs, host } = self;
        write!(f, "{rounds} rounds, {operations} operations, {kills} kills, {restarts} restarts, {swaps} swaps, ")?;
        write!(f, "{boundaries} boundaries struck, {missed} missed, {hung} made to hang, ")?;
        write!(f, "{host} faults by the host, {hangs} hangs ended")
    }
}
