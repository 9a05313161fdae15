//! `trace`: what the core recorded, in words.
//!
//! The names of calls and messages come from the tables they are made of: [`parley_proto::calltable`] for the
//! services, [`parley_abi::call`] for the core.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use parley_abi::call::{self, FIRST};
use parley_abi::msg::{Token, event};
use parley_abi::trace::{Event, NOBODY, kind, mode};
use parley_abi::{Errno, exception};
use parley_posix::{eprintln, println};
use parley_proto::calltable;
use parley_rt::sys;

use super::processes::{self, text};
use super::program;
use crate::commands::{MISUSED, complain};
use crate::threads;

/// Events taken from the core at a time.
const AT_ONCE: usize = 8;

/// `trace on|off|dump` or `trace PROGRAM [ARG]...`
pub fn trace(args: &[&str]) -> i32 {
    let done = match args {
        ["on"] => sys::trace(mode::ON),
        ["off"] => sys::trace(mode::PAUSE),
        ["dump"] => dump("ended"),
        ["help"] | [] => {
            eprintln!("usage: trace on | off | dump | PROGRAM [ARG]...");
            return MISUSED;
        }
        [program, args @ ..] => return of_program(program, args),
    };
    done.map_or_else(|errno| complain("trace", "the core", errno), |()| 0)
}

fn of_program(program: &str, args: &[&str]) -> i32 {
    if let Err(errno) = sys::trace(mode::ON) {
        return complain("trace", "the core", errno);
    }
    let status = program::run(program, args);
    // It has ended by now, and its name with it.
    match dump(program.rsplit('/').next().unwrap_or(program)) {
        Ok(()) => status,
        Err(errno) => complain("trace", "the core", errno),
    }
}

/// Prints all events and gives their memory back; threads that have ended get the name `ended`. What printing does is not
/// recorded.
fn dump(ended: &str) -> Result<(), Errno> {
    sys::trace(mode::PAUSE)?;
    let mut decoder = Decoder { names: names(), ended, ..Decoder::default() };
    let mut events = [Event::default(); AT_ONCE];
    loop {
        let count = sys::trace_read(&mut events)?;
        if count == 0 {
            return sys::trace(mode::OFF);
        }
        events[..count].iter().for_each(|event| println!("{}", decoder.line(event)));
    }
}

/// Numbers of the threads that are still there, and names of the programs they run.
fn names() -> Vec<(u32, String)> {
    let processes = processes::processes().unwrap_or_default();
    let name = |space| processes.iter().find(|process| process.space == space).map(|it| text(it.name.as_flattened()));
    let named = threads::all().flatten().filter_map(|thread| Some((thread.thread, name(thread.space)?.to_string())));
    named.collect()
}

/// Events in words.
#[derive(Default)]
struct Decoder<'a> {
    names: Vec<(u32, String)>,
    /// What threads are called that are not among them.
    ended: &'a str,
    /// The last call of each thread: it says what its return means.
    calls: Vec<(u32, u16)>,
}

impl Decoder<'_> {
    /// Time in microseconds, thread, and what happened.
    fn line(&mut self, event: &Event) -> String {
        let (whole, part) = (event.time / 1000, event.time % 1000);
        format!("{whole:>9}.{part:03} {:<14} {}", self.thread(event.thread), self.what(event))
    }

    fn thread(&self, number: u32) -> String {
        let name = self.names.iter().find(|name| name.0 == number).map_or(self.ended, |name| name.1.as_str());
        if number == NOBODY { "nobody".to_string() } else { format!("{name}:{number}") }
    }

    fn what(&mut self, event: &Event) -> String {
        let [first, second] = event.words;
        match event.kind {
            kind::LOST => format!("{first} events before this were lost"),
            kind::CALL => {
                let number = first as u16;
                self.calls.retain(|call| call.0 != event.thread);
                self.calls.push((event.thread, number));
                format!("{}({second:#x})", call_name(number))
            }
            kind::RETURN => self.returned(event),
            kind::MESSAGE => {
                format!("  {} to endpoint {}, badge {second:#x}", message_name(first as u32), first >> 32)
            }
            kind::REPLY => format!("  answers {}: {}", self.thread(Token(first).thread()), result(second as i64)),
            kind::SWITCH => format!("-- goes on after {}", self.thread(first as u32)),
            kind::FAULT => {
                format!("! {} (error {:#x}) at {second:#x}", exception::name(first & 0xff), first >> 32)
            }
            kind::INTERRUPT => format!("! interrupt {first}"),
            other => format!("event {other}: {first:#x} {second:#x}"),
        }
    }

    fn returned(&self, event: &Event) -> String {
        let [value, token] = event.words;
        let call = self.calls.iter().find(|call| call.0 == event.thread).map(|call| call.1);
        match (call, value as u32) {
            (Some(call::REPLY_RECV), event::REQUEST) => {
                format!("  = {} of {}", message_name((value >> 32) as u32), self.thread(Token(token).thread()))
            }
            _ => format!("  = {}", result(value as i64)),
        }
    }
}

/// A value, or the error that it is.
fn result(value: i64) -> String {
    match Errno::check(value) {
        Ok(value) => value.to_string(),
        Err(errno) => errno.name().to_string(),
    }
}

fn call_name(number: u16) -> String {
    let native = || call::TABLE.iter().find(|row| row.0 == number).map(|row| row.1);
    let name = if number < FIRST { calltable::name(number) } else { native() };
    name.map_or_else(|| format!("call {number:#x}"), ToString::to_string)
}

fn message_name(label: u32) -> String {
    let methods = calltable::INTERFACES.iter().flat_map(|(name, rows)| rows.iter().map(move |row| (name, row)));
    let mut rows = methods.filter(|(_, row)| row.label == label);
    rows.next().map_or_else(|| format!("label {label:#x}"), |(interface, row)| format!("{interface}.{}", row.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::linux::nr;

    fn event(kind: u32, words: [u64; 2]) -> Event {
        Event { time: 1_234_567, thread: 7, kind, words }
    }

    #[test]
    fn calls_and_messages_have_the_names_of_their_tables() {
        let mut decoder = Decoder { names: alloc::vec![(7, "cat".into()), (3, "vfs".into())], ..Decoder::default() };
        let open = decoder.line(&event(kind::CALL, [u64::from(nr::OPEN), 0x5000]));
        assert_eq!(open, "     1234.567 cat:7          open(0x5000)");
        let other = Decoder { ended: "ls", ..Decoder::default() }.line(&event(kind::INTERRUPT, [240, 0]));
        assert_eq!(other, "     1234.567 ls:7           ! interrupt 240");
        let failed = decoder.what(&event(kind::RETURN, [-2_i64 as u64, 0]));
        assert_eq!(failed, "  = ENOENT");
        let row = parley_proto::vfs::METHODS[0].label;
        assert_eq!(
            decoder.what(&event(kind::MESSAGE, [u64::from(row) | 9 << 32, 0])),
            "  vfs.open to endpoint 9, badge 0x0"
        );
        decoder.what(&event(kind::CALL, [u64::from(call::REPLY_RECV), 3]));
        let token = Token::new(3, 1).0;
        let request = u64::from(event::REQUEST) | u64::from(row) << 32;
        assert_eq!(decoder.what(&event(kind::RETURN, [request, token])), "  = vfs.open of vfs:3");
        assert_eq!(decoder.what(&event(kind::REPLY, [token, 4])), "  answers vfs:3: 4");
    }

    #[test]
    fn every_kind_of_event_has_words() {
        for kind in 0..kind::NAMES.len() as u32 {
            let words = Decoder::default().what(&event(kind, [1, 2]));
            assert!(!words.is_empty() && !words.starts_with("event"), "{kind}: {words}");
        }
    }
}
