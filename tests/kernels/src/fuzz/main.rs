//! `ktest-fuzz --seed S --steps N [--block B]`: random system calls by the million.
//!
//! The parent (this program as it starts) never does anything random itself. It builds cells: a quota,
//! two address spaces with a copy of this program, and a few threads in them that make random calls until
//! they have made a block of steps. Then it destroys the quota, and nothing of the block may be left: the
//! core's invariants hold, the system answers, and the objects of the machine are as many as before.
//!
//! All choices follow from the seed and the number of the block, so block B of a run can be made again by
//! itself; under `-icount` it is the same to the instruction.
#![no_std]
#![no_main]

extern crate alloc;

mod cell;
mod fuzzer;
mod health;
mod image;
mod options;
mod progress;
mod random;
#[path = "../tool/scope.rs"]
#[allow(dead_code, reason = "shared with ktest, which needs all of it")]
mod scope;
mod stubs;
mod tidy;
mod trouble;

use parley_posix::println;

use cell::Cell;
use health::Health;
use image::Image;
use options::Options;
use trouble::Trouble;

parley_rt::program!(main);

/// Steps of a block.
const BLOCK: u64 = 2000;
/// Blocks in a row in which nothing is done before that counts as a failure.
const IDLE_BLOCKS: u32 = 16;
/// Progress lines in a run.
const LINES: u64 = 20;

fn main(args: parley_rt::Args) -> i32 {
    let Some(options) = Options::parse(args) else {
        println!("usage: ktest-fuzz --seed S --steps N [--block B]");
        return 2;
    };
    let mut run = Run { options, block: options.block, done: 0, idle: 0 };
    match run.whole(args) {
        Ok(()) => {
            println!("fuzz: {} steps, seed {}: ok", options.steps, options.seed);
            0
        }
        Err(Trouble(why)) => {
            let (Options { seed, steps, .. }, Run { block, done, .. }) = (options, run);
            println!("FAIL fuzz: seed {seed}, block {block}, after {done} steps: {why}");
            println!("fuzz: this block alone: ktest-fuzz --seed {seed} --steps {steps} --block {block}");
            1
        }
    }
}

/// How far the run is.
#[derive(Clone, Copy)]
struct Run {
    options: Options,
    block: u64,
    done: u64,
    idle: u32,
}

impl Run {
    fn whole(&mut self, args: parley_rt::Args) -> Result<(), Trouble> {
        let image = Image::of_this_program(args)?;
        // The first makes heaps and the core's tables grow; what is measured comes after.
        health::prepare()?;
        Cell::run(&image, u64::MAX, BLOCK)?;
        let mut health = Health::measure()?;
        let line = (self.options.steps / LINES).max(1);
        let mut next = line;
        while self.done < self.options.steps {
            self.one_block(&image, &mut health)?;
            if self.done >= next {
                next += line;
                println!("fuzz: {} of {} steps, {} blocks", self.done, self.options.steps, self.block);
            }
        }
        health.final_check()
    }

    fn one_block(&mut self, image: &Image, health: &mut Health) -> Result<(), Trouble> {
        let steps = BLOCK.min(self.options.steps - self.done);
        let seed = random::Random::new(self.options.seed ^ self.block.rotate_left(32)).next();
        let done = Cell::run(image, seed, steps)?;
        self.done += done;
        self.idle = if done == 0 { self.idle + 1 } else { 0 };
        if self.idle == IDLE_BLOCKS {
            return Err(Trouble::new(format_args!("{IDLE_BLOCKS} blocks in a row made no step")));
        }
        health.check(self.block)?;
        self.block += 1;
        Ok(())
    }
}
