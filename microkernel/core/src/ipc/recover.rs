//! What a new server of an endpoint takes over from one that is gone.
//!
//! Requests belong to the endpoint, and are written down in the blocks of the threads that wait. So a server
//! can die and nothing is lost: whoever receives next lists what was in progress and answers, keeps or puts back
//! each. Whoever hears of the death must not be waiting for the dead itself.

use parley_abi::{Errno, Rights, Token, event, kind};

use crate::ipc::LONGEST_CHAIN;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Endpoint, Event, Stage, State};
use crate::sched::SUPERVISOR;
use crate::syscall::Done;

/// Threads that one step of the list looks at.
const STEP: usize = 64;

impl Core {
    /// `requests`: the first request in progress of a thread numbered rsi or higher. ENOENT: none.
    pub fn sys_requests(&mut self) -> Result<Done, Errno> {
        let [slot, first, ..] = self.thread().frame.words(0);
        let endpoint: Ref<Endpoint> = self.object(slot, kind::ENDPOINT, Rights::RECEIVE)?;
        let first = u32::try_from(first).map_err(|_| Errno::ENOENT)?;
        let mut next = self.threads.from_place(first);
        for _ in 0..STEP {
            let Some(at) = next else { return Err(Errno::ENOENT) };
            let thread = &self.threads[at];
            if thread.state == State::Awaiting && thread.waits_for == endpoint {
                let (label, badge) = (thread.request.row.label(), thread.request.badge);
                let (words, token) = (thread.words(), thread.token);
                let found = Event { kind: event::REQUEST, label, words, token, badge };
                self.deliver_event(self.current, &found);
                return Ok(Done::Registers);
            }
            next = self.threads.from_place(at.place + 1);
        }
        let Some(next) = next else { return Err(Errno::ENOENT) };
        self.thread().frame.args[1] = u64::from(next.place);
        Ok(Done::Again)
    }

    /// `put_back`: request rsi is queued again, as if it had not been received; one whose caller was to be
    /// interrupted is answered EINTR instead. With 0: what is not a thread's request. ESTALE.
    pub fn sys_put_back(&mut self) -> Result<Done, Errno> {
        let [slot, token, ..] = self.thread().frame.words(0);
        let endpoint = self.endpoint(slot, Rights::RECEIVE)?;
        if token == 0 {
            self.put_news_back(endpoint);
            return Ok(Done::Value(0));
        }
        let caller = self.awaiting(endpoint, Token(token))?;
        if self.threads[caller].cancelled == Token(token).generation() {
            self.fail_request(caller, Errno::EINTR);
            return Ok(Done::Value(0));
        }
        self.threads[caller].served_by = Ref::NONE;
        self.pass_on(endpoint, caller);
        Ok(Done::Value(0))
    }

    /// Connections that are closing are reported again, and submissions that were received queue again.
    fn put_news_back(&mut self, endpoint: Ref<Endpoint>) {
        let mut at = self.endpoints[endpoint].closing.first();
        let mut count = 0;
        while let Some(connection) = self.connections.get_mut(at) {
            connection.told = false;
            (at, count) = (self.connections.links(at).next, count + 1);
        }
        self.endpoints[endpoint].untold = count;
        while let Some(at) = self.submissions.find(|news| news.server == endpoint && news.stage == Stage::Taken) {
            self.requeue_submission(endpoint, at);
        }
        let target = &mut self.endpoints[endpoint];
        if !target.is_quiet() {
            target.crowd();
            self.endpoint_has_event(endpoint, SUPERVISOR);
        }
    }

    /// Something is to be told on `endpoint`: the current thread faults, or the last thread of a space is gone. If
    /// who receives there waits for a server that is that thread or is gone, it would wait for ever: its own
    /// request ends with ESTALE, so that it can listen.
    pub fn wake_mourner(&mut self, endpoint: Ref<Endpoint>) {
        let Some(mourner) = self.endpoints.get(endpoint).map(|endpoint| endpoint.server) else { return };
        let mut server = mourner;
        for _ in 0..LONGEST_CHAIN {
            match self.threads.get(server) {
                Some(_) if server == self.current => break,
                Some(thread) if matches!(thread.state, State::Calling | State::Awaiting) => {
                    let Some(next) = self.waits_for(server) else { return };
                    server = next;
                }
                Some(_) => return,
                None => break,
            }
        }
        if self.threads.get(mourner).is_some_and(|thread| matches!(thread.state, State::Calling | State::Awaiting)) {
            self.abandon_request(mourner);
            self.fail_request(mourner, Errno::ESTALE);
        }
    }
}
