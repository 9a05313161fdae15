//! The sending half: from a request to whoever serves it.

use parley_abi::{Errno, POLL, Rights, Words, event, kind};

use crate::arch::tlb::Root;
use crate::ipc::LONGEST_CHAIN;
use crate::mem::Ref;
use crate::object::{Address, Binding, Connection, Endpoint, Handle, How, Kind, Packed, RESERVED, State, Thread};
use crate::sched::SUPERVISOR;
use crate::uaccess::short_text;
use crate::{Core, IMAGE};

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// It is answered, and this is the result. Label and words of a native call are in its registers.
    Answered(i64),
    /// The caller waits.
    Waiting,
}

/// A free descriptor, and a connection that has no handle yet.
pub type Room = (u32, Ref<Connection>);

impl Core {
    /// Sends the current thread's request on the connection in `slot`. EBADF, EPERM: no such connection.
    /// ESTALE: its endpoint is gone. EMFILE, ENOMEM: no room for the handle it accepts. EDEADLK.
    #[inline(always)]
    pub fn send(&mut self, slot: u64, how: How, row: Packed, deadline: u64) -> Result<Sent, Errno> {
        let at: Ref<Connection> = self.object(slot, kind::CONNECTION, Rights::CALL)?;
        let connection = self.connections.get(at).ok_or(Errno::ESTALE)?;
        self.send_to((connection.endpoint, connection.badge), how, row, deadline)
    }

    /// Writes down what the current thread asks of whom, and returns the thread.
    #[inline(always)]
    pub fn note_request(&mut self, (endpoint, badge): Address, how: How, row: Packed) -> Ref<Thread> {
        let thread = self.threads.live(self.current);
        thread.waits_for = endpoint;
        (thread.request.how, thread.request.row, thread.request.badge) = (how, row, badge);
        self.current
    }

    /// As [`Core::send`], to an endpoint that has been found.
    #[inline]
    pub fn send_to(&mut self, to: Address, how: How, row: Packed, deadline: u64) -> Result<Sent, Errno> {
        let endpoint = to.0;
        let binding = self.endpoints.get(endpoint).ok_or(Errno::ESTALE)?.binding;
        let caller = self.note_request(to, how, row);
        if row.opens() {
            let room = self.make_room(endpoint)?;
            self.keep_room(caller, room);
        }
        match binding {
            Binding::Resident(service) => {
                let sent = IMAGE.residents.request(self, service, caller);
                if sent == Sent::Waiting && self.threads[caller].state == State::Awaiting {
                    self.wait_until(caller, deadline);
                }
                Ok(sent)
            }
            Binding::Threads => self.send_to_threads(endpoint, caller, deadline).map(|()| Sent::Waiting),
        }
    }

    /// Hands the current thread's request to a receiver and switches to it, or queues it.
    #[inline(always)]
    fn send_to_threads(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>, deadline: u64) -> Result<(), Errno> {
        let receiver = self.endpoints.live(endpoint).take_receiver(&mut self.threads);
        match receiver {
            Some(receiver) => {
                self.deliver(endpoint, caller, receiver);
                self.wait_until(caller, deadline);
                self.switch_to(receiver);
            }
            None => {
                self.queue_request(endpoint, caller, deadline)?;
                self.schedule();
            }
        }
        Ok(())
    }

    /// Queues a request until a server receives it, and lends the server the caller's priority.
    fn queue_request(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>, deadline: u64) -> Result<(), Errno> {
        let server = self.threads.get(self.endpoints[endpoint].server);
        let refused = match server {
            _ if deadline == POLL => Some(Errno::ETIMEDOUT),
            _ if self.waits_for_itself(endpoint, caller) => Some(Errno::EDEADLK),
            Some(server) if server.state == State::Stopped => Some(Errno::ESTALE),
            _ => None,
        };
        if let Some(errno) = refused {
            self.cancel_reservation(caller);
            return Err(errno);
        }
        self.wait_in_queue(endpoint, caller);
        self.wait_until(caller, deadline);
        Ok(())
    }

    /// The request of `caller`, which is in no queue, waits until a thread receives it. Whoever received last is
    /// lent the caller's priority.
    pub fn wait_in_queue(&mut self, at: Ref<Endpoint>, caller: Ref<Thread>) {
        let thread = &mut self.threads[caller];
        thread.state = State::Calling;
        let priority = thread.priority;
        let endpoint = &mut self.endpoints[at];
        endpoint.add_caller(&mut self.threads, caller);
        let server = endpoint.server;
        self.lend_priority(server, priority);
    }

    /// Whom a thread waits for: the one that was given its request, or that received last where it is queued.
    pub fn waits_for(&self, at: Ref<Thread>) -> Option<Ref<Thread>> {
        let thread = self.threads.get(at)?;
        match thread.state {
            State::Awaiting => Some(thread.served_by),
            State::Calling => self.endpoints.get(thread.waits_for).map(|endpoint| endpoint.server),
            _ => None,
        }
    }

    /// Follows who waits for whom from `endpoint` on: true if that leads back to `caller`.
    fn waits_for_itself(&self, endpoint: Ref<Endpoint>, caller: Ref<Thread>) -> bool {
        let mut at = self.endpoints.get(endpoint).map(|endpoint| endpoint.server);
        for _ in 0..LONGEST_CHAIN {
            match at {
                Some(thread) if thread == caller => return true,
                Some(thread) => at = self.waits_for(thread),
                None => return false,
            }
        }
        false
    }

    /// Raises a thread, and whomever it waits for in turn, to `priority`. It goes on in what is left of this turn.
    pub fn lend_priority(&mut self, to: Ref<Thread>, priority: u8) {
        let mut at = to;
        for _ in 0..LONGEST_CHAIN {
            let Some(thread) = self.threads.get_mut(at) else { return };
            if thread.priority >= priority {
                return;
            }
            let (old, endpoint) = (core::mem::replace(&mut thread.priority, priority), thread.waits_for);
            match thread.state {
                State::Ready if at != self.current => {
                    self.threads[at].slice = self.left_of_turn().max(1);
                    self.ready.remove(&mut self.threads, at, old);
                    return self.wake(at);
                }
                State::Calling => {
                    let Some(endpoint) = self.endpoints.get_mut(endpoint) else { return };
                    endpoint.callers.remove(&mut self.threads, at);
                    endpoint.add_caller(&mut self.threads, at);
                }
                _ => {}
            }
            match self.waits_for(at) {
                Some(server) => at = server,
                None => return,
            }
        }
    }

    /// Puts a request into the registers of a receiver, which is in no queue any more, and lets it work in the
    /// caller's turn: at the caller's priority, unless it is the supervisor.
    #[inline(never)]
    pub fn deliver_request(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>, receiver: Ref<Thread>) {
        self.deliver(endpoint, caller, receiver);
    }

    /// As [`Core::deliver_request`], for the one place where it counts.
    #[inline(always)]
    fn deliver(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>, receiver: Ref<Thread>) {
        let thread = self.threads.live(caller);
        thread.state = State::Awaiting;
        thread.served_by = receiver;
        let (mut words, token, root, row) = (thread.words(), thread.token, thread.root, thread.request.row);
        let (badge, priority) = (thread.request.badge, thread.priority);
        if row.begins_with_text() {
            self.lay_text(root, &mut words);
        }
        self.endpoints.live(endpoint).server = receiver;
        self.deadlines.clear(&mut self.threads, receiver);
        let news = if self.endpoints.live(endpoint).untold == 0 { None } else { self.next_closed(endpoint) };
        let server = self.threads.live(receiver);
        let mut kind = event::REQUEST;
        if let Some(news) = news {
            (kind, server.closed, server.frame.r14) = (event::CLOSED_AND_REQUEST, news.token, news.badge);
        }
        server.frame.rax = kind as u64 | (row.label() as u64) << 32;
        server.frame.set_words(&words);
        server.frame.r13 = token.0;
        server.frame.r15 = badge;
        server.serving = token;
        server.priority = if server.base == SUPERVISOR { SUPERVISOR } else { priority };
    }

    /// Lays the text that word 0 of a request leads to into its last words, if it is short. Otherwise the first of them is 0,
    /// and the server has to copy it.
    #[inline(always)]
    pub fn lay_text(&mut self, root: Root, words: &mut Words) {
        [words[3], words[4], words[5]] = short_text(root, words[0], &mut self.leaves[1]);
    }

    /// Finds a descriptor and makes a connection to `endpoint`, on the account of the current address space: whoever
    /// opens something does that before all else, so that it can't fail afterwards. EMFILE, ENOMEM.
    #[inline(always)]
    pub fn make_room(&mut self, endpoint: Ref<Endpoint>) -> Result<Room, Errno> {
        let at = self.current_space();
        let space = self.spaces.live(at);
        let (slot, quota) = (space.handles.free_descriptor()?, space.quota);
        self.prepare_slot(at, slot)?;
        Ok((slot, self.create_connection(quota, (endpoint, 0))?))
    }

    /// Keeps the room for the reply to the request of `caller`.
    pub fn keep_room(&mut self, caller: Ref<Thread>, (slot, connection): Room) {
        let thread = self.threads.live(caller);
        (thread.request.slot, thread.request.connection, thread.request.how.reserved) = (slot, connection, true);
        let handle = Handle::new(RESERVED, connection, Rights::empty());
        self.spaces.live(thread.space).handles.put(slot, handle);
    }

    /// The reply carries no handle: gives slot and connection back.
    pub fn cancel_reservation(&mut self, caller: Ref<Thread>) {
        let Some((slot, connection)) = self.take_reservation(caller) else { return };
        let space = self.threads[caller].space;
        if let Some(space) = self.spaces.get_mut(space) {
            space.handles.put(slot, Handle::default());
        }
        self.free_connection(connection);
    }

    /// Slot and connection that are kept for the reply; they are the taker's now.
    #[inline(always)]
    pub fn take_reservation(&mut self, caller: Ref<Thread>) -> Option<Room> {
        let request = &mut self.threads[caller].request;
        core::mem::take(&mut request.how.reserved).then_some((request.slot, request.connection))
    }

    /// Hands a request on: from now on `endpoint` answers it. The caller's buffers stay lent.
    pub fn forward(&mut self, caller: Ref<Thread>, endpoint: Ref<Endpoint>, badge: u64, label: u32, words: [u64; 4]) {
        self.readdress(caller, endpoint, label, words);
        self.threads[caller].request.badge = badge;
        match self.endpoints.get(endpoint).map(|target| target.binding) {
            None => self.fail_request(caller, Errno::ESTALE),
            Some(Binding::Resident(service)) => {
                if let Sent::Answered(result) = IMAGE.residents.request(self, service, caller) {
                    self.answered_while_away(caller, result);
                }
            }
            Some(Binding::Threads) => self.pass_on(endpoint, caller),
        }
    }

    /// The request of `caller`, which is in no queue, goes to a thread that waits for one, or waits itself.
    pub fn pass_on(&mut self, endpoint: Ref<Endpoint>, caller: Ref<Thread>) {
        match self.endpoints[endpoint].take_receiver(&mut self.threads) {
            Some(receiver) => {
                self.deliver_request(endpoint, caller, receiver);
                self.wake(receiver);
            }
            None => self.wait_in_queue(endpoint, caller),
        }
    }

    /// Gives a request another addressee, label and words; its buffers stay lent.
    pub fn readdress(&mut self, caller: Ref<Thread>, endpoint: Ref<Endpoint>, label: u32, words: [u64; 4]) {
        let [a, b, c, d] = words;
        let thread = &mut self.threads[caller];
        thread.end_request();
        thread.request.row.set_label(label);
        thread.request.words = [a, b, c, d, 0, 0];
        thread.request.how.stored = true;
        thread.waits_for = endpoint;
    }

    /// A request that a resident service answered at once, of a caller that is not current.
    fn answered_while_away(&mut self, caller: Ref<Thread>, result: i64) {
        let thread = &mut self.threads[caller];
        if thread.request.how.kind == Kind::Posix {
            thread.frame.rax = result as u64;
        }
        if thread.state == State::Ready {
            self.wake(caller);
        }
    }
}
