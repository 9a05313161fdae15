//! The fast path: a request to a waiting server, and the answer to a waiting caller.
//!
//! Each is a straight list of checks that changes nothing until it is sure, and then does exactly what
//! [`super::call`] and [`super::receive`] would have done. Those are the specification: whatever is unusual
//! (flags, deadlines, handles in replies, events that wait, somebody more urgent) returns `None` here
//! and is served there.

use parley_abi::call::{CALL, REPLY_RECV, Rights, kind};
use parley_abi::msg::{Flags, Token, event};

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::endpoint::{Binding, Endpoint};
use crate::object::table::Packed;
use crate::object::thread::{How, Kind, State, Thread};

impl Core {
    /// `call` without flags and deadline, to a server that waits.
    #[inline(always)]
    pub fn fast_call(&mut self, rax: u64) -> Option<()> {
        if rax as u32 != CALL as u32 {
            return None;
        }
        let frame = &self.threads.peek(self.current).frame;
        if frame.r14 != 0 {
            return None;
        }
        let connection = self.open_connection(frame.args[0])?;
        let (endpoint, badge) = (connection.endpoint, connection.badge);
        self.hand_over(endpoint, badge, How::in_registers(Kind::Native, 1), Packed::of_label((rax >> 32) as u32))
    }

    /// Gives the current thread's request to the one thread that waits on `endpoint`, and switches to it.
    #[inline(always)]
    pub fn hand_over(&mut self, endpoint: Ref<Endpoint>, badge: u64, how: How, row: Packed) -> Option<()> {
        let target = self.endpoints.get(endpoint)?;
        let receiver = target.receivers.only()?;
        if target.binding != Binding::Threads || row.opens() || self.threads.peek(receiver).deadline_at != 0 {
            return None;
        }
        // Sure from here on.
        let caller = self.note_request(endpoint, badge, how, row);
        let target = self.endpoints.live(endpoint);
        target.receivers.clear();
        target.server = receiver;
        let thread = self.threads.live(caller);
        thread.state = State::Awaiting;
        let (words, token, priority) = (thread.frame.words(how.first as usize), thread.token(caller), thread.priority);
        let server = self.threads.live(receiver);
        server.frame.rax = event::REQUEST as u64 | (row.label() as u64) << 32;
        server.frame.set_words(&words);
        server.frame.r13 = token.0;
        server.frame.r15 = badge;
        server.priority = server.base.max(priority);
        self.switch_to(receiver);
        Some(())
    }

    /// `reply_recv` without deadline, when the caller goes on and the server has nothing to do.
    #[inline(always)]
    pub fn fast_reply_recv(&mut self, rax: u64) -> Option<()> {
        if rax as u16 != REPLY_RECV {
            return None;
        }
        let server = self.current;
        let frame = &self.threads.peek(server).frame;
        let token = Token(frame.r13);
        if frame.r14 != 0 || token == Token::NONE {
            return None;
        }
        let endpoint: Ref<Endpoint> = self.object(frame.args[0], kind::ENDPOINT, Rights::RECEIVE).ok()?;
        if !self.endpoints.get(endpoint)?.is_quiet() {
            return None;
        }
        let caller = self.awaiting(endpoint, token).ok()?;
        let thread = self.threads.peek(caller);
        let How { kind, reserved, .. } = thread.request.how;
        if thread.deadline_at != 0 || reserved || kind == Kind::Fault || self.ready.at_or_above(thread.priority) {
            return None;
        }
        let result = self.result_of_reply(caller, (rax >> 16) as u16)?;
        // Sure from here on. (What was copied is copied: the slow path would copy it again.)
        self.endpoints.live(endpoint).receivers.set_only(server);
        let thread = self.threads.live(server);
        thread.state = State::Receiving;
        thread.waits_for = endpoint;
        thread.priority = thread.base;
        (thread.next, thread.previous) = (Ref::NONE, Ref::NONE);
        self.answer(caller, kind, (rax >> 32) as u32, result, server);
        self.switch_to(caller);
        Some(())
    }

    /// Word 0 of a reply, or the bytes that it copies to the caller. `None`: neither.
    #[inline(always)]
    fn result_of_reply(&mut self, caller: Ref<Thread>, flags: u16) -> Option<u64> {
        let [_, result, address, len, ..] = self.threads.peek(self.current).frame.args;
        if flags == 0 {
            return Some(result);
        }
        let fill = flags == Flags::FILL.bits();
        if !fill && flags != Flags::DATA.bits() {
            return None;
        }
        let copied = self.reply_data(caller, self.claim(address, len)).ok()? as u64;
        match fill {
            false => Some(copied),
            true => (copied == len).then_some(result),
        }
    }

    /// Moves an answer from the server's registers to the caller's.
    #[inline(always)]
    fn answer(&mut self, caller: Ref<Thread>, kind: Kind, label: u32, result: u64, server: Ref<Thread>) {
        if kind == Kind::Posix {
            self.threads.live(caller).frame.rax = result;
            return;
        }
        let mut words = self.threads.peek(server).frame.words(1);
        words[0] = result;
        let to = &mut self.threads.live(caller).frame;
        to.rax = label as u64;
        to.set_words(&words);
    }
}
