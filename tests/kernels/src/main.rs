//! `ktest`: every property of the system that a program can see, on whichever kernel runs it.
//!
//! `ktest` runs all tests, `ktest NAME...` those, `ktest --list` names them. A test is a function with
//! a name; [`tests`] has the table. It prints `ok NAME`, `FAIL NAME: why` or `skip NAME: why`, and the
//! totals last; the exit status is 1 if anything failed. A test leaves nothing behind: each builds what
//! it needs on a quota of its own ([`tool`]) and destroys it.
#![no_std]
#![no_main]

extern crate alloc;

#[macro_use]
mod tool;
mod tests;

use alloc::vec::Vec;
use parley_posix::{eprintln, println};

use tool::verdict::{Test, Trouble};

parley_rt::program!(main);

#[derive(Default)]
struct Totals {
    passed: u32,
    failed: u32,
    skipped: u32,
}

fn main(args: parley_rt::Args) -> i32 {
    let names: Vec<&str> = args.iter().skip(1).collect();
    if names == ["--list"] {
        tests::all().for_each(|test| println!("{}", test.name));
        return 0;
    }
    if let Some(unknown) = names.iter().find(|name| tests::all().all(|test| test.name != **name)) {
        eprintln!("ktest: {unknown}: no such test (try ktest --list)");
        return 2;
    }
    let mut totals = Totals::default();
    tests::all().filter(|test| names.is_empty() || names.contains(&test.name)).for_each(|test| totals.run(test));
    println!("ktest: {} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    i32::from(totals.failed > 0)
}

impl Totals {
    fn run(&mut self, test: &Test) {
        match (test.run)() {
            Ok(()) => {
                self.passed += 1;
                println!("ok {}", test.name);
            }
            Err(Trouble::Skip(why)) => {
                self.skipped += 1;
                println!("skip {}: {why}", test.name);
            }
            Err(Trouble::Fail(why)) => {
                self.failed += 1;
                println!("FAIL {}: {why}", test.name);
            }
        }
    }
}
