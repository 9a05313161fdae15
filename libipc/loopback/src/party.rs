//! The services, and what each sees around it while it serves.
//!
//! A service is taken out of its place while it runs. So a call back into it finds nobody, which is the
//! ENXIO it deserves, and the borrow checker knows that it cannot happen.

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_abi::slot::service::COUNT;
use parley_proto::{Cx, Host, Outcome, Service, root_badge};

use crate::Memory;
use crate::descriptors::Connection;
use crate::lease::{Leases, writable};
use crate::requests::Requests;

/// The badge of the one process, number 1, on its connections to the services.
pub(crate) const PROCESS: u64 = root_badge(1, 0);

/// What all services share.
pub(crate) struct World<'s, M> {
    pub memory: M,
    pub clock: &'s dyn Fn() -> u64,
    pub log: &'s dyn Fn(core::fmt::Arguments<'_>),
    /// When each service wants its alarm; 0: never.
    pub alarms: [u64; COUNT],
    pub requests: Requests,
}

pub(crate) type Places<'s> = [Option<&'s mut dyn Service>; COUNT];

/// How a request went.
pub(crate) enum Answer {
    Result(i64),
    Words(Words),
    Open(Connection),
    Later,
}

/// Services and world, for as long as one of them is called.
pub(crate) struct Party<'a, 's, M> {
    pub places: &'a mut Places<'s>,
    pub world: &'a mut World<'s, M>,
}

impl<'s, M: Memory> Party<'_, 's, M> {
    /// Runs `work` on a service, with the host it sees. ENXIO: it is not bound, or is running already.
    #[inline]
    pub fn with<R>(
        &mut self,
        service: u8,
        work: impl FnOnce(&mut dyn Service, &mut Surroundings<'_, 's, M>) -> R,
    ) -> Result<R, Errno> {
        let place = self.places.get_mut(service as usize).ok_or(Errno::ENXIO)?;
        let server = place.take().ok_or(Errno::ENXIO)?;
        let party = Party { places: self.places, world: self.world };
        let result = work(server, &mut Surroundings { party, service });
        self.places[service as usize] = Some(server);
        Ok(result)
    }

    /// Lets the service behind `to` answer a request, or whoever it forwards it to.
    #[inline]
    pub fn serve(&mut self, to: Connection, label: u32, words: Words, token: Token) -> Answer {
        let (mut to, mut label, mut words) = (to, label, words);
        loop {
            match self.with(to.service, |server, host| turn(server, host, to, label, &words, token)) {
                Ok(Turn::Answer(answer)) => return answer,
                Ok(Turn::Forward { service, label: next, words: [a, b, c, d] }) => {
                    self.world.requests.hand_on(token, service);
                    to = Connection { service, badge: PROCESS };
                    (label, words) = (next, [a, b, c, d, 0, 0]);
                }
                Err(errno) => return Answer::Result(errno.negated()),
            }
        }
    }
}

enum Turn {
    Answer(Answer),
    Forward { service: u8, label: u32, words: [u64; 4] },
}

/// One service's turn at a request.
#[inline]
fn turn<M: Memory>(
    server: &mut dyn Service,
    host: &mut Surroundings<'_, '_, M>,
    to: Connection,
    label: u32,
    words: &Words,
    token: Token,
) -> Turn {
    match server.at_hand(to.badge, label, words) {
        Some(Outcome::Done(result)) => return Turn::Answer(Answer::Result(result)),
        Some(Outcome::Data(bytes)) => {
            return Turn::Answer(Answer::Result(host.deliver(token, bytes).unwrap_or_else(Errno::negated)));
        }
        _ => {}
    }
    let outcome = server.request(&mut Cx { host, token, badge: to.badge }, label, words);
    Turn::Answer(match outcome {
        Outcome::Done(result) => Answer::Result(result),
        Outcome::Data(bytes) => Answer::Result(host.deliver(token, bytes).unwrap_or_else(Errno::negated)),
        Outcome::Fill(bytes) => Answer::Result(host.deliver(token, bytes).map_or_else(Errno::negated, |_| 0)),
        Outcome::Open { badge, .. } => Answer::Open(Connection { service: to.service, badge }),
        Outcome::Words(words) => Answer::Words(words),
        Outcome::Later => Answer::Later,
        Outcome::Forward { service, label, words } => return Turn::Forward { service, label, words },
    })
}

/// The host that a running service sees.
pub(crate) struct Surroundings<'a, 's, M> {
    party: Party<'a, 's, M>,
    service: u8,
}

impl<M: Memory> Surroundings<'_, '_, M> {
    /// Copies a reply's bytes to the writable buffer of a request. ESTALE, EACCES, EFAULT.
    fn deliver(&mut self, token: Token, bytes: &[u8]) -> Result<i64, Errno> {
        let world = &mut *self.party.world;
        let lease = writable(world.requests.leases(token)?).ok_or(Errno::EACCES)?;
        lease.copy_out(&mut world.memory, 0, bytes).map(|copied| copied as i64)
    }
}

impl<M: Memory> Host for Surroundings<'_, '_, M> {
    fn now(&mut self) -> u64 {
        (self.party.world.clock)()
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let world = &mut *self.party.world;
        world.requests.lease(token, lease)?.copy_in(&mut world.memory, offset, into)
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let world = &mut *self.party.world;
        world.requests.lease(token, lease)?.copy_out(&mut world.memory, offset, from)
    }

    fn reply(&mut self, token: Token, result: i64) {
        self.party.world.requests.reply(token, result);
    }

    /// Services with higher numbers are lower in the order. ENXIO: `service` is not lower than the caller,
    /// or not bound. EINVAL: it did not answer with words.
    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno> {
        if service <= self.service {
            return Err(Errno::ENXIO);
        }
        let token = self.party.world.requests.begin(service, Leases::default())?;
        let answer = self.party.serve(Connection { service, badge: PROCESS }, label, words, token);
        self.party.world.requests.end(token);
        match answer {
            Answer::Words(words) => Ok(words),
            Answer::Result(result) => Errno::check(result).map(|value| [value as u64, 0, 0, 0, 0, 0]),
            Answer::Open(_) | Answer::Later => Err(Errno::EINVAL),
        }
    }

    fn set_alarm(&mut self, at: u64) {
        self.party.world.alarms[self.service as usize] = at;
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        (self.party.world.log)(line);
    }

    fn dump_threads(&mut self) {}
    fn read_log(&mut self, _into: &mut [u8]) -> usize {
        0
    }
}
