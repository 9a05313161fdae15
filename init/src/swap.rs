//! Swapping a service's program while it is in use.
//!
//! What a service knows outlives its process (`libipc/rt`, `durable`), and so do its endpoint and its callers. So a swap
//! is a death at an instant that init chooses, with another program as the heir: the new one is read and checked while
//! the old one serves, then the old one ends, and the new one takes over state and requests. It says when it is ready
//! to serve. If it does not within [`PATIENCE`], or dies, or dies within [`PROBATION`] after that, the former program takes
//! over in the same way, from the same state. Callers wait meanwhile; no request is lost either way.

use alloc::vec::Vec;
use core::ffi::CStr;

use parley_abi::Errno;
use parley_abi::PATH_MAX;
use parley_abi::msg::Token;
use parley_abi::slot;
use parley_proto::{Cx, Host, Text};
use parley_rt::sys;

use crate::file::{File, Source};
use crate::image::{Image, read_exactly};
use crate::log;
use crate::programs::path;
use crate::server::Init;
use crate::services::numbers;

/// How long a new program may take until it is ready, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// How long after that its death still brings the former one back, in nanoseconds.
const PROBATION: u64 = 2_000_000_000;
/// Largest program, in bytes.
const LARGEST: u64 = 4 << 20;

/// A program that has taken over and may still have to go.
#[derive(Debug)]
pub struct Trial {
    /// The program before it; `None` is the boot archive's.
    former: Option<Vec<u8>>,
    /// Who asked for the swap, until it is known to be one.
    token: Option<Token>,
    /// When the patience or the probation ends.
    until: u64,
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
        let mut buffer = [0; PATH_MAX];
        let program = read(path(cx, name, &mut buffer)?)?;
        Image::read(&mut &program[..])?;
        let until = sys::clock() + PATIENCE;
        let service = &mut self.services[usize::from(number)];
        let former = service.program.replace(program);
        service.trial = Some(Trial { former, token: Some(cx.token), until });
        self.end_instance(number, 0);
        if let Err(errno) = self.try_start_instance(self.entry(number)) {
            self.roll_back(cx.host, number, errno);
        }
        self.watch_trials(cx.host);
        Ok(())
    }

    /// An instance says that it is ready to serve.
    pub(crate) fn instance_ready(&mut self, host: &mut dyn Host, number: u8) {
        let Some(service) = self.services.get_mut(usize::from(number)) else { return };
        service.record.unready = 0;
        if let Some(trial) = &mut service.trial
            && let Some(token) = trial.token.take()
        {
            trial.until = sys::clock() + PROBATION;
            host.reply(token, 0);
            self.watch_trials(host);
            self.settle();
        }
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
        self.watch_trials(host);
    }

    /// The new program has failed: the former one takes over. False: there is none on trial.
    pub(crate) fn roll_back(&mut self, host: &mut dyn Host, number: u8, why: Errno) -> bool {
        let Some(trial) = self.services[usize::from(number)].trial.take() else { return false };
        let entry = self.entry(number);
        log!(Warn, "service {}: the new program has failed: {why}; the former one goes on", entry.name);
        self.services[usize::from(number)].program = trial.former;
        self.start_instance(entry);
        if let Some(token) = trial.token {
            host.reply(token, why.negated());
        }
        self.watch_trials(host);
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

    fn watch_trials(&self, host: &mut dyn Host) {
        let earliest = self.services.iter().filter_map(|service| service.trial.as_ref()).map(|trial| trial.until).min();
        host.set_alarm(earliest.unwrap_or(0));
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
