//! The answering half: from a token to the caller's registers.

use parley_abi::{Errno, Flags, Rights, Token, Words};

use crate::ipc::call::Room;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Endpoint, Kind, SUBMITTED, Space, State, Thread};
use crate::uaccess::{Claim, Side, copy_between};

/// Bytes that one reply or one copy call moves at most, so that no path is long.
pub const MOST_BYTES: usize = 8 * parley_abi::PAGE;

impl Core {
    /// The caller that waits for an answer to `token` from `endpoint`. ESTALE.
    #[inline(always)]
    pub fn awaiting(&self, endpoint: Ref<Endpoint>, token: Token) -> Result<Ref<Thread>, Errno> {
        let caller = self.threads.at_place(token.thread()).ok_or(Errno::ESTALE)?;
        let thread = &self.threads[caller];
        let waits = thread.token == token && thread.state == State::Awaiting;
        if waits && thread.waits_for == endpoint { Ok(caller) } else { Err(Errno::ESTALE) }
    }

    /// Answers a request. The caller can go on, but is in no queue yet; `None` if there is no thread to go on.
    /// ESTALE: no such request. EFAULT, EACCES, EINVAL: the data or the handle could not be handed over;
    /// nothing happened, and the token is still good.
    #[inline(always)]
    pub fn reply(
        &mut self,
        endpoint: Ref<Endpoint>,
        token: Token,
        flags: Flags,
        label: u32,
        words: Words,
    ) -> Result<Option<Ref<Thread>>, Errno> {
        if token.thread() & SUBMITTED != 0 {
            return self.answer_submission(endpoint, token, label, words).map(|()| None);
        }
        let caller = self.awaiting(endpoint, token)?;
        let result = if flags.contains(Flags::DATA) {
            self.reply_data(caller, self.claim(words[1], words[2]))?
        } else if flags.contains(Flags::OPEN) {
            self.open(caller, endpoint, words[1], flags.contains(Flags::CLOSE_ON_EXEC))?
        } else {
            let fills = flags.contains(Flags::FILL);
            if fills && self.reply_data(caller, self.claim(words[1], words[2]))? as u64 != words[2] {
                return Err(Errno::EFAULT);
            }
            words[0] as i64
        };
        Ok(self.complete(caller, label, result, words))
    }

    /// Copies from the server's memory to the caller's writable buffer.
    #[inline(never)]
    pub fn reply_data(&mut self, caller: Ref<Thread>, from: Claim) -> Result<i64, Errno> {
        let to = self.writable_lease(caller)?;
        let [mine, theirs] = &mut self.leaves;
        let copied = copy_between((from, mine), (to, theirs), MOST_BYTES).map_err(|side| match side {
            Side::From => Errno::EINVAL,
            Side::To => Errno::EFAULT,
        })?;
        self.count_copy(copied);
        Ok(copied.bytes as i64)
    }

    /// Turns what was reserved into a connection to `endpoint` with `badge`. Returns its slot.
    /// EINVAL: the caller accepts no handle.
    pub fn open(
        &mut self,
        caller: Ref<Thread>,
        endpoint: Ref<Endpoint>,
        badge: u64,
        close_on_exec: bool,
    ) -> Result<i64, Errno> {
        let room = self.take_reservation(caller).ok_or(Errno::EINVAL)?;
        self.open_in(self.threads.peek(caller).space, room, endpoint, badge, close_on_exec)
    }

    /// Turns room that was made into a connection to `endpoint` with `badge`. Returns its slot. ESTALE: it was revoked.
    #[inline(always)]
    pub fn open_in(
        &mut self,
        space: Ref<Space>,
        (slot, at): Room,
        endpoint: Ref<Endpoint>,
        badge: u64,
        close_on_exec: bool,
    ) -> Result<i64, Errno> {
        let connection = self.connections.get_mut(at).ok_or(Errno::ESTALE)?;
        (connection.badge, connection.refs) = (badge, 1);
        if connection.endpoint != endpoint {
            let rows = self.rows_behind(endpoint);
            let connection = self.connections.live(at);
            (connection.endpoint, connection.rows) = (endpoint, rows);
        }
        let mut handle = Core::connection_handle(at, Rights::CALL);
        handle.close_on_exec = close_on_exec;
        self.spaces.live(space).handles.put(slot, handle);
        Ok(slot as i64)
    }

    /// Writes an answer into the caller's registers. `None`: it was a fault, and the answer is to stop.
    #[inline(always)]
    pub fn complete(&mut self, caller: Ref<Thread>, label: u32, result: i64, words: Words) -> Option<Ref<Thread>> {
        self.deadlines.clear(&mut self.threads, caller);
        if self.threads.live(caller).request.how.reserved {
            self.cancel_reservation(caller);
        }
        let thread = self.threads.live(caller);
        thread.end_request();
        match thread.request.how.kind {
            Kind::Posix => thread.frame.rax = result as u64,
            Kind::Native => {
                thread.frame.rax = label as u64;
                let [_, b, c, d, e, f] = words;
                thread.frame.set_words(&[result as u64, b, c, d, e, f]);
            }
            Kind::Fault if result != 0 => {
                thread.state = State::Stopped;
                return None;
            }
            Kind::Fault => {}
        }
        thread.state = State::Ready;
        Some(caller)
    }

    /// Ends a request with an error, whoever has it. The caller is in no queue.
    pub fn fail_request(&mut self, caller: Ref<Thread>, errno: Errno) {
        self.deadlines.clear(&mut self.threads, caller);
        self.cancel_reservation(caller);
        let thread = &mut self.threads[caller];
        thread.end_request();
        if thread.request.how.kind == Kind::Fault {
            thread.state = State::Stopped;
            return;
        }
        thread.frame.rax = errno.negated() as u64;
        self.wake(caller);
    }

    /// The caller goes away: its server hears of it, if it has the request already.
    pub fn abandon_request(&mut self, caller: Ref<Thread>) {
        let Thread { state, waits_for, token, .. } = self.threads[caller];
        self.cancel_reservation(caller);
        match state {
            State::Calling => {
                if let Some(endpoint) = self.endpoints.get_mut(waits_for) {
                    endpoint.callers.remove(&mut self.threads, caller);
                }
            }
            State::Awaiting => {
                let thread = &mut self.threads[caller];
                thread.state = State::Stopped;
                thread.end_request();
                self.send_cancel(waits_for, token);
            }
            _ => {}
        }
    }
}
