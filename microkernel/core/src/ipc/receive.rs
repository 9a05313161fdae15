//! The receiving half: a server asks for its next event.

use parley_abi::{Errno, Flags, POLL, Rights, Token, event, kind};

use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Endpoint, Event, State, Thread};
use crate::sched::SUPERVISOR;
use crate::syscall::Done;

const KNOWN: Flags = CARRIES.union(Flags::CLOSE_ON_EXEC).union(Flags::NO_RECEIVE).union(Flags::FORGOTTEN);
/// What a reply can carry beside its words: one of these.
const CARRIES: Flags = Flags::DATA.union(Flags::FILL).union(Flags::OPEN);

impl Core {
    /// `reply_recv`: answers token r13, if there is one, and receives.
    pub fn reply_recv(&mut self, flags: Flags, label: u32) -> Result<Done, Errno> {
        let carried = (flags & CARRIES).bits();
        if !KNOWN.contains(flags) || carried & carried.wrapping_sub(1) != 0 {
            return Err(Errno::EINVAL);
        }
        let thread = self.thread();
        let (slot, words) = (thread.frame.args[0], thread.frame.words(1));
        let (token, deadline) = (Token(thread.frame.r13), thread.frame.r14);
        let endpoint: Ref<Endpoint> = self.object(slot, kind::ENDPOINT, Rights::RECEIVE)?;
        if self.endpoints.get(endpoint).is_none_or(Endpoint::is_dying) {
            return Err(Errno::ESTALE);
        }
        if flags.contains(Flags::FORGOTTEN) {
            let closed = core::mem::take(&mut self.thread().closed);
            self.forget_closed(closed);
        }
        let mut resumed = None;
        if token != Token::NONE {
            if token != self.thread().serving {
                self.account(); // it was somebody else's turn
            }
            match self.reply(endpoint, token, flags, label, words) {
                Ok(caller) => resumed = caller,
                Err(Errno::ESTALE) if !flags.contains(Flags::NO_RECEIVE) => {}
                Err(errno) => return Err(errno),
            }
        }
        if flags.contains(Flags::NO_RECEIVE) {
            self.wake_answered(resumed);
            return Ok(Done::Value(0));
        }
        self.receive(endpoint, deadline, resumed);
        Ok(Done::Registers)
    }

    /// Gives the current thread its next event, or lets it wait for one. `resumed` has been answered and
    /// goes on: at once, if the server waits and nobody is more urgent.
    #[inline(always)]
    fn receive(&mut self, at: Ref<Endpoint>, deadline: u64, resumed: Option<Ref<Thread>>) {
        let server = self.current;
        let has_event = self.take_pending(at, server);
        if has_event || deadline == POLL {
            if !has_event {
                self.deliver_event(server, &Event::of(event::TIMEOUT));
            }
            self.wake_answered(resumed);
        } else {
            self.wait_for_event(at, server, deadline);
            match resumed {
                Some(caller) if self.goes_on(self.threads.peek(caller).priority) => return self.switch_to(caller),
                Some(_) => self.wake_answered(resumed),
                None => {}
            }
            self.schedule();
            return;
        }
        let priority = self.threads[server].priority;
        self.resched |= self.ready.above(priority);
        if self.ready.occupied_at(priority) {
            self.update_timer();
        }
    }

    /// Whoever has been answered goes on later. The time until now was his.
    fn wake_answered(&mut self, caller: Option<Ref<Thread>>) {
        self.account_for(caller.unwrap_or(self.current));
        caller.into_iter().for_each(|caller| self.wake(caller));
    }

    /// Whether somebody of this priority who was answered goes on in this turn: nobody is more urgent, and it is not over.
    /// Sets the timer to its end, if somebody waits for that.
    #[inline(always)]
    fn goes_on(&mut self, priority: u8) -> bool {
        match self.ready.occupied >> priority {
            0 => true,
            1 if self.left_of_turn() != 0 => {
                self.apic.bring_forward(&self.clock, self.slice_end);
                true
            }
            _ => false,
        }
    }

    fn wait_for_event(&mut self, at: Ref<Endpoint>, server: Ref<Thread>, deadline: u64) {
        self.threads[server].state = State::Receiving;
        self.threads[server].waits_for = at;
        // The short cuts hand priorities on, so the supervisor is never where they look.
        let alone = deadline == 0 && self.threads[server].base != SUPERVISOR;
        self.endpoints[at].add_receiver(&mut self.threads, server, alone);
        self.wait_until(server, deadline);
    }

    /// A thread that begins to wait waits until `deadline` at most; 0: for ever.
    #[inline]
    pub fn wait_until(&mut self, at: Ref<Thread>, deadline: u64) {
        if deadline != 0 {
            self.deadlines.set(&mut self.threads, at, deadline);
            self.update_timer();
        }
    }

    /// Hands over an event or a queued request. False: there is none.
    #[inline(always)]
    fn take_pending(&mut self, at: Ref<Endpoint>, server: Ref<Thread>) -> bool {
        let endpoint = &mut self.endpoints[at];
        if (endpoint.bits != 0 || endpoint.untold != 0 || !endpoint.events.is_empty())
            && let Some(event) = self.next_event(at)
        {
            let before = self.threads.live(server).priority;
            self.deliver_event(server, &event);
            if event.kind == event::CLOSED {
                self.threads.live(server).priority = before; // that is as urgent as whoever closed it
            }
            // Whoever is queued has a server that is no less urgent.
            let first = self.endpoints[at].callers.first();
            if let Some(priority) = self.threads.get(first).map(|first| first.priority) {
                self.lend_priority(server, priority);
            }
            return true;
        }
        match self.endpoints[at].callers.pop(&mut self.threads) {
            Some(caller) => {
                self.deliver_request(at, caller, server);
                true
            }
            None => false,
        }
    }
}
