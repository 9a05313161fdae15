//! Swapping a service's program while it is in use.
//!
//! What a service knows outlives its process (`libipc/rt`, `durable`), and so do its endpoint and its callers. So a swap
//! is a death at an instant that init chooses, with another program as the heir: the new one is read and checked, and a
//! process made of it, while the old one serves ([`crate::prepare`]); then the old one ends, and the new one takes over state and requests. It says when it is ready
//! to serve. If it does not within [`PATIENCE`], or dies, the former program goes on as if nothing had happened. If it dies
//! within [`PROBATION`] after that, the former one takes over from what it left, in which all is that was answered since.
//! Callers wait meanwhile; no request is lost either way.
//!
//! So that a program that ruins the state has ruined nothing, init copies it while nobody serves: all of it but the contents of
//! files ([`essence`]), for callers wait until that is done, and contents are most of a state. Before the new program is
//! ready nobody has seen anything of what it does, and the copy is put back. After that the copy is used only if the former
//! program cannot use what the new one left: then what was answered since is lost, and contents are as they are now.

use alloc::vec::Vec;
use core::ops::Range;

use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_abi::msg::Token;
use parley_abi::{PAGE, PATH_MAX};
use parley_abi::{slot, wants};
use parley_proto::{Cx, Host, Text};
use parley_rt::durable::essence;
use parley_rt::sys;

use crate::console::Level::Warn;
use crate::manifest::Start;
use crate::prepare::Preparing;
use crate::programs::path;
use crate::server::Init;
use crate::services::{Standby, numbers};
use crate::shared::Shared;
use crate::supervise::{Reason, State};

/// How long a new program may take until it is ready, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// How long after that its death still brings the former one back, at least, in nanoseconds.
const PROBATION: u64 = 2_000_000_000;
/// What was copied of a state.
#[derive(Debug, Default)]
pub struct Saved {
    /// Places in the memory object.
    ranges: [Range<usize>; 2],
    /// What was there, one after the other.
    bytes: Vec<u8>,
}

impl Saved {
    /// Nothing, with room for `length` bytes, which has been touched: that takes long. ENOMEM.
    fn with_room(length: usize) -> Result<Saved, Errno> {
        let mut saved = Saved::default();
        saved.bytes.try_reserve_exact(length).map_err(|_| Errno::ENOMEM)?;
        saved.bytes.resize(length, 0);
        Ok(saved)
    }

    /// There is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// What is to take over: a program, what its instances have in common, room for a copy of the state, and the first of the
/// instances.
pub struct Heir {
    pub(crate) program: Vec<u8>,
    pub(crate) shared: Shared,
    pub(crate) room: Saved,
    pub(crate) standby: Standby,
}

/// A program that has taken over and may still have to go.
#[derive(Debug)]
pub struct Trial {
    /// The program before it; `None` is the boot archive's. What its instances have in common.
    former: (Option<Vec<u8>>, Option<Shared>),
    /// Who asked for the swap, until it is known to be one.
    token: Option<Token>,
    /// When the patience or the probation ends.
    until: u64,
    /// The state before it.
    saved: Saved,
}

impl Trial {
    /// The program has to answer a heartbeat by `until`: it is not believed before that, however late init is.
    pub(crate) fn must_answer(&mut self, until: u64) {
        self.until = self.until.max(until + 1);
    }
}

impl Init {
    /// Some service's new program is not ready yet: nobody knows whether it ever answers, so init must not ask it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.services.iter().any(|service| service.trial.as_ref().is_some_and(|trial| trial.token.is_some()))
    }

    /// What `init::swap` does; the answer comes when the new program is ready, or is not.
    pub(crate) fn swap(&mut self, cx: &mut Cx<'_>, number: u32, name: Text) -> Result<(), Errno> {
        let number = self.changeable(number)?;
        if self.is_swapping() {
            return Err(Errno::EBUSY);
        }
        self.must_be_loaded(number)?;
        let mut buffer = [0; PATH_MAX];
        self.preparing = Some(Preparing::new(number, cx.token, path(cx, name, &mut buffer)?)?);
        self.set_alarm(cx.host);
        Ok(())
    }

    /// ESRCH: it is a driver that is not loaded.
    fn must_be_loaded(&self, number: u8) -> Result<(), Errno> {
        let missing = self.entry(number).start == Start::Load && self.service(number).record.state != State::Running;
        if missing { Err(Errno::ESRCH) } else { Ok(()) }
    }

    /// The program is there: from here on callers wait, until it is ready or the former one goes on.
    pub(crate) fn take_over(&mut self, host: &mut dyn Host, number: u8, token: Token, heir: Heir) -> Result<(), Errno> {
        let Heir { program, shared, room, standby } = heir;
        self.must_be_loaded(number)?;
        self.end_instance(number, 0);
        let saved = match self.save_state(number, room) {
            Ok(saved) => saved,
            Err(errno) => {
                self.tell(Warn, number, format_args!("cannot copy its state: {errno}; nothing is swapped"));
                self.start_instance(self.entry(number));
                return Err(errno);
            }
        };
        let until = sys::clock() + PATIENCE;
        let service = self.service_mut(number);
        let former = (service.program.replace(program), service.shared.replace(shared));
        service.fallback = Saved::default();
        service.trial = Some(Trial { former, token: Some(token), until, saved });
        self.note(number, format_args!("another program takes over"));
        if let Err(errno) = self.begin_instance(self.entry(number), standby) {
            self.roll_back(host, number, errno);
        }
        self.set_alarm(host);
        Ok(())
    }

    /// An instance says that it is ready to serve.
    pub(crate) fn instance_ready(&mut self, host: &mut dyn Host, number: u8) {
        let Some(service) = self.services.get_mut(usize::from(number)) else { return };
        service.record.unready = 0;
        service.ready = true;
        if service.trial.is_none() {
            service.fallback = Saved::default(); // the state that it has is good
        }
        let was_loaded = service.loading.take();
        let period = self.entry(number).heartbeat;
        self.service_mut(number).watch.heard(sys::clock(), period);
        self.introduce(number);
        if let Some(token) = was_loaded {
            host.reply(token, 0);
        }
        // Long enough to notice that it hangs.
        let probation = PROBATION.max(3 * period);
        let Some(service) = self.services.get_mut(usize::from(number)) else { return };
        if let Some(trial) = &mut service.trial
            && let Some(token) = trial.token.take()
        {
            trial.until = sys::clock() + probation;
            host.reply(token, 0);
            self.note(number, format_args!("the new program is ready"));
            self.settle();
        }
        self.set_alarm(host);
    }

    /// The time of the earliest trial has come.
    pub(crate) fn end_trials(&mut self, host: &mut dyn Host) {
        let now = sys::clock();
        for number in numbers() {
            match &mut self.services[usize::from(number)].trial {
                Some(trial) if trial.until <= now && trial.token.is_some() => {
                    self.end_instance(number, 0);
                    self.roll_back(host, number, Errno::ETIMEDOUT);
                }
                Some(trial) if trial.until <= now => self.services[usize::from(number)].trial = None,
                _ => {}
            }
        }
    }

    /// EACCES: a program that wants this would lack something as service `number`, and the log says what.
    pub(crate) fn check_wants(&mut self, number: u8, wants: u64) -> Result<(), Errno> {
        let entry = self.entry(number);
        let granted = [
            (!entry.ports.is_empty(), wants::PORTS),
            (!entry.interrupts.is_empty(), wants::INTERRUPTS),
            (entry.archive, wants::ARCHIVE),
            (entry.rights().contains(Rights::READ), wants::LOG),
            (entry.state != 0, wants::STATE),
        ];
        let granted = granted.iter().filter(|(is_granted, _)| *is_granted).fold(0, |all, (_, bit)| all | bit);
        match (wants & !granted).checked_ilog2() {
            None => Ok(()),
            Some(bit) => {
                let what = wants::NAMES.get(bit as usize).unwrap_or(&"what nobody here knows");
                self.tell(
                    Warn,
                    number,
                    format_args!("not swapped: the program wants {what}, and init/services.toml does not grant it"),
                );
                Err(Errno::EACCES)
            }
        }
    }

    /// The new program has failed: the former one takes over. False: there is none on trial.
    pub(crate) fn roll_back(&mut self, host: &mut dyn Host, number: u8, why: Errno) -> bool {
        let Some(trial) = self.services[usize::from(number)].trial.take() else { return false };
        let entry = self.entry(number);
        match self.service(number).record.reason {
            0 => self.tell(Warn, number, format_args!("the new program has failed: {why}; the former one goes on")),
            died => {
                let died = Reason(died.cast_signed());
                self.tell(Warn, number, format_args!("the new program has failed: {died}; the former one goes on"));
            }
        }
        let service = self.service_mut(number);
        (service.program, service.shared) = trial.former;
        match trial.token {
            // Nobody has been answered since: as if nothing had happened.
            Some(_) => self.put_state_back(number, &trial.saved),
            // What was answered since is in the new state. If that cannot be used, there is the old one.
            None => self.service_mut(number).fallback = trial.saved,
        }
        self.start_instance(entry);
        if let Some(token) = trial.token {
            host.reply(token, why.negated());
        }
        self.set_alarm(host);
        self.settle();
        true
    }

    /// Room for what [`Init::save_state`] will copy, as far as one can tell before. ENOMEM.
    pub(crate) fn room_for_state(&self, number: u8) -> Result<Saved, Errno> {
        let Some(ranges) = self.essence(number)? else { return Ok(Saved::default()) };
        Saved::with_room(ranges.iter().map(ExactSizeIterator::len).sum())
    }

    /// Copies what a new program could ruin of the service's state. ENOMEM.
    fn save_state(&self, number: u8, mut saved: Saved) -> Result<Saved, Errno> {
        let (Some(state), Some(ranges)) = (&self.service(number).state, self.essence(number)?) else {
            return Ok(saved);
        };
        let length = ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
        saved.bytes.try_reserve_exact(length.saturating_sub(saved.bytes.len())).map_err(|_| Errno::ENOMEM)?;
        saved.bytes.resize(length, 0);
        let mut rest = &mut saved.bytes[..];
        for range in &ranges {
            let (bytes, others) = rest.split_at_mut(range.len());
            sys::mem_read(state.slot(), range.start as u64, bytes)?;
            rest = others;
        }
        saved.ranges = ranges;
        Ok(saved)
    }

    /// The parts of the service's state that a new program could ruin; `None`: it has no state. Errors: none that could be.
    fn essence(&self, number: u8) -> Result<Option<[Range<usize>; 2]>, Errno> {
        let Some(state) = &self.service(number).state else { return Ok(None) };
        let mut first = [0; 3 * PAGE];
        sys::mem_read(state.slot(), 0, &mut first)?;
        Ok(Some(essence(&first, self.entry(number).state as usize * PAGE)))
    }

    /// The next instance of a service finds this of its state as it was.
    pub(crate) fn put_state_back(&self, number: u8, saved: &Saved) {
        let Some(state) = &self.service(number).state else { return };
        let mut rest = &saved.bytes[..];
        for range in &saved.ranges {
            let Some((bytes, others)) = rest.split_at_checked(range.len()) else { return };
            // The object is as long as it was, and this process does not map it.
            let _ = sys::mem_write(state.slot(), range.start as u64, bytes);
            rest = others;
        }
    }

    /// Goes on with what had to wait for a swap.
    fn settle(&mut self) {
        if !self.is_unsettled() {
            for token in self.held.drain(..) {
                // ESTALE: nobody waits any more.
                let _ = sys::put_back(slot::ENDPOINT, token);
            }
        }
    }

    /// Asks to be woken for whatever is next: the end of a trial, a heartbeat, or a step of preparing a swap.
    pub(crate) fn set_alarm(&self, host: &mut dyn Host) {
        let trials = self.services.iter().filter_map(|service| service.trial.as_ref()).map(|trial| trial.until);
        let beats = self.services.iter().filter_map(|service| service.watch.alarm());
        let step = self.preparing.as_ref().map(|preparing| preparing.next);
        host.set_alarm(trials.chain(beats).chain(step).min().unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// init looked up late, after the probation would have ended: the one that was only asked now has proved nothing.
    #[test]
    fn who_has_still_to_answer_stays_on_trial() {
        let mut trial = Trial { former: (None, None), token: None, until: 30, saved: Saved::default() };
        trial.must_answer(50);
        assert_eq!(trial.until, 51, "later than the moment at which it counts as hung");
        trial.must_answer(40);
        assert_eq!(trial.until, 51);
    }
}
