//! Services linked into ring 0: a request to one is a function call.
//!
//! The service is the same library that elsewhere runs in ring 3. Here its surroundings ([`Host`]) are
//! the core itself, and the caller's buffers are reached through the caller's page tables, as ever.

use parley_abi::Errno;
use parley_abi::call::LOG_BIT;
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service::{self, NAMES};
use parley_seam::{Cx, Host, Outcome, Service};

use crate::HAS_RESIDENTS;
use crate::kernel::Core;
use crate::log::Level;
use crate::mem::slab::Ref;
use crate::object::endpoint::{Binding, Endpoint, Event};
use crate::object::thread::{State, Thread};

use super::call::Sent;
use super::lease::until_nul;

/// A service as a composition root hands it over.
pub struct Placement {
    /// Which of the well-known services it is ([`parley_abi::slot::service`]).
    pub number: u8,
    /// The service.
    pub service: &'static mut dyn Service,
    /// Global interrupts that become its notification bits: line and bit.
    pub irqs: &'static [(u32, u64)],
}

/// A place for a service in ring 0.
#[derive(Default)]
pub struct Resident {
    /// The service; `None` while it runs, or if there is none.
    service: Option<&'static mut dyn Service>,
    /// Where requests to it arrive.
    pub endpoint: Ref<Endpoint>,
    /// When it wants to be called; 0: not at all.
    pub alarm: u64,
    /// Something happened while it was running.
    has_event: bool,
}

/// Places there are: the numbers of the well-known services, rounded up so that a number needs no check.
pub const RESIDENTS: usize = service::COUNT.next_power_of_two();

/// What a resident service sees of the core while it runs.
struct Seat<'a> {
    core: &'a mut Core,
    service: u8,
}

impl Core {
    /// Gives a service its place, binds its interrupts and starts it. Called at boot, lowest service first.
    pub fn place(&mut self, placement: Placement) {
        let Placement { number, service, irqs } = placement;
        let root = crate::boot::ROOT_QUOTA;
        let endpoint = self.create_endpoint(root, Binding::Resident(number)).expect("boot: no memory for an endpoint");
        self.residents[number as usize] = Resident { service: None, endpoint, alarm: 0, has_event: false };
        for &(line, bits) in irqs {
            let irq = self.create_irq(line as u64).expect("boot: an interrupt line is missing or taken");
            self.bind_irq(irq, endpoint, bits).expect("boot: the line was just made");
        }
        if let Err(errno) = service.start(&mut Seat { core: self, service: number }) {
            panic!("resident service {} does not start: {errno}", NAMES[number as usize]);
        }
        self.residents[number as usize].service = Some(service);
        self.log(Level::Info, format_args!("{}: resident in ring 0", NAMES[number as usize]));
    }

    /// Whether a service has a place in ring 0.
    pub fn is_resident(&self, number: usize) -> bool {
        self.residents[number].service.is_some()
    }

    /// Has a resident service answer the request of `caller`, with these words. `PLAIN`: it is a row whose
    /// result is a number.
    #[inline(always)]
    pub fn call_resident<const PLAIN: bool>(&mut self, number: u8, caller: Ref<Thread>, words: Words) -> Sent {
        let place = &mut self.residents[number as usize % RESIDENTS];
        let Some(service) = place.service.take().filter(|_| HAS_RESIDENTS) else {
            return self.refuse(caller, Errno::EDEADLK);
        };
        let thread = self.threads.live(caller);
        thread.state = State::Awaiting;
        let (label, badge, token) = (thread.request.row.label(), thread.request.badge, thread.token);
        let mut seat = Seat { core: self, service: number };
        let outcome = service.request(&mut Cx { host: &mut seat, token, badge }, label, &words);
        let sent = match outcome {
            Outcome::Done(result) if PLAIN => {
                self.threads.live(caller).state = State::Ready;
                Sent::Answered(result)
            }
            Outcome::Data(bytes) if PLAIN => {
                let result = self.give_data(caller, bytes);
                self.threads.live(caller).state = State::Ready;
                Sent::Answered(result)
            }
            other => self.apply(number, caller, other),
        };
        self.residents[number as usize % RESIDENTS].service = Some(service);
        sent
    }

    #[cold]
    fn refuse(&mut self, caller: Ref<Thread>, errno: Errno) -> Sent {
        Sent::Answered(self.settle_request(caller, errno.negated()))
    }

    /// Ends a request that was answered at once; a POSIX caller's result is returned and not stored.
    #[inline(always)]
    fn settle_request(&mut self, caller: Ref<Thread>, result: i64) -> i64 {
        let thread = self.threads.live(caller);
        thread.state = State::Ready;
        if thread.request.how.is_more_than_a_result() {
            self.complete(caller, 0, result, [0; 6]);
        }
        result
    }

    /// The outcomes that are more than a number.
    #[inline(never)]
    fn apply(&mut self, number: u8, caller: Ref<Thread>, outcome: Outcome<'_>) -> Sent {
        let result = match outcome {
            Outcome::Done(result) => result,
            Outcome::Data(bytes) => self.give_data(caller, bytes),
            Outcome::Fill(bytes) => match self.give_data(caller, bytes) {
                copied if copied == bytes.len() as i64 => 0,
                copied if copied >= 0 => Errno::EFAULT.negated(),
                errno => errno,
            },
            Outcome::Open { badge, close_on_exec } => {
                let endpoint = self.residents[number as usize].endpoint;
                self.open(caller, endpoint, badge, close_on_exec).unwrap_or_else(Errno::negated)
            }
            Outcome::Words(words) => {
                self.complete(caller, 0, words[0] as i64, words);
                return Sent::Answered(words[0] as i64);
            }
            Outcome::Later => {
                if caller == self.current {
                    self.resched = true;
                }
                self.threads[caller].served_by = Ref::NONE;
                return Sent::Waiting;
            }
            Outcome::Forward { service, label, words } => {
                return self.forward_from(number, caller, service, label, words);
            }
        };
        Sent::Answered(self.settle_request(caller, result))
    }

    /// Copies to the caller's writable buffer. Bytes copied, or a negated errno.
    #[inline(never)]
    fn give_data(&mut self, caller: Ref<Thread>, bytes: &[u8]) -> i64 {
        let to = match self.writable_lease(caller) {
            Ok(to) => to,
            Err(errno) => return errno.negated(),
        };
        let Ok(copied) = to.copy_out(bytes) else { return Errno::EFAULT.negated() };
        self.count_copy(copied);
        copied.bytes as i64
    }

    fn forward_from(&mut self, from: u8, caller: Ref<Thread>, to: u8, label: u32, words: [u64; 4]) -> Sent {
        let peer = self.residents.get(to as usize).filter(|peer| peer.service.is_some() && to != from);
        let Some(endpoint) = peer.map(|peer| peer.endpoint) else {
            return self.refuse(caller, Errno::ENXIO);
        };
        self.readdress(caller, endpoint, label, words);
        let words = self.threads[caller].words();
        self.call_resident::<false>(to, caller, words)
    }

    /// News for a resident service: delivered now, or when it has finished what it is doing.
    pub fn resident_has_event(&mut self, number: u8) {
        let Some(service) = self.residents[number as usize].service.take().filter(|_| HAS_RESIDENTS) else {
            self.residents[number as usize].has_event = true;
            self.resched = true; // so that `settle` delivers it
            return;
        };
        self.residents[number as usize].has_event = false;
        let endpoint = self.residents[number as usize].endpoint;
        while let Some(event) = self.next_event(endpoint) {
            self.tell(number, endpoint, service, &event);
        }
        self.residents[number as usize].service = Some(service);
    }

    /// Delivers what had to wait while a service was running.
    pub fn deliver_to_residents(&mut self) {
        for number in 0..RESIDENTS {
            if self.residents[number].has_event {
                self.resident_has_event(number as u8);
            }
        }
    }

    fn tell(&mut self, number: u8, endpoint: Ref<Endpoint>, service: &mut dyn Service, event: &Event) {
        use parley_abi::msg::event::{CANCEL, CLOSED, NOTIFIED};
        let mut seat = Seat { core: self, service: number };
        match event.kind {
            NOTIFIED => service.notified(&mut seat, event.words[0]),
            CANCEL => service.cancelled(&mut seat, event.token),
            CLOSED => {
                service.closed(&mut seat, event.badge);
                let _ = self.forget_closed(endpoint, event.badge);
            }
            _ => {}
        }
    }

    /// Calls the services whose alarm is due.
    pub fn ring_alarms(&mut self, now: u64) {
        for number in 0..self.residents.len() {
            let alarm = self.residents[number].alarm;
            if alarm == 0 || alarm > now {
                continue;
            }
            if let Some(service) = self.residents[number].service.take().filter(|_| HAS_RESIDENTS) {
                self.residents[number].alarm = 0;
                service.alarm(&mut Seat { core: self, service: number as u8 });
                self.residents[number].service = Some(service);
            }
        }
    }

    /// The console driver, if it is resident, is told that the log has grown.
    pub fn notify_resident_log(&mut self, number: u8) {
        let endpoint = self.residents[number as usize].endpoint;
        self.notify(endpoint, LOG_BIT);
    }
}

impl Seat<'_> {
    fn caller(&self, token: Token) -> Result<Ref<Thread>, Errno> {
        self.core.awaiting(self.core.residents[self.service as usize].endpoint, token)
    }
}

impl Host for Seat<'_> {
    fn now(&mut self) -> u64 {
        self.core.clock.now()
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let lease = self.core.lease(self.caller(token)?, lease as u64, false)?;
        let mut part = lease.claim.part(offset, into.len() as u64);
        if lease.text {
            part = until_nul(part, into.len() as u64)?;
        }
        let copied = part.copy_in(into).map_err(|_| Errno::EFAULT)?;
        self.core.count_copy(copied);
        Ok(copied.bytes)
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let lease = self.core.lease(self.caller(token)?, lease as u64, true)?;
        let part = lease.claim.part(offset, from.len() as u64);
        let copied = part.copy_out(from).map_err(|_| Errno::EFAULT)?;
        self.core.count_copy(copied);
        Ok(copied.bytes)
    }

    fn reply(&mut self, token: Token, result: i64) {
        let Ok(caller) = self.caller(token) else { return };
        match self.core.complete(caller, 0, result, [result as u64, 0, 0, 0, 0, 0]) {
            // It is still inside the call that asked.
            Some(caller) if caller == self.core.current => self.core.resched = true,
            Some(caller) => self.core.wake(caller),
            None => {}
        }
    }

    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno> {
        let place = self.core.residents.get_mut(service as usize).ok_or(Errno::ENXIO)?;
        let peer = place.service.take().ok_or(Errno::ENXIO)?;
        let mut seat = Seat { core: self.core, service };
        let outcome = peer.request(&mut Cx { host: &mut seat, token: Token::NONE, badge: 0 }, label, &words);
        let answer = match outcome {
            Outcome::Words(words) => Ok(words),
            Outcome::Done(result) => Errno::check(result).map(|result| [result as u64, 0, 0, 0, 0, 0]),
            _ => Err(Errno::EINVAL),
        };
        self.core.residents[service as usize].service = Some(peer);
        answer
    }

    fn set_alarm(&mut self, at: u64) {
        self.core.residents[self.service as usize].alarm = at;
        self.core.update_timer();
    }

    fn log(&mut self, text: &str) {
        let name = NAMES[self.service as usize];
        self.core.log(Level::Info, format_args!("{name}: {text}"));
    }

    fn dump_threads(&mut self) {
        self.core.dump_threads();
    }

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        self.core.log.claim_by_resident(self.service);
        self.core.log.take(into)
    }
}
