//! A swap at each boundary of a system call, one at a time: the same script again and again, and each time a service is
//! swapped one call later.
//!
//! The trace says when each call is made in a pass that nobody disturbs. Under `-icount` the next pass makes them at the
//! same instants, so that an alarm rings within the call, and whoever it was wakes up after it. What the trace says then is
//! what counts: which call it was.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ffi::CStr;

use parley_abi::slot::{self, service};
use parley_abi::trace::{EVENTS, Event, kind, mode};
use parley_posix::{self as posix, println};
use parley_rt::sys::{self, Reply};

use crate::crew::Worker;
use crate::health::Health;
use crate::inject;
use crate::options::{Options, Script};
use crate::script::Pass;
use crate::tool::machine::MILLISECOND;
use crate::tool::random::Random;
use crate::trouble::{Tally, Trouble, Trying};
use crate::work::Work;

/// From the record of a call to the alarm, in nanoseconds: less than any call takes while the trace is on.
const WITHIN: u64 = 60;
/// How long a pass may take, in nanoseconds.
const LATEST: u64 = 3_000 * MILLISECOND;
/// Rounds at one boundary until it counts as missed: a pass is not always the same to the instruction.
const TRIES: u32 = 12;

/// Swaps every service that is a process at each `options.step`th boundary.
pub fn run(options: &Options, script: Script, tally: &mut Tally) -> Result<(), Trouble> {
    let mut sweep = Sweep::new(options, script)?;
    sweep.round(None, tally)?;
    let health = Health::measure()?;
    for (number, file) in inject::processes()? {
        let (mut struck, mut at) = (0, 0);
        loop {
            sweep.round(None, tally)?;
            let Some(&call) = sweep.calls.get(at) else { break };
            let mut delay = call + WITHIN;
            for attempt in 1..=TRIES {
                sweep.round(Some((delay, number, file)), tally)?;
                health.check(|| Ok(()))?;
                let before = sweep.calls.len();
                match before.cmp(&(at + 1)) {
                    Ordering::Equal => {
                        struck += 1;
                        break;
                    }
                    Ordering::Less => delay += WITHIN,
                    Ordering::Greater => delay = delay.saturating_sub(WITHIN),
                }
                // What was recorded may have been another pass than most.
                if attempt.is_multiple_of(TRIES / 3) {
                    sweep.round(None, tally)?;
                    delay = sweep.calls.get(at).map_or(delay, |call| call + WITHIN / 2);
                }
            }
            at += options.step;
        }
        let name = service::NAMES[usize::from(number)];
        let wanted = (0..at).step_by(options.step);
        println!("torture: {name} swapped at {struck} of {} boundaries", wanted.len());
        tally.boundaries += struck;
        tally.missed += wanted.len() as u64 - struck;
    }
    sys::trace(mode::OFF)?;
    Ok(())
}

struct Sweep {
    worker: Worker,
    done: u32,
    seed: u64,
    /// When others than this thread made calls, in nanoseconds since the round began, up to the swap.
    calls: Vec<u64>,
}

impl Sweep {
    fn new(options: &Options, script: Script) -> Result<Sweep, Trouble> {
        let done = sys::endpoint_create(slot::QUOTA)?;
        let worker = Worker::start("script", Box::new(Scripted(script.pass(options)?)), done, 0, 1)?;
        Ok(Sweep { worker, done, seed: options.seed, calls: Vec::with_capacity(EVENTS) })
    }

    /// One pass, and a swap so many nanoseconds after it began.
    fn round(&mut self, swap: Option<(u64, u8, &CStr)>, tally: &mut Tally) -> Result<(), Trouble> {
        sys::trace(mode::ON)?;
        let begun = sys::clock();
        self.worker.begin(self.seed)?;
        let alarm = swap.map_or(LATEST, |(delay, ..)| delay);
        let first = sys::reply_recv(self.done, &Reply::NONE, begun + alarm)?;
        self.read_trace(begun)?;
        if let Some((_, number, file)) = swap {
            posix::swap(u32::from(number), file).trying(format_args!("swapping service {number}"))?;
            tally.swaps += 1;
        }
        let last = match first {
            sys::Event::Notified { .. } => first,
            _ => sys::reply_recv(self.done, &Reply::NONE, begun + LATEST)?,
        };
        let sys::Event::Notified { .. } = last else { return Err(Trouble::Stuck("the script".into())) };
        self.worker.result()?;
        tally.rounds += 1;
        Ok(())
    }

    /// Takes the calls out of the trace, which ends here. It allocates nothing: the worker may have been stopped within
    /// the allocator.
    fn read_trace(&mut self, begun: u64) -> Result<(), Trouble> {
        sys::trace(mode::PAUSE)?;
        self.calls.clear();
        let (mut me, mut part) = (None, [Event::default(); 8]);
        loop {
            let count = sys::trace_read(&mut part)?;
            for event in &part[..count] {
                match event.kind {
                    kind::LOST => return Err(Trouble::Stuck("a pass has more events than the trace holds".into())),
                    // This thread was the first to call: it told the other one to begin.
                    kind::CALL if *me.get_or_insert(event.thread) != event.thread => {
                        self.calls.push(event.time - begun);
                    }
                    _ => {}
                }
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

/// A pass as work.
struct Scripted(Pass);

impl Work for Scripted {
    fn operation(&mut self, _: &mut Random) -> Result<(), Trouble> {
        (self.0)()
    }

    fn clear(&mut self, _: bool) -> Result<(), Trouble> {
        Ok(())
    }
}
