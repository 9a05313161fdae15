//! What a service sees of the world while an event is kept, and while it is repeated.

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_proto::Host;

use super::store::{Effects, Store, Tape};

/// The world, with all that it tells written down. Answers to requests that were kept wait until the event is finished.
pub struct Recorder<'a, 'm> {
    /// The world.
    pub world: &'a mut dyn Host,
    /// Where it is written down; `None`: nowhere.
    pub store: Option<&'a mut Store<'m>>,
    /// What waits.
    pub effects: &'a mut Effects,
    /// The alarm that the service has set.
    pub alarm: &'a mut u64,
}

impl Recorder<'_, '_> {
    fn note(&mut self, word: u64) {
        if let Some(store) = &mut self.store {
            store.push(word);
        }
    }

    fn note_result(&mut self, result: Result<usize, Errno>) -> Result<usize, Errno> {
        self.note(encode(result));
        result
    }
}

/// A count, or a negated errno.
fn encode(result: Result<usize, Errno>) -> u64 {
    result.map_or_else(|errno| errno.negated().cast_unsigned(), |count| count as u64)
}

fn decode(word: u64) -> Result<usize, Errno> {
    Errno::check(word.cast_signed()).map(|count| count as usize)
}

impl Host for Recorder<'_, '_> {
    fn now(&mut self) -> u64 {
        let now = self.world.now();
        self.note(now);
        now
    }

    fn copy_in(&mut self, token: Token, lease: u8, offset: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let copied = self.world.copy_in(token, lease, offset, into);
        self.note(encode(copied));
        if let (Ok(count), Some(store)) = (copied, &mut self.store) {
            store.push_bytes(&into[..count]);
        }
        copied
    }

    fn copy_out(&mut self, token: Token, lease: u8, offset: u64, from: &[u8]) -> Result<usize, Errno> {
        let copied = self.world.copy_out(token, lease, offset, from);
        self.note_result(copied)
    }

    fn reply(&mut self, token: Token, result: i64) {
        if !self.effects.push(token, result) {
            self.world.reply(token, result);
        }
    }

    fn call(&mut self, service: u8, label: u32, words: Words) -> Result<Words, Errno> {
        let answer = self.world.call(service, label, words);
        self.note(encode(answer.map(|_| 0)));
        if let Ok(words) = answer {
            words.into_iter().for_each(|word| self.note(word));
        }
        answer
    }

    fn set_alarm(&mut self, at: u64) {
        *self.alarm = at;
        self.world.set_alarm(at);
    }

    fn log(&mut self, text: &str) {
        self.world.log(text);
    }

    fn dump_threads(&mut self) {
        self.world.dump_threads();
    }

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        let count = self.world.read_log(into);
        self.note(count as u64);
        if let Some(store) = &mut self.store {
            store.push_bytes(&into[..count]);
        }
        count
    }
}

/// The world as it was written down. What the service says to it is not said again.
pub struct Replayer<'a> {
    /// What was written down.
    pub tape: Tape<'a>,
    /// The alarm that the service has set.
    pub alarm: u64,
    /// What the event let out.
    pub effects: &'a mut Effects,
    /// The service asked for something else than it did then.
    pub diverged: bool,
}

impl Replayer<'_> {
    fn word(&mut self) -> u64 {
        self.tape.word().unwrap_or_else(|_| {
            self.diverged = true;
            Errno::EIO.negated().cast_unsigned()
        })
    }

    fn bytes(&mut self, count: usize, into: &mut [u8]) {
        match (self.tape.bytes(count), into.get_mut(..count)) {
            (Ok(bytes), Some(into)) => into.copy_from_slice(bytes),
            _ => self.diverged = true,
        }
    }
}

impl Host for Replayer<'_> {
    fn now(&mut self) -> u64 {
        self.word()
    }

    fn copy_in(&mut self, _: Token, _: u8, _: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let count = decode(self.word())?;
        self.bytes(count, into);
        Ok(count)
    }

    fn copy_out(&mut self, _: Token, _: u8, _: u64, _: &[u8]) -> Result<usize, Errno> {
        decode(self.word())
    }

    fn reply(&mut self, token: Token, result: i64) {
        self.effects.push(token, result);
    }

    fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
        decode(self.word())?;
        Ok(core::array::from_fn(|_| self.word()))
    }

    fn set_alarm(&mut self, at: u64) {
        self.alarm = at;
    }

    fn log(&mut self, _: &str) {}

    fn dump_threads(&mut self) {}

    fn read_log(&mut self, into: &mut [u8]) -> usize {
        let count = self.word() as usize;
        self.bytes(count, into);
        count
    }
}
