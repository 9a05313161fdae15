//! What outlives the driver's process: what was typed, what waits for the port, and who waits for either.

use heapless::Vec;
use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::Host;
use parley_rt::state::{Reader, Writer};
use serde::{Deserialize, Serialize};
use server_drivers::Uart;

use super::Console;
use super::line::{LINES, LineDiscipline};
use super::waiting::{Queue, Request, WAITING};

/// What all versions have.
#[derive(Serialize, Deserialize)]
pub struct State<'a> {
    is_present: bool,
    is_interrupted: bool,
    log_waits: bool,
    watches: bool,
    asks: bool,
    interrupts: u64,
    edit: &'a [u8],
    queue: [&'a [u8]; 2],
    lines: Vec<usize, LINES>,
    output: [&'a [u8]; 2],
    readers: Vec<Kept, WAITING>,
    writers: Vec<Kept, WAITING>,
}

/// A request that waits.
#[derive(Serialize, Deserialize)]
pub struct Kept(u64, u8, u64, u64);

impl From<&Request> for Kept {
    fn from(request: &Request) -> Kept {
        Kept(request.token.0, request.lease, request.len, request.done)
    }
}

impl From<&Kept> for Request {
    fn from(&Kept(token, lease, len, done): &Kept) -> Request {
        Request { token: Token(token), lease, len, done }
    }
}

impl<'a> State<'a> {
    /// Reads a state. EINVAL: it is none.
    pub fn take(reader: &mut Reader<'a>) -> Result<State<'a>, Errno> {
        reader.take()
    }
}

impl<U: Uart> Console<U> {
    /// The request is kept here.
    pub fn holds(&self, token: Token) -> bool {
        self.readers.contains(token) || self.writers.contains(token)
    }

    /// Nothing was typed, nothing waits and nobody waits.
    pub fn is_idle(&self) -> bool {
        let (output, asks) = self.output.waiting();
        let nobody = self.readers.is_empty() && self.writers.is_empty() && !self.is_interrupted && !self.log_waits;
        nobody && !self.watches && !asks && output == [&[][..]; 2] && self.line.is_empty()
    }

    /// Writes the state down. ENOSPC: there is no room for it.
    pub fn export(&self, writer: &mut Writer<'_>) -> Result<(), Errno> {
        let (edit, queue, lines, interrupts) = self.line.parts();
        let (output, asks) = self.output.waiting();
        let state = State {
            is_present: self.is_present,
            is_interrupted: self.is_interrupted,
            log_waits: self.log_waits,
            watches: self.watches,
            asks,
            interrupts,
            edit,
            queue,
            lines,
            output,
            readers: self.readers.requests().iter().map(Kept::from).collect(),
            writers: self.writers.requests().iter().map(Kept::from).collect(),
        };
        writer.put(&state)
    }

    /// Takes on a state that was written down. EINVAL: it makes no sense; nothing has changed.
    pub fn take_over(&mut self, state: State<'_>) -> Result<(), Errno> {
        let line = LineDiscipline::of(state.edit, state.queue, &state.lines, state.interrupts).ok_or(Errno::EINVAL)?;
        if !self.output.take_over(state.output, state.asks) {
            return Err(Errno::EINVAL);
        }
        self.line = line;
        self.readers = Queue::of(state.readers.iter().map(Request::from).collect());
        self.writers = Queue::of(state.writers.iter().map(Request::from).collect());
        (self.is_present, self.is_interrupted) = (state.is_present, state.is_interrupted);
        (self.log_waits, self.watches) = (state.log_waits, state.watches);
        Ok(())
    }

    /// Goes on with a port that was brought up by an earlier process: bringing it up again would lose what it has
    /// received meanwhile. Whatever has happened to it since is looked after.
    pub fn resume(&mut self, host: &mut dyn Host) {
        if self.is_present {
            self.output.ask_again();
            self.log_has_grown(host);
            self.interrupt(host);
        }
    }
}
