//! The smallest server: it answers the sum of its words. Copy it to start your own.
//!
//! A server is two files. This one is the logic: a library that knows neither rings nor messages, and is
//! linked into a process, into the kernel, or into a test. `main.rs` is the ring-3 shell: one line that
//! makes the service and hands it to the run time. To place the service in ring 0 instead, a kernel image
//! (`microkernel/mono`, `microkernel/hybrid`) makes the same value and binds it. Nothing here changes.
//!
//! To make a server of your own:
//! 1. write its interface table in `libipc/proto/src/tables.rs`: the macro there derives the trait that
//!    is implemented below, the dispatcher, the callers' stubs and the rows of the call table;
//! 2. implement that trait, one method a row;
//! 3. implement [`Service`], at least `request`;
//! 4. give it a number and a name in `libipc/native/src/slot.rs`, so that init starts it.
#![cfg_attr(not(test), no_std)]
// Servers contain no unsafe code. One that drives hardware borrows a driver from `servers/drivers`.
#![forbid(unsafe_code)]

use parley_abi::Errno;
use parley_abi::msg::{Token, Words};
use parley_proto::{Cx, Host, Outcome, RowSink, Service, ping};
use parley_rt::Durable;
use parley_rt::durable::{Lasting, Memory, ROOT, Schema, Volatile};

/// The word of the memory that counts calls.
const COUNT: usize = ROOT;
/// The word that version 2 adds, and that version 1 leaves alone: how many of them came to version 2.
const SINCE: usize = ROOT + 1;

/// The service. What it knows must outlive a crash, so it is no field but a word of [`Memory`]: in ring 3 memory that init
/// holds, where each event happens as a whole or not at all, and in ring 0 a page of the heap.
///
/// The constructor of a server does no input or output, and can be `const`: a kernel image may make it
/// long before there is anything to talk to. What must be set up is done in [`Service::start`].
#[derive(Debug)]
pub struct Ping<M = Volatile> {
    memory: M,
    /// Which version of the state it keeps.
    version: u32,
}

impl Ping<Volatile> {
    /// One whose count ends with it.
    #[allow(clippy::new_without_default)] // a `static` needs a constant
    pub const fn new() -> Ping<Volatile> {
        Ping::over(Volatile::new())
    }
}

impl<M: Memory> Ping<M> {
    /// One whose count is in this memory.
    pub const fn over(memory: M) -> Ping<M> {
        Ping { memory, version: 1 }
    }

    /// The same, in another version of its state.
    pub fn in_version(self, version: u32) -> Ping<M> {
        Ping { version, ..self }
    }
}

/// The rows of the table, as methods. `Cx` tells who asks (the badge of the connection), names the request
/// (the token) and reaches the surroundings (the host). Arguments arrive with their types.
impl<M: Memory> ping::Ping for Ping<M> {
    /// Sums are modulo 2^64: an overflow is no error, and must be none in a server that runs in ring 0.
    fn ping(&mut self, _cx: &mut Cx<'_>, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> Outcome<'_> {
        let sum = [a, b, c, d, e, f].into_iter().fold(0, u64::wrapping_add);
        // `Done` answers at once. A row that has to wait keeps `cx.token`, returns `Outcome::Later`, and
        // answers with `Host::reply` when something else has happened. No handler ever sleeps.
        Outcome::Done(sum.cast_signed())
    }

    /// The word is changed where it lies. Killed before this answer counts, the server finds the old value again and the
    /// call is served anew; killed after, it gives the same answer again. Nothing more is to be done for it here.
    fn count(&mut self, _cx: &mut Cx<'_>) -> Outcome<'_> {
        let count = self.memory.get(COUNT) + 1;
        self.memory.set(COUNT, count);
        if self.version >= 2 {
            self.memory.set(SINCE, self.memory.get(SINCE) + 1);
        }
        Outcome::Done(count.cast_signed())
    }
}

/// What the run time calls: for each request, and, if a server wants to know, for notifications, alarms,
/// closed connections and callers that gave up. All but `request` may be left as they are.
impl<M: Memory> Service for Ping<M> {
    fn rows(sink: &mut impl RowSink) {
        ping::rows(sink);
    }

    /// At the very first start only: a later instance finds its memory as it was left.
    fn start(&mut self, _host: &mut dyn Host) -> Result<(), Errno> {
        self.memory.prepare()
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        // The dispatcher takes the words apart and finds the method; labels that are in no table are
        // answered ENOSYS. A server of several interfaces looks at the label's interface first, as
        // `servers/char` does.
        ping::dispatch(self, cx, label, words)
    }
}

/// What makes it survive: where its state is, which version that has, and what is to be done before it goes on.
impl Durable for Ping<Lasting> {
    fn schema(&self) -> Schema {
        Schema::additive(self.version)
    }

    fn memory(&mut self) -> &mut Lasting {
        &mut self.memory
    }

    /// A server that answers with [`Outcome::Later`] says here which requests it keeps.
    fn holds(&self, _: Token) -> bool {
        false
    }

    /// Called in place of `start`, with the version that the state has. Hardware would be taken over here, and indices be
    /// made of what the memory holds.
    fn resume(&mut self, host: &mut dyn Host, from: u32) -> Result<(), Errno> {
        if self.version >= 2 {
            if from < 2 {
                self.memory.set(SINCE, 0);
            }
            host.log(format_args!("counted since version 2: {}", self.memory.get(SINCE)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ping needs nothing from its surroundings, so a test can give it nothing.
    struct Nowhere;

    impl Host for Nowhere {
        fn now(&mut self) -> u64 {
            0
        }
        fn copy_in(&mut self, _: Token, _: u8, _: u64, _: &mut [u8]) -> Result<usize, Errno> {
            Err(Errno::EACCES)
        }
        fn copy_out(&mut self, _: Token, _: u8, _: u64, _: &[u8]) -> Result<usize, Errno> {
            Err(Errno::EACCES)
        }
        fn reply(&mut self, _: Token, _: i64) {}
        fn call(&mut self, _: u8, _: u32, _: Words) -> Result<Words, Errno> {
            Err(Errno::ENOSYS)
        }
        fn set_alarm(&mut self, _: u64) {}
        fn log(&mut self, _: core::fmt::Arguments<'_>) {}
        fn dump_threads(&mut self) {}
        fn read_log(&mut self, _: &mut [u8]) -> usize {
            0
        }
    }

    fn ask(label: u32, words: Words) -> i64 {
        let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 1), badge: parley_proto::root_badge(2, 1) };
        match Ping::new().request(&mut cx, label, &words) {
            Outcome::Done(result) => result,
            other => panic!("ping answers at once, not {other:?}"),
        }
    }

    #[test]
    fn the_sum_comes_back() {
        assert_eq!(ask(ping::label::ping, [1, 2, 3, 4, 5, 6]), 21);
    }

    #[test]
    #[cfg_attr(miri, ignore = "memory that lasts is leaked")]
    fn the_next_instance_goes_on_counting() {
        let mut words = vec![[0; 8]; 8 * 512];
        for expected in 1..5 {
            let mut ping = Ping::over(Lasting::new(Vec::leak(words)));
            if expected == 1 {
                ping.start(&mut Nowhere).unwrap();
            }
            let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 1), badge: 0 };
            assert_eq!(ping.request(&mut cx, ping::label::count, &[0; 6]), Outcome::Done(expected));
            ping.memory().finish_for_test(Token::new(1, 1));
            // It serves another, and dies before that counts.
            let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 2), badge: 0 };
            ping.request(&mut cx, ping::label::count, &[0; 6]);
            words = ping.memory().words().to_vec();
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "memory that lasts is leaked")]
    fn version_2_adds_a_word_and_version_1_leaves_it_alone() {
        let mut words = vec![[0; 8]; 8 * 512];
        // Version, the version that the state had, and what the added word is then.
        for (count, (version, from, since)) in
            [(1, 0, 0), (2, 1, 0), (2, 2, 1), (1, 2, 2), (2, 1, 0)].into_iter().enumerate()
        {
            let mut ping = Ping::over(Lasting::new(Vec::leak(words))).in_version(version);
            if from == 0 {
                ping.start(&mut Nowhere).unwrap();
            } else {
                ping.resume(&mut Nowhere, from).unwrap();
            }
            assert_eq!(ping.memory.get(SINCE), since, "before request {count}");
            let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 1), badge: 0 };
            let counted = ping.request(&mut cx, ping::label::count, &[0; 6]);
            assert_eq!(counted, Outcome::Done(count as i64 + 1));
            ping.memory().finish_for_test(Token::new(1, 1));
            words = ping.memory().words().to_vec();
        }
    }

    #[test]
    fn sums_wrap() {
        assert_eq!(ask(ping::label::ping, [u64::MAX, 3, 0, 0, 0, 0]), 2);
    }

    #[test]
    fn other_labels_are_unknown() {
        assert_eq!(ask(ping::label::count + 1, [0; 6]), Errno::ENOSYS.negated());
    }
}
