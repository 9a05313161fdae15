//! The one-shot timer: no tick, only the next moment that matters.
//!
//! That is the earliest deadline, the earliest alarm of a resident service, when news is due, or the end of the
//! current slice if somebody of the same priority waits. With none of them the timer is off.

use parley_abi::{Errno, event};

use crate::mem::Ref;
use crate::object::{Event, State, Thread};
use crate::{Core, IMAGE};

/// Deadlines that one timer interrupt serves: the next one comes at once for the rest.
const AT_ONCE: usize = 16;

impl Core {
    /// Sets the timer to the next moment that matters.
    pub fn update_timer(&mut self) {
        let deadline = self.deadlines.first(&self.threads).map_or(u64::MAX, |first| first.0);
        let shared = self.threads.get(self.current).is_some_and(|current| self.ready.occupied_at(current.priority));
        let slice = if shared { self.slice_end } else { u64::MAX };
        let dump = if self.dump.due == 0 { u64::MAX } else { self.dump.due };
        let news = self.unheard.map_or(u64::MAX, |news| news.1);
        self.apic.set_timer(&self.clock, deadline.min(IMAGE.residents.next_alarm()).min(slice).min(dump).min(news));
    }

    /// The timer's interrupt.
    pub fn timer_fired(&mut self) {
        self.apic.acknowledge();
        self.apic.timer_has_fired();
        let now = self.clock.now();
        for _ in 0..AT_ONCE {
            match self.deadlines.first(&self.threads) {
                Some((time, at)) if time <= now => self.waited_long_enough(at),
                _ => break,
            }
        }
        IMAGE.residents.ring_alarms(self, now);
        self.go_on_dumping(now);
        self.spread_news();
        if let Some(current) = self.threads.get(self.current) {
            let priority = current.priority;
            if now >= self.slice_end && self.ready.occupied_at(priority) {
                self.ready.push(&mut self.threads, self.current, priority);
                self.schedule();
                return;
            }
        }
        self.update_timer();
    }

    fn waited_long_enough(&mut self, at: Ref<Thread>) {
        self.deadlines.clear(&mut self.threads, at);
        let Thread { state, waits_for, .. } = self.threads[at];
        match state {
            State::Receiving => {
                if let Some(endpoint) = self.endpoints.get_mut(waits_for) {
                    endpoint.remove_receiver(&mut self.threads, at);
                }
                self.deliver_event(at, &Event::of(event::TIMEOUT));
                self.wake(at);
            }
            State::Calling | State::Awaiting => {
                self.abandon_request(at);
                self.fail_request(at, Errno::ETIMEDOUT);
            }
            State::Stopped | State::Ready => {}
        }
    }
}
