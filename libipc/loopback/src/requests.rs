//! Requests in progress: who waits, and for what buffers.

use parley_abi::Errno;
use parley_abi::msg::Token;

use crate::lease::{Lease, Leases};

/// Most requests at once, nested calls and those to be answered later together.
const MAX: usize = 32;

#[derive(Clone, Copy, Default)]
struct Request {
    /// Odd while the request is in progress.
    generation: u32,
    service: u8,
    leases: Leases,
    reply: Option<i64>,
}

/// The table.
#[derive(Default)]
pub struct Requests {
    slots: [Request; MAX],
}

impl Requests {
    /// Enters a request to `service`. ENOMEM: too many are in progress.
    #[inline]
    pub fn begin(&mut self, service: u8, leases: Leases) -> Result<Token, Errno> {
        let index = self.slots.iter().position(|slot| slot.generation & 1 == 0).ok_or(Errno::ENOMEM)?;
        let generation = self.slots[index].generation.wrapping_add(1);
        self.slots[index] = Request { generation, service, leases, reply: None };
        Ok(Token::new(index as u32, generation))
    }

    /// Ends a request: its token is stale from now on.
    #[inline]
    pub fn end(&mut self, token: Token) {
        if let Ok(request) = self.get(token) {
            request.generation = request.generation.wrapping_add(1);
        }
    }

    /// Another service has it now.
    pub fn hand_on(&mut self, token: Token, service: u8) {
        if let Ok(request) = self.get(token) {
            request.service = service;
        }
    }

    /// Notes the answer, unless there is one already or the request is gone.
    pub fn reply(&mut self, token: Token, result: i64) {
        if let Ok(request) = self.get(token) {
            request.reply.get_or_insert(result);
        }
    }

    /// Takes the answer of a request and ends it, if it was given.
    pub fn take_reply(&mut self, token: Token) -> Option<i64> {
        let result = self.get(token).ok()?.reply?;
        self.end(token);
        Some(result)
    }

    /// The service that has the request. ESTALE.
    pub fn service(&mut self, token: Token) -> Result<u8, Errno> {
        self.get(token).map(|request| request.service)
    }

    /// Its buffers. ESTALE.
    #[inline]
    pub fn leases(&mut self, token: Token) -> Result<&Leases, Errno> {
        self.get(token).map(|request| &request.leases)
    }

    /// One of its buffers. ESTALE; EACCES: there are two at most.
    #[inline]
    pub fn lease(&mut self, token: Token, lease: u8) -> Result<Lease, Errno> {
        self.leases(token)?.get(lease as usize).copied().ok_or(Errno::EACCES)
    }

    #[inline]
    fn get(&mut self, token: Token) -> Result<&mut Request, Errno> {
        match self.slots.get_mut(token.thread() as usize) {
            Some(request) if request.generation == token.generation() && request.generation & 1 == 1 => Ok(request),
            _ => Err(Errno::ESTALE),
        }
    }
}
