//! Drives a durable service: each event is finished before anything of it is heard outside.
//!
//! No system call is made here except through [`Host`], so that the host's tests can kill a service after any event and
//! look at what the next instance makes of it.

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Durable, Host, Outcome, Service};

use super::host::{Recorder, Replayer};
use super::store::{Answer, Effects, RECORD, Store, Tape};

/// Events between two tries to export a state that does not fit.
const LEAST_PATIENCE: u32 = 16;
const MOST_PATIENCE: u32 = 4096;

/// Something that a service hears of.
#[derive(Clone, Copy, Debug)]
pub enum Happening {
    /// A request: token, badge, label, words.
    Request(Token, u64, u32, Words),
    /// See [`parley_proto::Service::closed`].
    Closed(u64),
    /// See [`parley_proto::Service::cancelled`].
    Cancelled(Token),
    /// See [`parley_proto::Service::notified`].
    Notified(u64),
    /// See [`parley_proto::Service::alarm`].
    Alarm,
}

impl Happening {
    /// As the record of an entry in the journal, together with its answer.
    #[inline(always)]
    fn record(self, answer: Answer) -> [u64; RECORD] {
        let [then, value] = answer.words();
        let (kind, word) = match self {
            Happening::Request(token, badge, label, [a, b, c, d, e, f]) => {
                return [u64::from(label) << 32, token.0, badge, a, b, c, d, e, f, then, value];
            }
            Happening::Closed(badge) => (1, badge),
            Happening::Cancelled(token) => (2, token.0),
            Happening::Notified(bits) => (3, bits),
            Happening::Alarm => (4, 0),
        };
        [kind, word, 0, 0, 0, 0, 0, 0, 0, then, value]
    }

    /// EINVAL: none of these.
    fn of_record(record: &[u64; RECORD]) -> Result<(Happening, Answer), Errno> {
        let [kind, word, badge, a, b, c, d, e, f, then, value] = *record;
        let what = match kind as u32 {
            0 => Happening::Request(Token(word), badge, (kind >> 32) as u32, [a, b, c, d, e, f]),
            1 => Happening::Closed(word),
            2 => Happening::Cancelled(Token(word)),
            3 => Happening::Notified(word),
            4 => Happening::Alarm,
            _ => return Err(Errno::EINVAL),
        };
        Ok((what, Answer::from_words([then, value])))
    }
}

/// Lets a service hear of something, and returns what it answers.
///
/// Through a vtable, so that the loop's own call is the only other copy of the service's code.
#[inline(never)]
fn happen(service: &mut dyn Service, host: &mut dyn Host, what: Happening) -> Answer {
    match what {
        Happening::Request(token, badge, label, words) => {
            return answer_of(&service.request(&mut Cx { host, token, badge }, label, &words));
        }
        Happening::Closed(badge) => service.closed(host, badge),
        Happening::Cancelled(token) => service.cancelled(host, token),
        Happening::Notified(bits) => service.notified(host, bits),
        Happening::Alarm => service.alarm(host),
    }
    Answer::None
}

/// The answer in an outcome, as far as it must not be given twice differently.
#[inline(always)]
fn answer_of(outcome: &Outcome<'_>) -> Answer {
    match *outcome {
        Outcome::Done(result) => Answer::Done(result),
        Outcome::Open { badge, close_on_exec } => Answer::Open(badge, close_on_exec),
        _ => Answer::None,
    }
}

/// What became of the state of an earlier instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revival {
    /// There was none.
    New,
    /// It is the service's now. The alarm that was set.
    Resumed(u64),
    /// It cannot be used, for this reason.
    Lost(Errno),
}

/// The keeper of one service's state.
pub struct Keeper<'m> {
    store: Store<'m>,
    effects: Effects,
    /// What the service has asked for; 0: nothing.
    alarm: u64,
    /// The last export is of an idle service, and nothing has changed since.
    idle: bool,
    /// The state did not fit the last time. What has happened since is not kept, and neither is what happens from now
    /// on: entries of the journal must follow each other without a gap.
    gap: bool,
    /// Events until the next try, and how many it was after the last: a state that does not fit is not tried each time.
    wait: u32,
    patience: u32,
}

impl<'m> Keeper<'m> {
    /// A keeper of this memory, as the instance before left it.
    pub fn new(memory: &'m mut [u8]) -> Keeper<'m> {
        Keeper {
            store: Store::new(memory),
            effects: Effects::NONE,
            alarm: 0,
            idle: false,
            gap: false,
            wait: 0,
            patience: 0,
        }
    }

    /// Lets the service serve a request, and finishes that if it is to be `kept`. What `finish` makes of the outcome is
    /// returned, together with the answers to requests that had been kept, which are to be given now.
    ///
    /// One call of a write-ahead service for both cases: what is not kept goes to the world past the recorder.
    #[inline(always)]
    pub fn request<S: Durable, R>(
        &mut self,
        service: &mut S,
        world: &mut dyn Host,
        kept: bool,
        (token, badge, label, words): (Token, u64, u32, Words),
        finish: impl FnOnce(Outcome<'_>) -> R,
    ) -> R {
        if !S::WRITE_AHEAD && !kept {
            // The rule for a service with checkpoints, and worth a copy of its code.
            return finish(service.request(&mut Cx { host: world, token, badge }, label, &words));
        }
        let mut recorder;
        let host: &mut dyn Host = if kept {
            recorder = self.recorder::<S>(&mut *world, token);
            &mut recorder
        } else {
            &mut *world
        };
        let outcome = service.request(&mut Cx { host, token, badge }, label, &words);
        let answer = answer_of(&outcome);
        let result = finish(outcome);
        if kept {
            self.finish(service, world, Happening::Request(token, badge, label, words), answer);
        }
        result
    }

    /// Lets the service hear of something that is not answered, and finishes that.
    pub fn happen<S: Durable>(&mut self, service: &mut S, world: &mut dyn Host, what: Happening) {
        if let Happening::Alarm = what {
            self.alarm = 0; // the one that has rung
        }
        let answer = happen(service, &mut self.recorder::<S>(&mut *world, Token::NONE), what);
        self.finish(service, world, what, answer);
    }

    /// Begins an event: the world as the service is to see it.
    #[inline(always)]
    fn recorder<'a, S: Durable>(&'a mut self, world: &'a mut dyn Host, token: Token) -> Recorder<'a, 'm> {
        self.effects.clear(token);
        if S::WRITE_AHEAD {
            self.store.begin();
        }
        let store = if S::WRITE_AHEAD { Some(&mut self.store) } else { None };
        Recorder { world, store, effects: &mut self.effects, alarm: &mut self.alarm }
    }

    /// Finishes an event.
    #[inline(always)]
    fn finish<S: Durable>(&mut self, service: &mut S, world: &mut dyn Host, what: Happening, answer: Answer) {
        self.effects.answer = answer;
        if S::WRITE_AHEAD {
            let changed = service.has_changed() || !self.effects.replies().is_empty();
            if changed && (self.gap || !self.store.commit(&what.record(answer))) {
                self.try_export(service, world);
            }
        } else {
            let idle = service.is_idle();
            if !(idle && self.idle && self.effects.replies().is_empty()) {
                self.try_export(service, world);
            }
            self.idle = idle;
        }
        for &(token, result) in self.effects.replies() {
            world.reply(token, result);
        }
    }

    #[inline(never)]
    fn try_export<S: Durable>(&mut self, service: &S, world: &mut dyn Host) {
        match self.wait {
            0 => self.export(service, world),
            _ => self.wait -= 1,
        }
    }

    /// Keeps the state of a service that has just started and set this alarm.
    pub fn begin<S: Durable>(&mut self, service: &S, world: &mut dyn Host, alarm: u64) {
        self.effects.clear(Token::NONE);
        self.alarm = alarm;
        self.export(service, world);
    }

    /// Writes the whole state down. If it does not fit, the log says so, and the state is that of before until it fits
    /// again.
    fn export<S: Durable>(&mut self, service: &S, world: &mut dyn Host) {
        match self.store.export(S::VERSION, self.alarm, &self.effects, |into| service.export(into)) {
            Ok(()) => (self.gap, self.patience) = (false, 0),
            Err(_) => {
                if !core::mem::replace(&mut self.gap, true) {
                    world.log("state no longer fits: a crash from now on takes recent changes with it\n");
                }
                self.patience = (self.patience * 2).clamp(LEAST_PATIENCE, MOST_PATIENCE);
                self.wait = self.patience;
            }
        }
    }

    /// Gives the service the state of the instance before: its last export, then what happened since.
    pub fn revive<S: Durable>(&mut self, service: &mut S) -> Revival {
        let Some(found) = self.store.load() else {
            return if self.store.is_blank() { Revival::New } else { Revival::Lost(Errno::EINVAL) };
        };
        if let Err(errno) = service.import(found.version, self.store.bytes(&found)) {
            return Revival::Lost(errno);
        }
        (self.alarm, self.effects) = (found.alarm, found.effects);
        while let Some((record, tape)) = self.store.next_entry() {
            match repeat(service, &record, tape, self.alarm, &mut self.effects) {
                Ok(alarm) => self.alarm = alarm,
                Err(errno) => return Revival::Lost(errno),
            }
        }
        Revival::Resumed(self.alarm)
    }

    /// Lets a service that was revived go on, and keeps the state after that. Errors are those of
    /// [`Durable::resume`].
    pub fn resume<S: Durable>(&mut self, service: &mut S, world: &mut dyn Host) -> Result<(), Errno> {
        self.effects.clear(Token::NONE);
        let (effects, alarm) = (&mut self.effects, &mut self.alarm);
        service.resume(&mut Recorder { world: &mut *world, store: None, effects, alarm })?;
        self.export(service, world);
        for &(token, result) in self.effects.replies() {
            world.reply(token, result);
        }
        Ok(())
    }

    /// What the last event that was finished let out. Perhaps it did not arrive.
    pub fn last(&self) -> &Effects {
        &self.effects
    }

    /// What the next instance would find.
    #[cfg(test)]
    pub fn memory(&self) -> &[u8] {
        self.store.memory()
    }

    /// The alarm that the service has set; 0: none.
    #[cfg(test)]
    pub fn alarm(&self) -> u64 {
        self.alarm
    }

    /// See [`Store::strike`].
    pub fn strike(&mut self, token: Token) -> u64 {
        self.store.strike(token)
    }
}

/// Lets the service do again what it did. Returns the alarm after it. EINVAL: it does something else.
fn repeat<S: Durable>(
    service: &mut S,
    record: &[u64; RECORD],
    tape: Tape<'_>,
    alarm: u64,
    effects: &mut Effects,
) -> Result<u64, Errno> {
    let (what, then) = Happening::of_record(record)?;
    effects.clear(if let Happening::Request(token, ..) = what { token } else { Token::NONE });
    let alarm = if let Happening::Alarm = what { 0 } else { alarm };
    let mut past = Replayer { tape, alarm, effects, diverged: false };
    let answer = happen(service, &mut past, what);
    let Replayer { tape, alarm, effects, diverged } = past;
    service.has_changed(); // asked once after each event
    if diverged || then != answer || !tape.is_over() {
        return Err(Errno::EINVAL);
    }
    effects.answer = answer;
    Ok(alarm)
}
