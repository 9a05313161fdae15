//! `ktest-torture --seed S --rounds N ...`: programs that check their own data while servers die under them.
//!
//! Workers (threads of this program, below its priority) use files, clocks, devices and processes, each against a
//! model of what it should see. Meanwhile this thread kills and swaps services at instants that follow from the seed
//! ([`inject`]), or lets the host do worse ([`mark`]). A round is so many operations of every worker; after it nothing
//! may be wrong, stuck or left over. Under `-icount` a seed gives the same run to the instruction.
#![no_std]
#![no_main]

extern crate alloc;

mod crew;
mod inject;
mod mark;
mod options;
mod record;
mod script;
mod sweep;
mod work;
#[macro_use]
#[path = "../tool/mod.rs"]
#[allow(dead_code, unused_macros, reason = "shared with ktest, which needs all of it")]
mod tool;
mod health;
mod trouble;

use parley_posix::println;

use crew::Crew;
use health::Health;
use inject::Injector;
use options::{Faults, Options};
use trouble::{Tally, Trouble};

parley_rt::program!(main);

/// Progress lines in a run.
const LINES: u64 = 10;
/// Status when the machine can no longer be used: something does not end.
const STUCK: i32 = 3;

fn main(args: parley_rt::Args) -> i32 {
    let Some(options) = Options::parse(args) else {
        println!(
            "usage: ktest-torture [--seed S] [--first R] [--rounds N] [--operations N] [--faults none|kills|hangs|swaps|host] \
             [--step N] [--script everything|write] [--typed] [--lenient] [--record]"
        );
        return 2;
    };
    let mut tally = Tally::default();
    let ended = match options.script {
        Some(script) if options.faults == Faults::Swaps => sweep::run(&options, script, &mut tally),
        Some(script) => script::run(&options, script, &mut tally),
        None if options.record => record::run(&options),
        None => rounds(&options, &mut tally),
    };
    match ended {
        Ok(()) => {
            println!("torture: {tally}, seed {}: ok", options.seed);
            0
        }
        Err(trouble) => {
            mark::ended(&trouble);
            println!("FAIL torture: seed {}: {tally}: {trouble}", options.seed);
            if let Trouble::Stuck(_) = trouble { STUCK } else { 1 }
        }
    }
}

fn rounds(options: &Options, tally: &mut Tally) -> Result<(), Trouble> {
    let mut crew = Crew::start(options)?;
    // The first round makes heaps and the core's tables grow; what is measured comes after.
    crew.round(u64::MAX, &mut Injector::none(), tally)?;
    let mut injector = Injector::new(options)?;
    injector.swap_all()?;
    let health = Health::measure()?;
    let line = (options.rounds / LINES).max(1);
    for round in options.first..options.first + options.rounds {
        tally.rounds += 1;
        let went = crew.round(round, &mut injector, tally).and_then(|()| health.check(|| injector.refresh()));
        mark::round(round, &went);
        match went {
            // What is wrong for good would be seen again in each round.
            Err(trouble @ Trouble::Refused(..)) if options.lenient => println!("torture: round {round}: {trouble}"),
            Err(trouble) => return Err(trouble.in_round(round)),
            Ok(()) => {}
        }
        if options.faults == Faults::Host {
            injector.settle()?;
        }
        if (round + 1).is_multiple_of(line) {
            println!("torture: round {round}: {tally}");
        }
    }
    Ok(())
}
