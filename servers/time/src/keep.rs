//! What outlives an instance: the offset of the date, and who sleeps until when.
//!
//! Who waits for news ([`crate::news`]) is not kept: it asks again.
//!
//! In place: a record for each sleeper, of which the heap in [`Sleepers`](crate::sleepers::Sleepers) is made again. With a
//! thousand sleepers, a checkpoint after each arrival would copy a thousand. The clock chip is read at the very first
//! start only, and later if it showed no date then: so no instance goes back behind the one before it.
//!
//! Version 2 counts sleeps, in a word that version 1 leaves alone.
//!
//! A record is four words: when it wakes, its order, its token (0: the record is free), and which buffer takes
//! what remains: 0 for none, or one more than its number.

use parley_abi::Errno;
use parley_abi::msg::Token;
use parley_proto::Host;
use parley_rt::Durable;
use parley_rt::durable::{Lasting, Memory, ROOT, Records, Schema};
use server_drivers::Rtc;

use crate::Time;
use crate::sleepers::Sleeper;
use crate::source::Source;

/// Nanoseconds between 1970 and boot.
const OFFSET: usize = ROOT;
/// From version 2 on: sleeps begun since that version came.
const COUNT: usize = ROOT + 1;
/// What a source that may run ahead of the core's count has shown, in nanoseconds since boot.
const SHOWN: usize = ROOT + 2;
/// Which records are free.
const SLEEPERS: Records<WORDS> = Records(ROOT + 4);
const WORDS: usize = 4;
const WAKE: usize = 0;
const ORDER: usize = 1;
const TOKEN: usize = 2;
const LEFT: usize = 3;

/// Begins with this offset and no sleepers.
pub fn begin<M: Memory>(memory: &mut M, offset: u64) -> Result<(), Errno> {
    if M::LASTS {
        memory.prepare()?;
        memory.set(OFFSET, offset);
    }
    Ok(())
}

/// The date is known now.
pub fn dated<M: Memory>(memory: &mut M, offset: u64) {
    if M::LASTS {
        memory.set(OFFSET, offset);
    }
}

/// Keeps a sleeper; returns the number of its record. ENOMEM: no room.
pub fn add<M: Memory>(memory: &mut M, sleeper: &Sleeper) -> Result<usize, Errno> {
    if !M::LASTS {
        return Ok(0);
    }
    let record = SLEEPERS.take(memory).map_err(|_| Errno::ENOMEM)?;
    let at = Records::<WORDS>::at(record);
    memory.set(at + WAKE, sleeper.wake);
    memory.set(at + ORDER, sleeper.order);
    memory.set(at + TOKEN, sleeper.token.0);
    memory.set(at + LEFT, sleeper.left.map_or(0, |lease| u64::from(lease) + 1));
    Ok(record)
}

/// Forgets the sleeper of this record.
pub fn remove<M: Memory>(memory: &mut M, record: usize) {
    if M::LASTS {
        memory.set(Records::<WORDS>::at(record) + TOKEN, 0);
        SLEEPERS.give(memory, record);
    }
}

/// Keeps what a clock shows.
pub fn shown<M: Memory>(memory: &mut M, now: u64) {
    if M::LASTS {
        memory.set(SHOWN, now);
    }
}

/// Counts a sleep.
pub fn count<M: Memory>(memory: &mut M) {
    if M::LASTS {
        memory.set(COUNT, memory.get(COUNT) + 1);
    }
}

impl<R: Rtc, S: Source> Durable for Time<R, Lasting, S> {
    fn schema(&self) -> Schema {
        Schema::additive(self.version)
    }

    #[inline(always)]
    fn memory(&mut self) -> &mut Lasting {
        &mut self.memory
    }

    fn holds(&self, token: Token) -> bool {
        self.sleepers.iter().any(|sleeper| sleeper.token == token)
    }

    fn resume(&mut self, host: &mut dyn Host, from: u32) -> Result<(), Errno> {
        if self.version >= 2 {
            if from < 2 {
                self.memory.set(COUNT, 0);
            }
            host.log(format_args!("sleeps since version 2: {}", self.memory.get(COUNT)));
        }
        let memory = &self.memory;
        for record in SLEEPERS.numbers(memory) {
            let [wake, order, token, left] =
                core::array::from_fn(|word| memory.get(Records::<WORDS>::at(record) + word));
            if token != 0 {
                self.sleepers.reserve()?;
                let left = (left as u8).checked_sub(1);
                self.sleepers.add(Sleeper { wake, order, token: Token(token), left, record });
            }
        }
        self.offset = memory.get(OFFSET);
        self.alarm = memory.alarm();
        self.floor = memory.get(SHOWN);
        self.source.begin(host);
        self.news.come(host.now());
        if self.offset == 0 {
            self.look_for_date(host);
            dated(&mut self.memory, self.offset);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_proto::Service;
    use parley_rt::durable::{Found, WORDS_IN_PAGE};
    use proptest::prelude::*;
    use server_drivers::fake::FakeRtc;

    fn time(words: &[[u8; 8]], date: u64) -> Time<FakeRtc, Lasting> {
        Time::over(Lasting::new(Vec::leak(words.to_vec())), FakeRtc(Some(date)), crate::source::Core)
    }

    proptest! {
        /// Sleepers come and go; the next instance has those that are there, in the same order.
        #[test]
        fn state_survives_the_trip(sleepers in prop::collection::vec((0u64..9, prop::option::of(0u8..2), any::<bool>()), 0..300)) {
            let mut host = crate::tests::FakeHost::default();
            let mut first = time(&[[0; 8]; 16 * WORDS_IN_PAGE], 1_000);
            first.start(&mut host).unwrap();
            for (token, &(wake, left, goes)) in (1..).zip(&sleepers) {
                let order = first.sleepers.next_order();
                let sleeper = Sleeper { wake, order, token: Token(token), left, record: 0 };
                let record = add(&mut first.memory, &sleeper).unwrap();
                first.sleepers.reserve().unwrap();
                first.sleepers.add(Sleeper { record, ..sleeper });
                if goes {
                    first.cancelled(&mut host, Token(token / 2 + 1));
                }
            }
            first.memory.finish_for_test(Token(1));
            let mut next = time(first.memory.words(), 7);
            prop_assert_eq!(next.memory.found(), Found::State);
            next.resume(&mut host, 1).unwrap();
            prop_assert_eq!(next.offset, first.offset);
            let tokens = || (1..).map(Token).take(sleepers.len());
            prop_assert!(tokens().all(|token| next.holds(token) == first.holds(token)));
            let drain = |time: &mut Time<FakeRtc, Lasting>| core::iter::from_fn(|| time.sleepers.pop_due(u64::MAX)).collect::<Vec<_>>();
            prop_assert_eq!(drain(&mut next), drain(&mut first));
        }
    }

    /// The one before found no date: the next looks, and goes forward. With a date, the chip is not asked again, so that the
    /// date cannot go back by the part of a second that the chip does not show.
    #[test]
    fn the_next_instance_does_not_go_back() {
        let mut host = crate::tests::FakeHost::default();
        let words = [[0; 8]; 8 * WORDS_IN_PAGE];
        let mut first = Time::over(Lasting::new(Vec::leak(words.to_vec())), FakeRtc(None), crate::source::Core);
        first.start(&mut host).unwrap();
        first.memory.finish_for_test(Token(1));
        let mut next = time(first.memory.words(), 1_000);
        next.resume(&mut host, 1).unwrap();
        let found = next.offset;
        assert!(found > 0, "a date");
        next.memory.finish_for_test(Token(2));
        let mut last = time(next.memory.words(), 7);
        last.resume(&mut host, 1).unwrap();
        assert_eq!(last.offset, found);
    }

    #[test]
    fn room_for_sleepers_ends_with_the_memory() {
        let mut memory = Lasting::new(Vec::leak(vec![[0; 8]; 8 * WORDS_IN_PAGE]));
        begin(&mut memory, 1).unwrap();
        let sleeper = Sleeper { wake: 1, order: 2, token: Token(3), left: None, record: 0 };
        let added = (0..10_000).take_while(|_| add(&mut memory, &sleeper).is_ok()).count();
        assert_eq!(added, 3 * (WORDS_IN_PAGE / WORDS - 1), "records of three pages");
        assert_eq!(SLEEPERS.numbers(&memory).count(), added);
    }
}
