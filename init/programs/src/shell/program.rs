//! Programs: started, waited for, and their end reported.

use alloc::vec::Vec;
use parley_abi::{Errno, exception};
use parley_posix::{self as posix, eprintln};

use crate::commands::complain;
use crate::path::{c_string, of_program};

/// A status from here on is this and the vector of the exception that killed the program.
const KILLED: i32 = 256;

/// Status of a program that Ctrl-C ended: the terminal has said so.
const INTERRUPTED: i32 = 130;

/// Runs the program that `word` names, in /bin or anywhere; returns its status, or 127 if there is none.
pub fn run(word: &str, args: &[&str]) -> i32 {
    match start_and_wait(word, args) {
        Ok(status) => report(word, status),
        Err(Errno::ENOENT) if matches!(word, "cd" | "pwd") => {
            eprintln!("sh: {word}: there is no working directory; every path begins at /");
            127
        }
        Err(Errno::ENOENT) if !word.contains('/') => {
            eprintln!("sh: {word}: command not found (try 'help')");
            127
        }
        Err(errno) => {
            complain("sh", word, errno);
            127
        }
    }
}

fn start_and_wait(word: &str, args: &[&str]) -> Result<i32, Errno> {
    let path = c_string(&of_program(word))?;
    let mut words: Vec<&str> = Vec::with_capacity(args.len() + 1);
    words.push(word);
    words.extend(args);
    posix::wait(posix::spawn(&path, &words)?)
}

fn report(word: &str, status: i32) -> i32 {
    match status {
        0 | INTERRUPTED => {}
        ..KILLED => eprintln!("{word}: exit status {status}"),
        _ => {
            let vector = status - KILLED;
            eprintln!("{word}: killed by exception {vector} ({})", exception::name(vector as u64));
        }
    }
    status
}
