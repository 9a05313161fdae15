//! Endpoints: where requests and all other events for a server arrive.

use parley_abi::{Errno, Token, Words, event};

use crate::mem::{Cursor, List, Object, Ref, Slab};
use crate::object::{Connection, Quota, State, Submission, Thread};
use crate::sched::SUPERVISOR;
use crate::{Core, IMAGE};

/// Who serves an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Binding {
    /// Threads that receive on it.
    #[default]
    Threads,
    /// The service with this number, linked into ring 0.
    Resident(u8),
}

/// [`Endpoint::door`] where nothing is going on.
pub const OPEN: Ref<Thread> = Ref::NONE;
/// [`Endpoint::door`] where there is, or has been, more than the door can say.
pub const BUSY: Ref<Thread> = Ref::new(0, 1);
/// [`Endpoint::door`] of a service that is linked into ring 0; its number is in bits 40 to 47.
pub const RESIDENT: Ref<Thread> = Ref::new(0, 2);
/// [`Endpoint::door`] where threads wait in the queue: several, or with deadlines.
pub const CROWDED: Ref<Thread> = Ref::new(0, 3);

/// An endpoint.
#[derive(Default)]
pub struct Endpoint {
    /// Who serves it.
    pub binding: Binding,
    /// What the entry code looks at: the one thread that waits for an event, if it waits without a deadline and
    /// nothing else is going on here ([`OPEN`]: nothing at all is). Otherwise [`BUSY`], [`CROWDED`] or [`RESIDENT`].
    pub door: Ref<Thread>,
    /// The thread that was at the door before there was more to say, and waits.
    aside: Ref<Thread>,
    /// Other threads that wait for an event.
    receivers: List<Thread>,
    /// Threads whose requests wait to be received, the most urgent first.
    pub callers: List<Thread>,
    /// Notification bits that are set.
    pub bits: u64,
    /// Connections that are closing.
    pub closing: List<Connection>,
    /// How many of them the receiver has not been told of.
    pub untold: u32,
    /// Events of [submissions](crate::object::submission): requests to be received, answers to be collected, cancellations.
    pub events: List<Submission>,
    /// The thread that received last: whoever queues lends it its priority.
    pub server: Ref<Thread>,
    /// Handles to it.
    pub refs: u32,
    /// Whether it is being taken apart, and how far that is.
    ending: Ending,
    /// Where in the table that is.
    cursor: Cursor,
    /// Who pays.
    pub quota: Ref<Quota>,
}

/// How far an endpoint has been taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Ending {
    /// It lives.
    #[default]
    No,
    /// Threads whose requests were received and not yet answered are being looked for.
    Callers,
    /// Submissions that have to do with it are being looked for.
    Submissions,
}

/// What `reply_recv` reports.
pub struct Event {
    /// One of [`parley_abi::msg::event`].
    pub kind: u32,
    /// Of a request.
    pub label: u32,
    /// Words of a request or of a submission's answer; the notification bits.
    pub words: Words,
    /// Of a request or a closed connection, or the cookie of a submission.
    pub token: Token,
    /// Of a request or a closed connection.
    pub badge: u64,
}

impl Event {
    /// An event that is only a kind.
    pub fn of(kind: u32) -> Event {
        Event { kind, label: 0, words: [0; 6], token: Token::NONE, badge: 0 }
    }
}

impl Endpoint {
    /// Nothing is received on it or submitted to it any more.
    pub fn is_dying(&self) -> bool {
        self.ending != Ending::No
    }

    /// Nobody calls, and nothing has happened.
    #[inline(always)]
    pub fn is_quiet(&self) -> bool {
        self.bits == 0 && self.untold == 0 && self.events.is_empty() && self.callers.is_empty()
    }

    /// The thread that the door names.
    #[inline]
    fn at_door(&self) -> Option<Ref<Thread>> {
        (self.door.place != 0).then_some(self.door)
    }

    /// Something is there that no receiver has taken.
    fn mark_busy(&mut self) {
        if self.door == OPEN {
            self.door = BUSY;
        }
    }

    /// A thread waits here from now on; `alone` if it has no deadline.
    #[inline]
    pub fn add_receiver(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>, alone: bool) {
        if alone && self.at_door().is_none() && self.door != CROWDED && self.is_quiet() {
            self.door = at;
            return;
        }
        self.crowd();
        self.door = CROWDED;
        self.receivers.push(threads, at);
    }

    /// Whether a thread waits. From now on requests come the long way, which looks for what else is there.
    #[inline(always)]
    pub fn crowd(&mut self) -> bool {
        if let Some(first) = self.at_door() {
            (self.aside, self.door) = (first, CROWDED);
        }
        self.door == CROWDED
    }

    /// Takes out the thread that has waited longest.
    #[inline]
    pub fn take_receiver(&mut self, threads: &mut Slab<Thread>) -> Option<Ref<Thread>> {
        match self.at_door() {
            Some(at) => {
                self.door = OPEN;
                Some(at)
            }
            None => {
                let first = core::mem::take(&mut self.aside);
                let at = if first == Ref::NONE { self.receivers.pop(threads) } else { Some(first) };
                self.note_empty();
                at
            }
        }
    }

    /// A thread no longer waits here.
    pub fn remove_receiver(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        match at {
            _ if self.door == at => self.door = OPEN,
            _ if self.aside == at => self.aside = Ref::NONE,
            _ => self.receivers.remove(threads, at),
        }
        self.note_empty();
    }

    fn has_no_receiver(&self) -> bool {
        self.aside == Ref::NONE && self.receivers.is_empty()
    }

    #[inline(always)]
    fn note_empty(&mut self) {
        if self.door == CROWDED && self.has_no_receiver() {
            self.door = BUSY;
        }
    }

    /// Queues a caller, before those that are less urgent.
    pub fn add_caller(&mut self, threads: &mut Slab<Thread>, at: Ref<Thread>) {
        self.mark_busy();
        let priority = threads[at].priority;
        let is_less = |threads: &Slab<Thread>, at| threads.get(at).is_some_and(|thread| thread.priority < priority);
        let mut before = if is_less(threads, self.callers.first()) { Ref::NONE } else { self.callers.last() };
        while is_less(threads, before) {
            before = threads.links(before).previous;
        }
        self.callers.insert(threads, at, before);
    }

    /// Whether door and queues agree, for checks.
    pub fn is_consistent(&self, mut waits: impl FnMut(Ref<Thread>) -> bool, threads: &Slab<Thread>) -> bool {
        let idle = self.has_no_receiver() || self.callers.is_empty();
        let at_rest = self.is_quiet() && self.has_no_receiver();
        let door = match self.at_door() {
            Some(at) => at_rest && waits(at) && threads[at].deadline_at == 0,
            None if self.door == OPEN => at_rest,
            None if self.binding != Binding::Threads => self.door.generation as u8 == RESIDENT.generation as u8,
            None => (self.door == CROWDED) != self.has_no_receiver(),
        };
        let aside = Some(self.aside).filter(|&aside| aside != Ref::NONE);
        idle && door && aside.into_iter().chain(self.receivers.iter(threads)).all(waits)
    }
}

impl Object for Endpoint {
    const WINDOW: u64 = 3;
}

impl Core {
    /// Makes an endpoint without handles. ENOMEM.
    pub fn create_endpoint(&mut self, quota: Ref<Quota>, binding: Binding) -> Result<Ref<Endpoint>, Errno> {
        let door = match binding {
            Binding::Threads => OPEN,
            Binding::Resident(number) => Ref::new(0, RESIDENT.generation | (number as u32) << 8),
        };
        let endpoint = Endpoint { quota, binding, door, ..Endpoint::default() };
        let cost = Slab::<Endpoint>::COST;
        self.quotas.pay_for(quota, cost, &mut self.endpoints, &mut self.frames, |slot| *slot = endpoint)
    }

    /// Something other than a thread's request is there for the endpoint's server, no more urgent than `most`.
    pub fn endpoint_has_event(&mut self, at: Ref<Endpoint>, most: u8) {
        match self.endpoints[at].binding {
            Binding::Resident(service) => IMAGE.residents.has_event(self, service),
            Binding::Threads => match self.endpoints[at].take_receiver(&mut self.threads) {
                Some(receiver) => {
                    let event = self.next_event(at).unwrap_or(Event::of(event::TIMEOUT));
                    let left = self.left_of_turn();
                    self.deliver_event(receiver, &event);
                    let server = self.threads.live(receiver);
                    if most < server.base && server.base != SUPERVISOR {
                        (server.priority, server.slice) = (most, left.max(1)); // in somebody's turn
                    }
                    self.wake(receiver);
                }
                None => {
                    let endpoint = &mut self.endpoints[at];
                    endpoint.mark_busy();
                    let server = endpoint.server;
                    if let Some(base) = self.threads.get(server).map(|server| server.base) {
                        self.lend_priority(server, base.min(most)); // it may be working for somebody less urgent
                    }
                }
            },
        }
    }

    /// The next event that is not a thread's request.
    pub fn next_event(&mut self, at: Ref<Endpoint>) -> Option<Event> {
        let bits = core::mem::take(&mut self.endpoints[at].bits);
        if bits != 0 {
            return Some(Event { words: [bits, 0, 0, 0, 0, 0], ..Event::of(event::NOTIFIED) });
        }
        self.next_closed(at).or_else(|| self.next_submission(at))
    }

    /// Hands an event to a thread that is no longer in the endpoint's list of receivers.
    pub fn deliver_event(&mut self, receiver: Ref<Thread>, event: &Event) {
        self.deadlines.clear(&mut self.threads, receiver);
        let thread = &mut self.threads[receiver];
        thread.serving = Token::NONE;
        thread.priority = thread.base;
        let frame = &mut thread.frame;
        frame.rax = event.kind as u64 | (event.label as u64) << 32;
        frame.set_words(&event.words);
        frame.r13 = event.token.0;
        frame.r15 = event.badge;
        if event.kind == event::CLOSED {
            thread.closed = event.token;
        }
    }

    /// Sets notification bits, and wakes a receiver.
    pub fn notify(&mut self, at: Ref<Endpoint>, bits: u64) {
        let Some(endpoint) = self.endpoints.get_mut(at) else { return };
        endpoint.bits |= bits;
        if bits != 0 {
            self.endpoint_has_event(at, SUPERVISOR);
        }
    }

    /// Takes an endpoint apart, a waiting thread or a connection at a time.
    pub fn destroy_endpoint_step(&mut self, at: Ref<Endpoint>) {
        if let Some(caller) = self.endpoints[at].callers.pop(&mut self.threads) {
            return self.fail_request(caller, Errno::ESTALE);
        }
        if let Some(receiver) = self.endpoints[at].take_receiver(&mut self.threads) {
            self.threads[receiver].frame.rax = Errno::ESTALE.negated() as u64;
            self.deadlines.clear(&mut self.threads, receiver);
            return self.wake(receiver);
        }
        if let Some(closing) = self.endpoints[at].closing.pop(&mut self.connections) {
            return self.free_connection(closing);
        }
        let Endpoint { ending, mut cursor, server, binding, .. } = self.endpoints[at];
        let (more, next) = match ending {
            // Without a server nobody has received anything.
            Ending::No if server == Ref::NONE && binding == Binding::Threads => (false, Ending::Submissions),
            Ending::No => (false, Ending::Callers),
            Ending::Callers => {
                let waiting = |thread: &Thread| thread.state == State::Awaiting && thread.waits_for == at;
                let more = cursor.step(&self.threads, waiting).act(|caller| self.fail_request(caller, Errno::ESTALE));
                // Whoever received a request while we searched is noted there: then we search again.
                (more, if server == Ref::NONE { Ending::Submissions } else { Ending::Callers })
            }
            Ending::Submissions if self.submissions.count() == 0 => return self.remove_endpoint(at),
            Ending::Submissions => match self.drop_submission_of(at, &mut cursor) {
                true => (true, ending),
                false => return self.remove_endpoint(at),
            },
        };
        let endpoint = &mut self.endpoints[at];
        if more {
            endpoint.cursor = cursor;
        } else {
            (endpoint.ending, endpoint.cursor, endpoint.server) = (next, Cursor::default(), Ref::NONE);
        }
    }

    /// Frees an endpoint that nothing has to do with any more, or not yet.
    pub fn remove_endpoint(&mut self, at: Ref<Endpoint>) {
        let quota = self.endpoints[at].quota;
        self.forget_endpoint(at);
        self.quotas.refund(quota, Slab::<Endpoint>::COST);
    }
}
