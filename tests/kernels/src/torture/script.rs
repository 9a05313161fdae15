//! The same operations again and again, so that the host can strike at each boundary of them in turn.

use alloc::boxed::Box;

use parley_abi::Errno;
use parley_abi::linux::open;
use parley_abi::slot;
use parley_posix as posix;
use parley_rt::sys::{self, Reply};

use crate::health::Health;
use crate::mark;
use crate::options::{Options, Script};
use crate::tool::machine::MILLISECOND;
use crate::tool::random::Random;
use crate::trouble::{Tally, Trouble, Trying};
use crate::work;

/// Between two passes: a service then does not die often enough for init to give it up.
const PAUSE: u64 = 2_600 * MILLISECOND;

/// Runs the passes.
pub fn run(options: &Options, script: Script, tally: &mut Tally) -> Result<(), Trouble> {
    let nap = sys::endpoint_create(slot::QUOTA)?;
    let mut pass = script.pass(options)?;
    pass()?;
    let health = Health::measure()?;
    for number in options.first..options.first + options.rounds {
        mark::begin(number);
        tally.rounds += 1;
        let went = pass();
        let sound = health.check(|| Ok(()));
        let went = match went {
            // Said, and without consequence: all was as the model says after it.
            Err(Trouble::Refused(..)) if options.lenient => sound.and(went),
            went => went.and(sound),
        };
        mark::round(number, &went);
        match went {
            Err(Trouble::Refused(_, Errno::ENOMEM)) if options.lenient => {}
            went => went.map_err(|trouble| trouble.in_round(number))?,
        }
        sys::reply_recv(nap, &Reply::NONE, sys::clock() + PAUSE)?;
    }
    Ok(())
}

/// One pass of a script.
pub type Pass = Box<dyn FnMut() -> Result<(), Trouble> + Send>;

impl Script {
    /// What is done again and again.
    pub fn pass(self, options: &Options) -> Result<Pass, Trouble> {
        match self {
            Script::Everything => everything(options),
            Script::Write => write(),
        }
    }
}

/// One turn of every kind of work, by one thread, each time from the same seed.
fn everything(options: &Options) -> Result<Pass, Trouble> {
    let (seed, operations) = (options.seed, options.operations);
    let mut works = work::all(options)?;
    Ok(Box::new(move || {
        for (_, work) in &mut works {
            let mut random = Random::new(seed);
            let went = (0..operations).try_for_each(|_| work.operation(&mut random));
            // A call that was refused has changed nothing.
            let is_said = matches!(went, Ok(()) | Err(Trouble::Refused(..)));
            let cleared = work.clear(is_said);
            // What is wrong is worse than what was refused.
            match (went, cleared) {
                (Err(Trouble::Refused(..)), Err(cleared)) => return Err(cleared),
                (went, cleared) => went.and(cleared)?,
            }
        }
        Ok(())
    }))
}

/// A write at the file's offset, which is then behind it, once.
fn write() -> Result<Pass, Trouble> {
    let fd = posix::open(c"/tmp/torture", open::RDWR | open::CREAT | open::TRUNC, 0o600)?;
    let (mut offset, mut round) = (0, 0u8);
    Ok(Box::new(move || {
        round = round.wrapping_add(1);
        let bytes = [round; 100];
        let written = posix::write(fd, &bytes).trying(format_args!("the write"))?;
        offset += bytes.len() as i64;
        let size = posix::fstat(fd).trying(format_args!("fstat"))?.size;
        let mut found = [0; 100];
        let read = posix::pread(fd, &mut found, offset - 100).trying(format_args!("reading it"))?;
        match written == 100 && size == offset && read == 100 && found == bytes {
            true => Ok(()),
            false => Err(Trouble::Wrong(alloc::format!("{written} written, {size} of {offset} there, {read} read"))),
        }
    }))
}
