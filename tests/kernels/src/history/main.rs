//! `ktest-history --seed S --steps N [--show FIRST]`: one random history, and a digest of all that can be seen of it.
//!
//! The short cuts of the core claim to do what the long way does. So the host runs this program twice, on a kernel
//! with short cuts and on one without (`short-cuts=off`), and what it prints must be the same to the letter. It plays
//! a history that follows from the seed: six threads in three address spaces call, answer, notify, copy through
//! leases, open and close connections; a director, less urgent than all of them, gives the next command when nobody
//! can run, cancels and kills. After each command it looks at every result, at the order in which they came, at the
//! buffers, at what each thread is doing and waits for, and asks the core for its invariants.
//!
//! Nothing in it depends on time: no history takes as long as a turn, and deadlines are in the past or never.
#![no_std]
#![no_main]

extern crate alloc;

#[macro_use]
#[path = "../tool/mod.rs"]
#[allow(dead_code, unused_macros, reason = "shared with ktest, which needs all of it")]
mod tool;

mod actor;
mod digest;
mod script;
mod stage;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicI32, Ordering};
use parley_posix::println;
use parley_programs::threads::own_priority;

use stage::Stage;
use tool::thread::Thread;
use tool::verdict::{Trouble, Verdict};

parley_rt::program!(main);

/// Lines about the way there.
const LINES: u64 = 20;

/// What the command line says.
#[derive(Clone, Copy)]
struct Options {
    seed: u64,
    steps: u64,
    /// Each step from this one on is printed.
    show: u64,
}

impl Options {
    fn parse(args: parley_rt::Args) -> Option<Options> {
        let mut options = Options { seed: 1, steps: 1000, show: u64::MAX };
        let mut words = args.iter().skip(1);
        while let Some(name) = words.next() {
            let value = words.next()?.parse().ok()?;
            match name {
                "--seed" => options.seed = value,
                "--steps" => options.steps = value,
                "--show" => options.show = value,
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main(args: parley_rt::Args) -> i32 {
    let Some(options) = Options::parse(args) else {
        println!("usage: ktest-history --seed S --steps N [--show FIRST]");
        return 2;
    };
    let mut status = 1;
    let end = run(options, &mut status);
    if end.is_err() { report(options, end) } else { status }
}

/// The director gets a thread of his own; this one, as urgent as the most urgent actor, starts those who were killed.
fn run(options: Options, status: &mut i32) -> Verdict {
    let scope = Stage::scope()?;
    let stage = Stage::new(&scope, options.seed)?;
    let casting = stage.casting();
    let result = Arc::new(AtomicI32::new(1));
    let told = result.clone();
    let director = Thread::with_priority(own_priority().saturating_sub(3), move || {
        told.store(report(options, play(options, stage)), Ordering::Release);
        // If nobody is there to be told, nobody waits.
        let _ = casting.close();
    })?;
    casting.run()?;
    director.join()?;
    *status = result.load(Ordering::Acquire);
    Ok(())
}

fn report(options: Options, end: Verdict) -> i32 {
    match end {
        Ok(()) => 0,
        Err(Trouble::Fail(why) | Trouble::Skip(why)) => {
            println!("FAIL history: seed {}: {why}", options.seed);
            1
        }
    }
}

fn play(options: Options, mut stage: Stage) -> Verdict {
    let Options { seed, steps, show } = options;
    let line = (steps / LINES).max(1);
    for step in 0..steps {
        let said = stage.step()?;
        if step >= show {
            println!("history: step {step}: {said}");
        }
        if (step + 1).is_multiple_of(line) {
            println!("history: {} steps: {}", step + 1, stage.summary());
        }
    }
    println!("history: seed {seed}: ok");
    Ok(())
}
