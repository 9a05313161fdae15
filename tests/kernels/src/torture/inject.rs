//! Who kills services, which, when.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::info::verb;
use parley_abi::slot::service;
use parley_posix as posix;
use parley_rt::sys::{self, Reply};

use crate::mark;
use crate::options::{Faults, Options};
use crate::tool::machine::MILLISECOND;
use crate::tool::random::Random;
use crate::trouble::{Tally, Trouble, Trying};

/// What may be killed, and its file.
const VICTIMS: [(u8, &CStr); 6] = [
    (service::TIME, c"/svc/time"),
    (service::CHAR, c"/svc/char"),
    (service::TQUEUE, c"/svc/tqueue"),
    (service::VFS, c"/svc/vfs"),
    (service::PROC, c"/svc/proc"),
    (service::PING, c"/svc/ping"),
];
/// Nanoseconds from one fault to the next.
const LEAST: u64 = MILLISECOND / 10;
const MOST: u64 = 3 * MILLISECOND;
/// Longer than init counts deaths.
const FORGOTTEN: u64 = 10_500 * MILLISECOND;
/// One in so many faults is a hang, and so much time is between two: init gives up a service that hangs more often, and
/// notices one within this.
const HANG: u64 = 12;
const BETWEEN_HANGS: u64 = 3_500 * MILLISECOND;
/// Faults of the host's in a round: fewer than init takes from one service.
const HOST_FAULTS: u32 = 4;

/// The services that are processes, and their files.
pub fn processes() -> Result<Vec<(u8, &'static CStr)>, Errno> {
    let mut processes = Vec::new();
    for victim in VICTIMS {
        let info = posix::service(u32::from(victim.0))?;
        if info.resident == 0 && info.pid != 0 {
            processes.push(victim);
        }
    }
    Ok(processes)
}

/// The one who does harm.
pub struct Injector {
    faults: Faults,
    random: Random,
    next: u64,
    victims: Vec<(u8, &'static CStr)>,
    strikes: u64,
    left: u32,
    nap: u32,
    /// Until when a service may hang.
    hung: u64,
}

impl Injector {
    /// One who does none.
    pub fn none() -> Injector {
        let (random, victims) = (Random::new(0), Vec::new());
        Injector { faults: Faults::None, random, next: u64::MAX, victims, strikes: 0, left: 0, nap: 0, hung: 0 }
    }

    /// One who does what the options say. Resident services are left alone.
    pub fn new(options: &Options) -> Result<Injector, Trouble> {
        let mut injector = Injector { faults: options.faults, ..Injector::none() };
        injector.nap = sys::endpoint_create(parley_abi::slot::QUOTA)?;
        injector.victims = processes()?;
        if injector.victims.is_empty() && injector.faults != Faults::Host {
            injector.faults = Faults::None;
        }
        Ok(injector)
    }

    /// A new round begins.
    pub fn reseed(&mut self, seed: u64) {
        self.random = Random::new(seed);
        self.left = if self.faults == Faults::Host { HOST_FAULTS } else { u32::MAX };
        self.plan();
    }

    /// When the next fault is due, in nanoseconds since boot.
    pub fn next(&self) -> u64 {
        self.next
    }

    fn plan(&mut self) {
        self.next = match self.faults {
            Faults::None => u64::MAX,
            _ if self.left == 0 => u64::MAX,
            _ => sys::clock() + LEAST + self.random.next() % (MOST - LEAST),
        };
    }

    /// Does harm now.
    pub fn strike(&mut self, tally: &mut Tally) -> Result<(), Trouble> {
        self.left -= 1;
        let struck = match self.faults {
            Faults::None | Faults::Swaps => Ok(()),
            Faults::Kills | Faults::Hangs => self.disturb(tally),
            Faults::Host => {
                tally.host += 1;
                mark::strike(self.strikes);
                Ok(())
            }
        };
        self.strikes += 1;
        self.plan();
        struck
    }

    fn disturb(&mut self, tally: &mut Tally) -> Result<(), Trouble> {
        let choice = self.random.next();
        let which = (choice >> 8) as usize % self.victims.len().max(1);
        let Some(&(number, file)) = self.victims.get(which) else { return Ok(()) };
        let verb = if choice >> 32 & 1 == 0 { verb::HANG } else { verb::STALL };
        let may_hang = self.faults == Faults::Hangs && sys::clock() >= self.hung;
        let (what, count, result) = match choice % 4 {
            _ if may_hang && (choice >> 40).is_multiple_of(HANG) => {
                self.hung = sys::clock() + BETWEEN_HANGS;
                ("hanging", &mut tally.hung, posix::control(u32::from(number), verb))
            }
            0 => ("swapping", &mut tally.swaps, posix::swap(u32::from(number), file)),
            1 => ("restarting", &mut tally.restarts, posix::control(u32::from(number), verb::RESTART)),
            _ => ("killing", &mut tally.kills, posix::control(u32::from(number), verb::KILL)),
        };
        result.trying(format_args!("{what} {}", service::NAMES[usize::from(number)]))?;
        *count += 1;
        Ok(())
    }

    /// Ends every service that can be ended: one of them does not answer.
    pub fn end_hang(&self, tally: &mut Tally) -> Result<(), Trouble> {
        tally.hangs += 1;
        self.refresh().map_err(|trouble| Trouble::Stuck(alloc::format!("{trouble}")))
    }

    /// New instances of everything.
    pub fn refresh(&self) -> Result<(), Trouble> {
        for &(number, _) in &self.victims {
            let name = service::NAMES[usize::from(number)];
            posix::control(u32::from(number), verb::RESTART).trying(format_args!("restarting {name}"))?;
        }
        Ok(())
    }

    /// Swaps every service once, for its own program: from then on init has room for all of them.
    pub fn swap_all(&self) -> Result<(), Trouble> {
        if !matches!(self.faults, Faults::Kills | Faults::Hangs) {
            return Ok(());
        }
        for &(number, file) in &self.victims {
            posix::swap(u32::from(number), file).trying(format_args!("swapping service {number}"))?;
        }
        Ok(())
    }

    /// After faults of the host: no instance may hide that it is broken, and init may forget the deaths.
    pub fn settle(&self) -> Result<(), Trouble> {
        self.refresh()?;
        self.pause(FORGOTTEN)?;
        Ok(())
    }

    fn pause(&self, nanoseconds: u64) -> Result<(), Errno> {
        sys::reply_recv(self.nap, &Reply::NONE, sys::clock() + nanoseconds).map(drop)
    }
}
