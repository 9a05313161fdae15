//! Requests that wait: who came first is served first.

use heapless::Vec;
use parley_abi::Errno;
use parley_abi::msg::Token;

/// Requests that may wait on either side of the console.
pub const WAITING: usize = 64;

/// A read or a write that is answered later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Names it.
    pub token: Token,
    /// Its buffer.
    pub lease: u8,
    /// Bytes in the buffer.
    pub len: u64,
    /// Bytes of it that are done.
    pub done: u64,
}

impl Request {
    /// The answer when it ends early: the bytes done, or if there are none, why.
    pub fn partial(self, why: Errno) -> Result<i64, Errno> {
        match self.done {
            0 => Err(why),
            done => Ok(done.cast_signed()),
        }
    }
}

/// Requests in order of arrival.
pub struct Queue {
    requests: Vec<Request, WAITING>,
}

impl Queue {
    /// Nobody waits.
    pub const fn new() -> Queue {
        Queue { requests: Vec::new() }
    }

    /// Those who wait, in order.
    pub fn requests(&self) -> &Vec<Request, WAITING> {
        &self.requests
    }

    /// A queue of these.
    pub fn of(requests: Vec<Request, WAITING>) -> Queue {
        Queue { requests }
    }

    /// The request `token` waits.
    pub fn contains(&self, token: Token) -> bool {
        self.requests.iter().any(|request| request.token == token)
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Adds the last. ENOMEM: [`WAITING`] wait already.
    pub fn push(&mut self, request: Request) -> Result<(), Errno> {
        self.requests.push(request).map_err(|_| Errno::ENOMEM)
    }

    /// The first.
    pub fn first(&self) -> Option<Request> {
        self.requests.first().copied()
    }

    /// Notes how far the first has come.
    pub fn update_first(&mut self, request: Request) {
        if let Some(first) = self.requests.first_mut() {
            *first = request;
        }
    }

    /// Takes out the request `token`, if it waits.
    pub fn remove(&mut self, token: Token) -> Option<Request> {
        let index = self.requests.iter().position(|request| request.token == token)?;
        Some(self.requests.remove(index))
    }
}
