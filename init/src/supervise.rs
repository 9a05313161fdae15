//! What is known of a running service, and what follows from its end.
//!
//! Pure bookkeeping: [`crate::services`] starts and stops processes. A service that dies is started again, on the
//! same endpoint, so that its callers wait instead of failing; one that dies too often is given up.

use core::fmt;

use parley_abi::exception;
use parley_abi::info::reason;
use parley_manifest::Restart;

/// Deaths that a policy can count.
pub const DEATHS: usize = parley_manifest::DEATHS as usize;

/// Instances in a row that die before they are ready, until their state is thought to be the reason.
const HOPELESS: u32 = 2;

/// How a service is. The numbers are those of [`parley_abi::info::ServiceInfo::state`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// Not started, or stopped on request: callers wait.
    #[default]
    Stopped = 0,
    /// Running.
    Running = 1,
    /// Given up: calls fail.
    Failed = 2,
    /// A driver that is unloaded and still has to say so to whoever has it open.
    Leaving = 3,
}

/// How an instance ended, in words.
#[derive(Clone, Copy, Debug)]
pub struct Reason(pub i32);

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.cast_unsigned() {
            reason::HUNG => out.write_str("it hung"),
            reason::PANICKED => out.write_str("it panicked"),
            reason::VIOLATION => out.write_str("it violated the protocol"),
            reason::OVERRUN => out.write_str("it had used up its memory"),
            KILLED => out.write_str("killed on request"),
            status @ 0..256 => write!(out, "it exited with status {status}"),
            status => write!(out, "{} (vector {})", exception::name((status - 256).into()), status - 256),
        }
    }
}

/// Exit status of an instance that was killed on request, as a shell says it of SIGKILL.
pub const KILLED: u32 = 137;

/// What follows from a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequel {
    /// It is started again.
    Restart,
    /// It has died too often.
    GiveUp,
}

/// The history of one service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    /// How it is.
    pub state: State,
    /// Its process, 0 without one.
    pub pid: u32,
    /// Which instance it is, from 1 on.
    pub generation: u32,
    /// When the instance was started, in nanoseconds since boot.
    pub since: u64,
    /// How the last instance ended: see [`parley_abi::info::ServiceInfo::reason`].
    pub reason: u32,
    /// Somebody wanted that end: no request is to blame for it.
    pub wanted: bool,
    /// Deaths that nobody had asked for and that were followed by another instance.
    pub restarts: u32,
    /// Instances in a row that died before they were ready.
    pub unready: u32,
    /// When instances died, the latest first; 0: not so often yet.
    pub deaths: [u64; DEATHS],
}

impl Record {
    /// Process `pid` is the next instance.
    pub fn started(&mut self, pid: u32, now: u64) {
        self.state = State::Running;
        self.pid = pid;
        self.generation += 1;
        self.since = now;
    }

    /// An instance has died, and perhaps it had said that it was `ready`. True: so many in a row have died before they
    /// were that their state is thought to be the reason.
    pub fn is_hopeless(&mut self, ready: bool) -> bool {
        self.unready = if ready { 0 } else { self.unready + 1 };
        self.unready == HOPELESS
    }

    /// The instance has ended with `status`, on its own.
    pub fn died(&mut self, status: i32, now: u64, policy: &Restart) -> Sequel {
        self.ended(status);
        self.wanted = status.cast_unsigned() == KILLED;
        self.deaths.rotate_right(1);
        self.deaths[0] = now.max(1);
        let oldest = self.deaths[usize::from(policy.deaths).clamp(1, DEATHS) - 1];
        if oldest != 0 && now - oldest <= policy.within {
            self.state = State::Failed;
            return Sequel::GiveUp;
        }
        self.restarts += 1;
        Sequel::Restart
    }

    /// The instance has ended because somebody wanted that: it does not count as a death.
    pub fn ended(&mut self, status: i32) {
        self.state = State::Stopped;
        self.wanted = true;
        self.pid = 0;
        self.reason = status.cast_unsigned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_manifest::{From, Then};
    use proptest::prelude::*;

    const POLICY: Restart = Restart { from: From::Fresh, deaths: 3, within: 100, then: Then::Fail };

    #[test]
    fn the_third_death_in_time_is_the_last() {
        let mut record = Record::default();
        record.started(7, 5);
        assert_eq!((record.state, record.pid, record.generation, record.since), (State::Running, 7, 1, 5));
        assert_eq!(record.died(270, 10, &POLICY), Sequel::Restart);
        assert_eq!((record.state, record.pid, record.reason), (State::Stopped, 0, 270));
        record.started(8, 11);
        assert_eq!(record.died(270, 60, &POLICY), Sequel::Restart);
        assert_eq!(record.died(270, 110, &POLICY), Sequel::GiveUp);
        assert_eq!((record.state, record.generation), (State::Failed, 2));
    }

    /// A death in service and one before the next instance was ready say nothing about the state.
    #[test]
    fn only_deaths_before_readiness_condemn_the_state() {
        let mut record = Record::default();
        assert_eq!(
            [true, false, true, false, false].map(|ready| record.is_hopeless(ready)),
            [false, false, false, false, true]
        );
    }

    #[test]
    fn wanted_ends_do_not_count() {
        let mut record = Record::default();
        for now in 1..50 {
            record.started(7, now);
            record.ended(0);
            assert!(record.wanted);
        }
        assert_eq!(record.died(1, 51, &POLICY), Sequel::Restart);
        assert!(!record.wanted);
        record.died(KILLED.cast_signed(), 52, &POLICY);
        assert!(record.wanted, "it counts as a death, and yet no request is to blame");
    }

    proptest! {
        #[test]
        fn given_up_exactly_when_the_policy_says(steps in prop::collection::vec(1u64..80, 1..40), deaths in 1usize..=DEATHS) {
            let policy = Restart { deaths: deaths as u8, ..POLICY };
            let (mut record, mut now, mut times) = (Record::default(), 0, Vec::new());
            for step in steps {
                now += step;
                times.push(now);
                let within = times.iter().rev().take(deaths).filter(|&&time| now - time <= 100).count();
                let want = if within == deaths { Sequel::GiveUp } else { Sequel::Restart };
                prop_assert_eq!(record.died(1, now, &policy), want);
            }
        }
    }
}
