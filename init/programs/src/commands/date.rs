//! `date`: the date and time, UTC.

use parley_abi::linux::clock;
use parley_posix::{clock_gettime, eprintln, println};

use super::{MISUSED, complain};
use crate::date::DateTime;

/// Runs it.
pub fn run(args: &[&str]) -> i32 {
    if !args.is_empty() {
        eprintln!("usage: date");
        return MISUSED;
    }
    match clock_gettime(clock::REALTIME) {
        Ok(now) => {
            println!("{}", DateTime::from_unix(now.sec));
            0
        }
        Err(errno) => complain("date", "clock", errno),
    }
}
