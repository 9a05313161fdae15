//! Who waits for whom: every thread, a line each, into the kernel log.
//!
//! Ctrl-T on the console asks for it. The timer then writes one line a millisecond: each step is short
//! whatever the number of threads, no program has to run for it, and the log's ring is not overrun.

use core::fmt::{self, Display, Formatter, Write};

use parley_abi::STATE_NAMES;

use crate::IMAGE;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Binding, State, Thread};

/// Nanoseconds between two lines.
const PACE: u64 = 1_000_000;
/// Places of the table of threads that one step looks at.
const AT_ONCE: u32 = 64;
/// Longest line, in bytes.
const LINE: usize = 400;
/// Links of a chain that are shown.
const LINKS: usize = 8;

/// How far a dump is.
#[derive(Default)]
pub struct Dump {
    /// When the next line is due; 0: there is no dump.
    pub due: u64,
    next: u32,
}

/// A thread by the name of its program and its number.
struct Name<'a>(&'a Core, Ref<Thread>);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let space = self.0.spaces.get(self.0.threads[self.1].space);
        let bytes = space.map_or([0; 16], |space| space.name);
        // Whoever holds the space chose the name.
        bytes.iter().filter(|byte| byte.is_ascii_graphic()).try_for_each(|&byte| f.write_char(byte as char))?;
        write!(f, ":{}", self.1.place)
    }
}

/// What a thread does, and for an answer from whom it waits, and what that one does.
struct Chain<'a>(&'a Core, Ref<Thread>);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Chain(core, mut at) = *self;
        for _ in 0..LINKS {
            let Thread { state, waits_for, .. } = core.threads[at];
            let running = at == core.current;
            f.write_str(if running { "running" } else { STATE_NAMES[state as usize] })?;
            if state == State::Receiving {
                return write!(f, " on endpoint {}", waits_for.place);
            }
            let endpoint = core.endpoints.get(waits_for);
            let Some(endpoint) = endpoint.filter(|_| matches!(state, State::Calling | State::Awaiting)) else {
                return Ok(());
            };
            write!(f, " on endpoint {} -> ", waits_for.place)?;
            if let Binding::Resident(number) = endpoint.binding {
                return write!(f, "{} in ring 0", IMAGE.residents.name(number));
            }
            match core.waits_for(at).filter(|&server| core.threads.get(server).is_some()) {
                None => return f.write_str("nobody"),
                Some(server) => at = server,
            }
            write!(f, "{} ", Name(core, at))?;
        }
        f.write_str("...")
    }
}

impl Core {
    /// Begins a dump. One that is under way begins again.
    pub fn dump_threads(&mut self) {
        self.dump = Dump { due: self.clock.now().max(1), next: 0 };
        let (threads, spaces) = (self.threads.count(), self.spaces.count());
        let _ = writeln!(self.log, "\n{threads} threads in {spaces} address spaces: program:thread, and what it does");
        self.tell_console();
        self.update_timer();
    }

    /// Writes the next line, if it is due and the log has room for it.
    pub fn go_on_dumping(&mut self, now: u64) {
        if self.dump.due == 0 || now < self.dump.due {
            return;
        }
        self.dump.due = now + PACE;
        if !self.log.has_room() {
            return;
        }
        let (from, end) = (self.dump.next, self.threads.capacity());
        self.dump.next = from + AT_ONCE;
        let Some(at) = (from..end.min(from + AT_ONCE)).find_map(|index| self.threads.at(index)) else {
            if from >= end {
                self.dump.due = 0;
            }
            return;
        };
        self.dump.next = at.index() + 1;
        let mut line = heapless::String::<LINE>::new();
        let priority = self.threads[at].priority;
        let _ = write!(line, "{} priority {priority}, {}", Name(self, at), Chain(self, at)); // as much as fits
        let _ = writeln!(self.log, "{line}");
        self.tell_console();
    }
}
