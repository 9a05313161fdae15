//! Drivers that come and go: `svc load`, `svc unload`.
//!
//! The endpoint of a driver stays, loaded or not, so that whoever has a device open goes on when it is started again
//! after a crash. The VFS is told when there is something to look at and when there is nothing any more; names appear in
//! /dev and disappear by that alone. While nobody serves the endpoint, init answers what still arrives there: ENXIO.

use parley_abi::call::Rights;
use parley_abi::msg::{Flags, POLL};
use parley_abi::news::{gone_bit, news_bit};
use parley_abi::slot::{self, service};
use parley_abi::{Errno, msg::Token};
use parley_proto::{Outcome, chardev, root_badge};
use parley_rt::sys::{self, Event, Reply};

use crate::console::Level::Warn;
use crate::handle::Handle;
use crate::manifest::{Entry, Start};
use crate::server::Init;
use crate::supervise::State;
use crate::table::INIT;

/// How long a driver may take to answer, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

impl Init {
    /// Starts a driver; `token` is answered when it is ready. EBUSY: it is loaded, or not quite unloaded.
    pub(crate) fn load(&mut self, token: Token, entry: &'static Entry) -> Result<Outcome<'static>, Errno> {
        if self.service(entry.number).record.pid != 0 {
            return Err(Errno::EBUSY);
        }
        self.note(entry.number, format_args!("loaded on request"));
        self.try_start_instance(entry)?;
        self.service_mut(entry.number).loading = Some(token);
        Ok(Outcome::Later)
    }

    /// Ends a driver. ESRCH: it is not loaded. EBUSY: somebody has a device of it open, and it is not by `force`.
    pub(crate) fn unload(&mut self, entry: &'static Entry, force: bool) -> Result<Outcome<'static>, Errno> {
        let number = entry.number;
        if entry.start != Start::Load {
            return Err(Errno::EINVAL);
        }
        if self.service(number).record.pid == 0 {
            return Err(Errno::ESRCH);
        }
        let users = ask(number, chardev::label::retire, u64::from(force))?;
        self.tell_dependents(number, gone_bit(number));
        self.service_mut(number).record.state = State::Leaving;
        match users {
            0 => self.bury(number),
            users => self.tell(Warn, number, format_args!("unloaded by force: {users} descriptors get ENXIO")),
        }
        Ok(Outcome::Done(0))
    }

    /// Looks after drivers that are on their way out, or out.
    pub(crate) fn tend_drivers(&mut self) {
        for entry in self.manifest.services.iter().filter(|entry| entry.start == Start::Load) {
            match self.service(entry.number).record.state {
                State::Leaving if ask(entry.number, chardev::label::users, 0) == Ok(0) => self.bury(entry.number),
                State::Stopped | State::Failed => self.answer_for(entry.number),
                _ => {}
            }
        }
    }

    /// Nobody uses it any more.
    fn bury(&mut self, number: u8) {
        self.end_instance(number, 0);
        self.service_mut(number).record.state = State::Stopped;
        self.forget_state(number);
        self.answer_for(number);
        self.note(number, format_args!("unloaded"));
    }

    /// Answers what arrives at the endpoint of a driver that is not there.
    pub(crate) fn answer_for(&self, number: u8) {
        let Some(endpoint) = self.service(number).endpoint.as_ref().map(Handle::slot) else { return };
        let mut first = 0;
        while let Ok(Event::Request { token, .. }) = sys::requests(endpoint, first) {
            // ESTALE in any of these: nobody waits any more.
            let _ = sys::reply(endpoint, &Reply::done(token, Errno::EIO.negated()));
            first = token.thread() + 1;
        }
        loop {
            match sys::reply_recv(endpoint, &Reply::NONE, POLL) {
                Ok(Event::Request { token, .. } | Event::ClosedAndRequest { token, .. }) => {
                    let _ = sys::reply(endpoint, &Reply::done(token, Errno::ENXIO.negated()));
                }
                Ok(Event::Timeout) | Err(_) => return,
                Ok(_) => {}
            }
            // Whatever it was that closed, nobody here knows it.
            let _ = sys::forgotten(endpoint);
        }
    }

    /// A driver is there: whoever calls it gets a connection, and looks. A service that has just started is told of the
    /// drivers that are there.
    pub(crate) fn introduce(&self, number: u8) {
        if self.entry(number).start == Start::Load {
            for entry in self.manifest.services.iter().filter(|entry| entry.calls.contains(&number)) {
                // It has one already, if the driver was loaded before.
                let _ = self.connect_to(entry, number);
            }
        }
        self.tell_dependents(number, news_bit(number));
        let Some(endpoint) = &self.service(number).endpoint else { return };
        for driver in self.entry(number).calls.iter().filter(|driver| self.is_loaded(**driver)) {
            // ESTALE: it was given up.
            let _ = sys::notify(endpoint.slot(), news_bit(*driver));
        }
    }

    fn connect_to(&self, entry: &Entry, driver: u8) -> Result<(), Errno> {
        let pid = self.service(entry.number).record.pid;
        let space = &self.table.handles(pid).ok_or(Errno::ESRCH)?.space;
        let endpoint = self.service(driver).endpoint.as_ref().ok_or(Errno::ESTALE)?;
        Handle::mint(endpoint.slot(), root_badge(pid, INIT))?.grant(space, slot::of_service(driver), Rights::CALL)
    }

    /// It is a driver, and it is there.
    fn is_loaded(&self, number: u8) -> bool {
        self.entry(number).start == Start::Load && self.service(number).record.state == State::Running
    }

    /// Whom an instance of a service can call from its start on: those below it, and of the drivers those that are there.
    pub(crate) fn callable(&self, entry: &'static Entry) -> impl Iterator<Item = u8> {
        let there = |number: &u8| self.entry(*number).start == Start::Boot || self.is_loaded(*number);
        entry.calls.iter().copied().filter(there)
    }
}

/// Asks a driver. ETIMEDOUT: it does not answer. ENXIO: it is no driver. Other errors: the row's.
fn ask(number: u8, label: u32, word: u64) -> Result<i64, Errno> {
    debug_assert!(usize::from(number) < service::COUNT);
    let until = sys::clock() + PATIENCE;
    let (_, words) = sys::call(slot::of_service(number), Flags::empty(), label, [word, 0, 0, 0, 0, 0], until)?;
    Errno::check(words[0].cast_signed())
}
