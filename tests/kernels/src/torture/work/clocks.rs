//! Sleeping, and asking what time it is.

use parley_abi::linux::{Timespec, clock};
use parley_posix as posix;
use parley_rt::sys;

use super::Work;
use crate::options::{Faults, Options};
use crate::tool::machine::MILLISECOND;
use crate::tool::random::Random;
use crate::trouble::{Trouble, Trying};

/// How late a sleeper may wake while its service dies, in nanoseconds, and while one hangs: so long it takes init to know.
const LATE: u64 = 250 * MILLISECOND;
const LATE_IF_HUNG: u64 = 6_000 * MILLISECOND;
/// How far the date may be off after any number of new instances, in nanoseconds.
const DRIFT: u64 = MILLISECOND;

pub struct Clocks {
    /// What the date was ahead of the core's clock.
    offset: i64,
    /// How late a sleeper may wake, in nanoseconds.
    late: u64,
}

impl Clocks {
    pub fn new(options: &Options) -> Result<Clocks, Trouble> {
        let late = match options.faults {
            Faults::Host => u64::MAX / 2, // of the time service's own state, too
            Faults::Hangs => LATE_IF_HUNG,
            _ if options.script.is_some() => LATE_IF_HUNG,
            _ => LATE,
        };
        Ok(Clocks { offset: offset()?, late })
    }
}

fn offset() -> Result<i64, Trouble> {
    let now = posix::clock_gettime(clock::REALTIME).trying(format_args!("clock_gettime"))?;
    Ok(now.sec * 1_000_000_000 + now.nsec - sys::clock().cast_signed())
}

impl Work for Clocks {
    fn operation(&mut self, random: &mut Random) -> Result<(), Trouble> {
        if random.next().is_multiple_of(4) {
            // The clock that is read first may be read late.
            let (before, ahead, after) = (sys::clock(), offset()?, sys::clock());
            let jump = (ahead - self.offset).unsigned_abs();
            return match jump <= DRIFT + (after - before) {
                true => Ok(()),
                false => Err(Trouble::Wrong(alloc::format!("the date jumped by {jump} ns"))),
            };
        }
        let duration = 50_000 + random.next() % (2 * MILLISECOND);
        let start = sys::clock();
        posix::nanosleep(&Timespec::from_nanoseconds(duration)).trying(format_args!("nanosleep"))?;
        let slept = sys::clock() - start;
        match slept >= duration && slept <= duration + self.late {
            true => Ok(()),
            false => Err(Trouble::Wrong(alloc::format!("slept {slept} ns instead of {duration}"))),
        }
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}
