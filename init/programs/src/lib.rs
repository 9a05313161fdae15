//! The programs: a shell, a few commands, the benchmark.
//!
//! Everything is here in the library, where the host can check and test it; a file in `src/bin` is a
//! program's name and nothing more. A command such as `ls` is written once ([`commands`]) and used
//! twice, as a program of its own and as a builtin of the [`shell`].
#![cfg_attr(not(test), no_std)]

extern crate alloc;

use alloc::vec::Vec;

pub mod bench;
pub mod commands;
pub mod date;
pub mod dirent;
pub mod isolated;
pub mod path;
pub mod peer;
pub mod shell;
pub mod threads;

/// What a command is: takes its arguments without its own name, returns its exit status.
pub type Command = fn(&[&str]) -> i32;

/// Runs `command` on a program's arguments.
pub fn as_program(command: Command, args: parley_rt::Args) -> i32 {
    let words: Vec<&str> = args.iter().skip(1).collect();
    command(&words)
}
