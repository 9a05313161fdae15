//! Swapping a service's program while it is in use.
//!
//! What a service knows outlives its process (`libipc/rt`, `durable`), and so do its endpoint and its callers. So a swap
//! is a death at an instant that init chooses, with another program as the heir: the new one is read and checked while
//! the old one serves, then the old one ends, and the new one takes over requests and a copy of the state. It says when it
//! is ready to serve. If it does not within [`PATIENCE`], or dies, the former program goes on from the original state, as if
//! nothing had happened. If it dies within [`PROBATION`] after that, the former one takes over from the new state, in which
//! all is that was answered since; only if that cannot be used, from the original. Callers wait meanwhile.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::call::Rights;
use parley_abi::msg::Token;
use parley_abi::{PAGE, PATH_MAX};
use parley_abi::{slot, wants};
use parley_proto::{Cx, Host, Text};
use parley_rt::sys;

use crate::console::Level::Warn;
use crate::file::{File, Source};
use crate::handle::Handle;
use crate::image::{Image, read_exactly};
use crate::manifest::Start;
use crate::programs::path;
use crate::server::Init;
use crate::services::numbers;
use crate::supervise::State;

/// How long a new program may take until it is ready, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// How long after that its death still brings the former one back, at least, in nanoseconds.
const PROBATION: u64 = 2_000_000_000;
/// Largest program, in bytes.
const LARGEST: u64 = 4 << 20;
/// Bytes of a state that are copied at a time.
const CHUNK: usize = 32 << 10;

/// A program that has taken over and may still have to go.
#[derive(Debug)]
pub struct Trial {
    /// The program before it; `None` is the boot archive's.
    former: Option<Vec<u8>>,
    /// Who asked for the swap, until it is known to be one.
    token: Option<Token>,
    /// When the patience or the probation ends.
    until: u64,
    /// The state as the former program left it: the new one works on a copy.
    state: Option<Handle>,
}

impl Init {
    /// Some service's new program is not ready yet: nobody knows whether it ever answers, so init must not ask it.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.services.iter().any(|service| service.trial.as_ref().is_some_and(|trial| trial.token.is_some()))
    }

    /// What `init::swap` does; the answer comes when the new program is ready, or is not.
    pub(crate) fn swap(&mut self, cx: &mut Cx<'_>, number: u32, name: Text) -> Result<(), Errno> {
        let number = self.changeable(number)?;
        if self.is_unsettled() {
            return Err(Errno::EBUSY);
        }
        if self.entry(number).start == Start::Load && self.service(number).record.state != State::Running {
            return Err(Errno::ESRCH);
        }
        let mut buffer = [0; PATH_MAX];
        let program = read(path(cx, name, &mut buffer)?)?;
        let image = Image::read(&mut &program[..])?;
        self.check_wants(number, image.wants)?;
        self.end_instance(number, 0);
        let state = match self.copy_state(number) {
            Ok(state) => state,
            Err(errno) => {
                self.tell(Warn, number, format_args!("no memory for a copy of its state: {errno}; nothing is swapped"));
                self.start_instance(self.entry(number));
                return Err(errno);
            }
        };
        let until = sys::clock() + PATIENCE;
        let service = self.service_mut(number);
        let former = service.program.replace(program);
        service.fallback = None;
        service.trial = Some(Trial { former, token: Some(cx.token), until, state });
        self.note(number, format_args!("another program takes over"));
        if let Err(errno) = self.try_start_instance(self.entry(number)) {
            self.roll_back(cx.host, number, errno);
        }
        self.set_alarm(cx.host);
        Ok(())
    }

    /// An instance says that it is ready to serve.
    pub(crate) fn instance_ready(&mut self, host: &mut dyn Host, number: u8) {
        let Some(service) = self.services.get_mut(usize::from(number)) else { return };
        service.record.unready = 0;
        service.ready = true;
        if service.trial.is_none() {
            service.fallback = None; // the state that it has is good
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
    fn check_wants(&mut self, number: u8, wants: u64) -> Result<(), Errno> {
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

    /// Lets the next instance work on a copy of the state, and returns the original.
    fn copy_state(&mut self, number: u8) -> Result<Option<Handle>, Errno> {
        let pages = self.entry(number).state;
        let Some(original) = &self.service(number).state else { return Ok(None) };
        let copy = Handle::new(sys::mem_create(slot::QUOTA, pages)?);
        let mut buffer = Vec::new();
        buffer.try_reserve_exact(CHUNK).map_err(|_| Errno::ENOMEM)?;
        buffer.resize(CHUNK, 0);
        let length = pages * PAGE as u64;
        for at in (0..length).step_by(CHUNK) {
            let part = &mut buffer[..CHUNK.min((length - at) as usize)];
            sys::mem_read(original.slot(), at, part)?;
            sys::mem_write(copy.slot(), at, part)?;
        }
        Ok(self.service_mut(number).state.replace(copy))
    }

    /// The new program has failed: the former one takes over. False: there is none on trial.
    pub(crate) fn roll_back(&mut self, host: &mut dyn Host, number: u8, why: Errno) -> bool {
        let Some(trial) = self.services[usize::from(number)].trial.take() else { return false };
        let entry = self.entry(number);
        self.tell(Warn, number, format_args!("the new program has failed: {why}; the former one goes on"));
        let service = self.service_mut(number);
        service.program = trial.former;
        match (trial.state, trial.token) {
            // Nobody has been answered since: as if nothing had happened.
            (Some(state), Some(_)) => service.state = Some(state),
            // What was answered since is in the new state. If that cannot be used, there is the old one.
            (state, _) => service.fallback = state,
        }
        self.start_instance(entry);
        if let Some(token) = trial.token {
            host.reply(token, why.negated());
        }
        self.set_alarm(host);
        self.settle();
        true
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

    /// Asks to be woken for whatever is next: the end of a trial, or a heartbeat.
    pub(crate) fn set_alarm(&self, host: &mut dyn Host) {
        let trials = self.services.iter().filter_map(|service| service.trial.as_ref()).map(|trial| trial.until);
        let beats = self.services.iter().filter_map(|service| service.watch.alarm());
        host.set_alarm(trials.chain(beats).min().unwrap_or(0));
    }
}

/// A whole file. EFBIG: more than [`LARGEST`]. ENOMEM. Other errors: see [`File::open`].
fn read(path: &CStr) -> Result<Vec<u8>, Errno> {
    let mut file = File::open(path)?;
    if file.len() > LARGEST {
        return Err(Errno::EFBIG);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(file.len() as usize).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(file.len() as usize, 0);
    for (chunk, offset) in bytes.chunks_mut(32 << 10).zip((0..).step_by(32 << 10)) {
        read_exactly(&mut file, offset, chunk)?;
    }
    Ok(bytes)
}
