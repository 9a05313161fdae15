//! Who waits: readers for bytes, writers for room, each kind in the order in which they came.

use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_rt::state::{Reader, Writer};
use serde::{Deserialize, Serialize};

/// Most that wait at once, so that the state always fits into the memory that outlives the process.
const MOST: usize = 512;

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// The request.
    token: u64,
    /// Length of its buffer.
    pub len: u64,
    /// Bytes of it that are done: of a write, part may be in the queue already.
    pub done: u64,
}

impl Waiter {
    /// One that has done so much already.
    pub const fn new(token: Token, len: u64, done: u64) -> Waiter {
        Waiter { token: token.0, len, done }
    }

    /// The request.
    pub const fn token(&self) -> Token {
        Token(self.token)
    }
}

/// Those of one kind, the first in front.
#[derive(Default)]
pub struct Line(Vec<Waiter>);

impl Line {
    /// Nobody.
    pub const fn new() -> Line {
        Line(Vec::new())
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is next.
    pub fn first(&self) -> Option<Waiter> {
        self.0.first().copied()
    }

    /// The first has done more.
    pub fn advance(&mut self, done: u64) {
        if let Some(first) = self.0.first_mut() {
            first.done = done;
        }
    }

    /// The first leaves.
    pub fn leave(&mut self) -> Option<Waiter> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// One more waits. EAGAIN: 512 do already. ENOMEM.
    pub fn join(&mut self, waiter: Waiter) -> Result<(), Errno> {
        if self.0.len() >= MOST {
            return Err(Errno::EAGAIN);
        }
        self.0.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.0.push(waiter);
        Ok(())
    }

    /// Who waits with this token leaves.
    pub fn remove(&mut self, token: Token) -> Option<Waiter> {
        let at = self.0.iter().position(|waiter| waiter.token() == token)?;
        Some(self.0.remove(at))
    }

    /// Whether somebody waits with this token.
    pub fn has(&self, token: Token) -> bool {
        self.0.iter().any(|waiter| waiter.token() == token)
    }

    /// Writes them down. ENOSPC.
    pub fn put(&self, writer: &mut Writer<'_>) -> Result<(), Errno> {
        writer.put_all(self.0.iter())
    }

    /// Reads what [`Line::put`] wrote. EINVAL: it is none. ENOMEM.
    pub fn read(reader: &mut Reader<'_>) -> Result<Line, Errno> {
        let count = reader.take_length()?;
        if count > MOST {
            return Err(Errno::EINVAL);
        }
        let mut line = Line::new();
        line.0.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            line.0.push(reader.take()?);
        }
        Ok(line)
    }
}
