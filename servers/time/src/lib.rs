//! The time service: what time it is, and who wants to be woken when.
//!
//! The core counts nanoseconds since boot; the clock chip knows the date. The chip is slow to read, so it
//! is read once, at the start: from then on the date is the core's count and an offset. Sleepers are kept
//! as tokens in a heap ([`sleepers`]), with one alarm for the earliest, so any number of them may sleep
//! while the service itself never does.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod clock;
mod keep;
pub mod news;
pub mod sleepers;
pub mod source;
#[cfg(test)]
mod tests;

use parley_abi::Errno;
use parley_abi::linux::{Plain, Seconds, Timespec, Timeval};
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Host, InOf, OutOf, Outcome, RowSink, Service, time};
use parley_rt::durable::{Memory, Volatile};
use server_drivers::Rtc;

use crate::news::News;
use crate::sleepers::{Sleeper, Sleepers};
use crate::source::Source;

/// Sleepers woken by one alarm. More of them are woken by the next, which follows at once: between the
/// two the service hears everybody else.
const WAKE_AT_ONCE: usize = 64;

/// Readings of the clock chip at a time: a machine that is held up between two registers sees no second twice.
const READINGS: usize = 3;
/// Times that the chip is looked at, a second apart, until it is thought to show no date.
const LOOKS: u32 = 10;

/// The service.
pub struct Time<R, M = Volatile, S = source::Core> {
    rtc: R,
    /// What the clocks count by.
    source: S,
    /// A clock has shown this: none shows less.
    floor: u64,
    /// What outlives the process: see `keep`.
    memory: M,
    /// Nanoseconds between 1970 and boot; 0: the date is not known.
    offset: u64,
    /// How often the chip will still be looked at for a date, and when next; 0: not.
    looks: u32,
    look_at: u64,
    sleepers: Sleepers,
    news: News,
    /// What the core was last asked for, so that it isn't asked again; 0 is nothing.
    alarm: u64,
    /// Which version of the state it writes: see `keep`.
    version: u32,
    /// The answers to the clock rows, which leave with the reply instead of a copy of their own.
    timespec: Timespec,
    timeval: Timeval,
}

impl<R: Rtc> Time<R, Volatile> {
    /// The service with its clock chip, which is not touched before [`Service::start`]. What it knows ends with it.
    pub const fn new(rtc: R) -> Time<R, Volatile> {
        Time::over(Volatile::new(), rtc, source::Core)
    }
}

impl<R: Rtc, M: Memory, S: Source> Time<R, M, S> {
    /// As [`Time::new`], with everything that must not be lost in this memory, and clocks that count by `source`.
    pub const fn over(memory: M, rtc: R, source: S) -> Time<R, M, S> {
        Time {
            rtc,
            source,
            floor: 0,
            memory,
            offset: 0,
            looks: 0,
            look_at: 0,
            sleepers: Sleepers::new(),
            news: News::new(),
            alarm: 0,
            version: 1,
            timespec: Timespec { sec: 0, nsec: 0 },
            timeval: Timeval { sec: 0, usec: 0 },
        }
    }

    /// The same, in another version of its state.
    pub fn in_version(self, version: u32) -> Time<R, M, S> {
        Time { version, ..self }
    }

    /// Nanoseconds since 1970; a `u64` holds them until the year 2554.
    fn realtime(&mut self, host: &mut dyn Host) -> u64 {
        self.since_boot(host).wrapping_add(self.offset)
    }

    /// Nanoseconds since boot, by the source.
    fn since_boot(&mut self, host: &mut dyn Host) -> u64 {
        let now = self.source.now(host).max(self.floor);
        if S::LEADS {
            self.floor = now;
            keep::shown(&mut self.memory, now);
        }
        now
    }

    /// Takes in a sleeper. EFAULT, EINVAL: no valid duration. ENOMEM: no room.
    fn fall_asleep(
        &mut self,
        cx: &mut Cx<'_>,
        duration: InOf<Timespec>,
        left: OutOf<Timespec>,
    ) -> Result<Outcome<'_>, Errno> {
        let duration = clock::nanoseconds(duration.read(cx)?)?;
        if duration == 0 {
            return Ok(Outcome::Done(0));
        }
        let wake = cx.host.now().saturating_add(duration);
        let left = (!left.is_null).then(|| left.lease());
        self.sleepers.reserve()?;
        let sleeper = Sleeper { wake, order: self.sleepers.next_order(), token: cx.token, left, record: 0 };
        let record = keep::add(&mut self.memory, &sleeper)?;
        self.sleepers.add(Sleeper { record, ..sleeper });
        if self.version >= 2 {
            keep::count(&mut self.memory);
        }
        self.set_alarm(cx.host);
        Ok(Outcome::Later)
    }

    /// When somebody is due; 0 is never.
    fn earliest(&self) -> u64 {
        let look = (self.look_at != 0).then_some(self.look_at);
        self.sleepers.earliest().into_iter().chain(self.news.due()).chain(look).min().unwrap_or(0)
    }

    /// Looks at the clock chip for the date, from now on.
    fn look_for_date(&mut self, host: &mut dyn Host) {
        self.looks = LOOKS;
        self.look(host);
        if self.look_at != 0 {
            host.log(format_args!("the clock chip shows no valid date; starting in 1970, and looking again"));
        }
        self.set_alarm(host);
    }

    /// Looks at the clock chip once.
    fn look(&mut self, host: &mut dyn Host) {
        self.look_at = 0;
        self.looks -= 1;
        match (0..READINGS).find_map(|_| self.rtc.read()) {
            Some(seconds) => {
                let date = seconds.saturating_mul(clock::SECOND);
                self.offset = date.saturating_sub(host.now());
                if self.looks + 1 < LOOKS {
                    host.log(format_args!("the clock chip shows a date now"));
                }
            }
            None if self.looks > 0 => self.look_at = host.now() + clock::SECOND,
            None => host.log(format_args!("the clock chip never showed a valid date; it is 1970")),
        }
    }

    /// Ends the waits for news that are over. A few; the others end with the next alarm, which follows at once.
    fn spread(&mut self, host: &mut dyn Host, now: u64) {
        for _ in 0..WAKE_AT_ONCE {
            let Some((token, is_late)) = self.news.leave(now) else { return };
            host.reply(token, is_late.into());
        }
    }

    /// Tells the core when somebody is due, if that has changed.
    fn set_alarm(&mut self, host: &mut dyn Host) {
        let earliest = self.earliest();
        if earliest != self.alarm {
            self.alarm = earliest;
            host.set_alarm(earliest);
        }
    }
}

impl<R: Rtc, M: Memory, S: Source> time::Time for Time<R, M, S> {
    fn clock_gettime(&mut self, cx: &mut Cx<'_>, clock: u32, time: OutOf<Timespec>) -> Outcome<'_> {
        let Some(kind) = clock::Kind::of(clock) else { return Outcome::from(Errno::EINVAL) };
        if time.is_null {
            return Outcome::from(Errno::EFAULT);
        }
        let now = match kind {
            clock::Kind::SinceBoot => self.since_boot(cx.host),
            clock::Kind::Date => self.realtime(cx.host),
        };
        self.timespec = Timespec::from_nanoseconds(now);
        Outcome::Fill(self.timespec.bytes())
    }

    fn gettimeofday(&mut self, cx: &mut Cx<'_>, time: OutOf<Timeval>, _zone: u64) -> Outcome<'_> {
        if time.is_null {
            return Outcome::Done(0);
        }
        self.timeval = clock::timeval(self.realtime(cx.host));
        Outcome::Fill(self.timeval.bytes())
    }

    fn time(&mut self, cx: &mut Cx<'_>, seconds: OutOf<Seconds>) -> Outcome<'_> {
        let now = Timespec::from_nanoseconds(self.realtime(cx.host)).sec;
        if !seconds.is_null
            && let Err(errno) = seconds.write(cx, &Seconds(now))
        {
            return Outcome::from(errno);
        }
        Outcome::Done(now)
    }

    fn nanosleep(&mut self, cx: &mut Cx<'_>, duration: InOf<Timespec>, left: OutOf<Timespec>) -> Outcome<'_> {
        self.fall_asleep(cx, duration, left).unwrap_or_else(Outcome::from)
    }

    fn epoch(&mut self, _cx: &mut Cx<'_>) -> Outcome<'_> {
        Outcome::Done(self.offset.cast_signed())
    }

    fn changes(&mut self, _: &mut Cx<'_>) -> Outcome<'_> {
        Outcome::Done(self.news.last().cast_signed())
    }

    fn await_change(&mut self, cx: &mut Cx<'_>, seen: u64, until: u64) -> Outcome<'_> {
        let until = if until == 0 { u64::MAX } else { until };
        if seen != self.news.last() {
            return Outcome::Done(0);
        }
        if until <= cx.host.now() {
            return Outcome::Done(1);
        }
        if let Err(errno) = self.news.wait(cx.token, until) {
            return errno.into();
        }
        self.set_alarm(cx.host);
        Outcome::Later
    }

    fn changed(&mut self, cx: &mut Cx<'_>) -> Outcome<'_> {
        let now = cx.host.now();
        self.news.come(now);
        self.spread(cx.host, now);
        self.set_alarm(cx.host);
        Outcome::Done(0)
    }
}

impl<R: Rtc, M: Memory, S: Source> Service for Time<R, M, S> {
    fn rows(sink: &mut impl RowSink) {
        time::rows(sink);
    }

    /// Reads the clock chip. While it shows no date that starts in 1970, the log says so, and the chip is looked at again:
    /// then the date goes forward, and never back.
    fn start(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        self.look_for_date(host);
        self.source.begin(host);
        self.news.come(host.now());
        keep::begin(&mut self.memory, self.offset)
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        time::dispatch(self, cx, label, words)
    }

    /// Wakes whoever is due, in the order of their times.
    fn alarm(&mut self, host: &mut dyn Host) {
        let now = host.now();
        for _ in 0..WAKE_AT_ONCE {
            let Some(sleeper) = self.sleepers.pop_due(now) else { break };
            keep::remove(&mut self.memory, sleeper.record);
            host.reply(sleeper.token, 0);
        }
        self.spread(host, now);
        if self.look_at != 0 && self.look_at <= now {
            self.look(host);
            keep::dated(&mut self.memory, self.offset);
        }
        // The alarm that has rung is gone, so the next is asked for even if it is for the same time.
        self.alarm = self.earliest();
        host.set_alarm(self.alarm);
    }

    /// Ends a sleep early: what remained goes to the caller's `left`, the answer is EINTR.
    fn cancelled(&mut self, host: &mut dyn Host, token: Token) {
        if self.news.remove(token) {
            host.reply(token, Errno::EINTR.negated());
            return self.set_alarm(host);
        }
        let Some(sleeper) = self.sleepers.remove(token) else { return };
        keep::remove(&mut self.memory, sleeper.record);
        let result = tell_remaining(host, sleeper).err().unwrap_or(Errno::EINTR);
        host.reply(token, result.negated());
        self.set_alarm(host);
    }
}

/// Writes what remains of a sleep. EFAULT: the caller's `left` is not mapped.
fn tell_remaining(host: &mut dyn Host, sleeper: Sleeper) -> Result<(), Errno> {
    let Some(lease) = sleeper.left else { return Ok(()) };
    let remaining = Timespec::from_nanoseconds(sleeper.wake.saturating_sub(host.now()));
    match host.copy_out(sleeper.token, lease, 0, remaining.bytes())? {
        copied if copied == remaining.bytes().len() => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}
