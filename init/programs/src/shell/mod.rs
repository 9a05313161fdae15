//! `sh`: reads a line, does what it says, and never gives up.
//!
//! The console's line discipline delivers whole lines. A word is a builtin ([`builtin`]) or a program
//! ([`program`]). Whatever is typed ends in a command or in a message; only `exit` and the end of the
//! input end the shell.

mod builtin;
pub mod duration;
mod history;
mod input;
pub mod line;
mod machine;
mod names;
mod processes;
mod program;
mod redirect;
mod trace;

use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use parley_posix::{eprintln, print, println};

use crate::commands::cat;

pub use duration::Span;
use history::History;
use input::{Input, Typed};
pub use processes::text;

const PROMPT: &str = "parley$ ";

/// What the shell remembers between two lines.
#[derive(Default)]
pub struct Shell {
    history: History,
    leaving: bool,
}

/// The first thing it shows, if there is such a file.
const WELCOME: &CStr = c"/etc/motd";

/// Runs the shell on descriptors 0 and 1. Returns its exit status.
pub fn run() -> i32 {
    let _ = cat::file(WELCOME);
    let (mut shell, mut input) = (Shell::default(), Input::default());
    while !shell.leaving {
        print!("{PROMPT}");
        match input.line() {
            Typed::Line(line) => shell.execute(&line),
            Typed::Nothing => {}
            Typed::Unusable(why) => eprintln!("sh: {why}"),
            Typed::End => {
                println!();
                return 0;
            }
        }
    }
    0
}

impl Shell {
    /// Does what `line` says.
    fn execute(&mut self, line: &str) {
        let Some(line) = self.recalled(line) else {
            eprintln!("sh: {}: no such line (try 'history')", line.trim());
            return;
        };
        self.history.add(line.trim());
        match line::parse(&line) {
            Ok(line) => self.command(&line),
            Err(error) => eprintln!("sh: {error}"),
        }
    }

    /// The line itself, or the older one that `!!` or `!N` stands for; `None` if that is not kept.
    fn recalled(&self, line: &str) -> Option<String> {
        let word = line.trim();
        if word.len() < 2 || !word.starts_with('!') {
            return Some(String::from(line));
        }
        let found = self.history.recall(word).map(String::from)?;
        println!("{found}");
        Some(found)
    }

    fn command(&mut self, line: &line::Line) {
        let words: Vec<&str> = line.words.iter().map(String::as_str).collect();
        let Some((&name, args)) = words.split_first() else {
            if let Some(redirect) = &line.redirect {
                eprintln!("sh: nothing to write to {}", redirect.path);
            }
            return;
        };
        match (builtin::find(name), &line.redirect) {
            (Some(builtin), None) => {
                builtin(self, args);
            }
            (Some(builtin), Some(redirect)) => redirect::run(redirect, || builtin(self, args)),
            (None, None) => {
                program::run(name, args);
            }
            (None, Some(_)) => eprintln!("sh: {name}: only the output of builtins can go to a file (try 'help')"),
        }
    }
}
