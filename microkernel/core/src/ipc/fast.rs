//! Fast paths in Rust: the request of a POSIX row to a waiting server, and a reply that carries data.
//!
//! (Messages without either have their short cut in the entry code, [`crate::arch::shortcut`].)
//! Each is a straight list of checks that changes nothing until it is sure, and then does exactly what
//! [`super::call`] and [`super::receive`] would have done. Those are the specification: whatever is unusual
//! (flags, deadlines, handles in replies, events that wait, somebody more urgent) returns `None` here
//! and is served there.

use parley_abi::call::{REPLY_RECV, Rights, kind};
use parley_abi::msg::{Flags, Token, WORDS, event};

use crate::kernel::Core;
use crate::mem::slab::Ref;
use crate::object::endpoint::{Binding, Endpoint};
use crate::object::table::Packed;
use crate::object::thread::{How, Kind, State, Thread};

impl Core {
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
        let (token, priority) = (thread.token(caller), thread.priority);
        self.copy_words(caller, how.first as usize, receiver);
        let server = self.threads.live(receiver);
        server.frame.rax = event::REQUEST as u64 | (row.label() as u64) << 32;
        server.frame.r13 = token.0;
        server.frame.r15 = badge;
        server.priority = server.base.max(priority);
        self.switch_to(receiver);
        Some(())
    }

    /// `reply_recv` with bytes that are copied to a POSIX caller, when the caller goes on and the server has
    /// nothing to do.
    #[inline(never)]
    pub fn fast_reply_data(&mut self, rax: u64) -> Option<()> {
        let fill = rax as u32 == REPLY_RECV as u32 | (Flags::FILL.bits() as u32) << 16;
        if !fill && rax as u32 != REPLY_RECV as u32 | (Flags::DATA.bits() as u32) << 16 {
            return None;
        }
        let (endpoint, caller) = self.waiting_caller()?;
        if self.threads.peek(caller).request.how.kind != Kind::Posix {
            return None;
        }
        let [_, result, address, len, ..] = self.threads.peek(self.current).frame.args;
        let copied = self.reply_data(caller, self.claim(address, len)).ok()? as u64;
        if fill && copied != len {
            return None; // the slow path copies it again, and says what is wrong
        }
        // Sure from here on.
        self.threads.live(caller).frame.rax = if fill { result } else { copied };
        self.wait_and_resume(endpoint, caller);
        Some(())
    }

    /// The endpoint that the current thread receives on and the caller that it answers, if nothing else
    /// awaits either of them.
    #[inline(always)]
    fn waiting_caller(&self) -> Option<(Ref<Endpoint>, Ref<Thread>)> {
        let frame = &self.threads.peek(self.current).frame;
        let token = Token(frame.r13);
        if frame.r14 != 0 || token == Token::NONE {
            return None;
        }
        let endpoint = self.own_endpoint(frame.args[0])?;
        if !self.endpoints.get(endpoint)?.is_quiet() {
            return None;
        }
        let caller = self.awaiting(endpoint, token).ok()?;
        let thread = self.threads.peek(caller);
        let How { kind, reserved, .. } = thread.request.how;
        let unusual = reserved || kind == Kind::Fault || thread.deadline_at != 0;
        if unusual || self.ready.at_or_above(thread.priority) { None } else { Some((endpoint, caller)) }
    }

    /// The endpoint in `slot` of the current thread's space, if it may receive on it.
    #[inline(always)]
    fn own_endpoint(&self, slot: u64) -> Option<Ref<Endpoint>> {
        let handle = self.spaces.peek(self.current_space()).handles.get(u32::try_from(slot).ok()?)?;
        handle.is(kind::ENDPOINT, Rights::RECEIVE).then(|| handle.reference())
    }

    /// The current thread waits on `endpoint`, alone, and `caller` goes on.
    #[inline(always)]
    fn wait_and_resume(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>) {
        let server = self.current;
        self.endpoints.live(endpoint).receivers.set_only(server);
        let thread = self.threads.live(server);
        thread.state = State::Receiving;
        thread.waits_for = endpoint;
        thread.priority = thread.base;
        (thread.next, thread.previous) = (Ref::NONE, Ref::NONE);
        self.switch_to(caller);
    }

    /// Copies the words of a message between two threads' registers, one after the other, so that no more
    /// than one is in ours.
    #[inline(always)]
    fn copy_words(&mut self, from: Ref<Thread>, first: usize, to: Ref<Thread>) {
        for word in 0..WORDS {
            let value = self.threads.peek(from).frame.args[(first & 1) + word];
            self.threads.live(to).frame.args[1 + word] = value;
        }
    }
}
