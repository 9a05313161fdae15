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

use parley_abi::msg::Words;
use parley_proto::{Cx, Outcome, RowSink, Service, ping};

/// The service. State would be fields here; ping has none, so it survives any crash unharmed.
///
/// The constructor of a server does no input or output, and can be `const`: a kernel image may make it
/// long before there is anything to talk to. What must be set up is done in [`Service::start`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Ping;

/// The rows of the table, as methods. `Cx` tells who asks (the badge of the connection), names the request
/// (the token) and reaches the surroundings (the host). Arguments arrive with their types.
impl ping::Ping for Ping {
    /// Sums are modulo 2^64: an overflow is no error, and must be none in a server that runs in ring 0.
    fn ping(&mut self, _cx: &mut Cx<'_>, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> Outcome<'_> {
        let sum = [a, b, c, d, e, f].into_iter().fold(0, u64::wrapping_add);
        // `Done` answers at once. A row that has to wait keeps `cx.token`, returns `Outcome::Later`, and
        // answers with `Host::reply` when something else has happened. No handler ever sleeps.
        Outcome::Done(sum.cast_signed())
    }
}

/// What the run time calls: for each request, and, if a server wants to know, for notifications, alarms,
/// closed connections and callers that gave up. All but `request` may be left as they are.
impl Service for Ping {
    fn rows(sink: &mut impl RowSink) {
        ping::rows(sink);
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        // The dispatcher takes the words apart and finds the method; labels that are in no table are
        // answered ENOSYS. A server of several interfaces looks at the label's interface first, as
        // `servers/char` does.
        ping::dispatch(self, cx, label, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::Errno;
    use parley_abi::msg::Token;
    use parley_proto::Host;

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
        fn log(&mut self, _: &str) {}
        fn dump_threads(&mut self) {}
        fn read_log(&mut self, _: &mut [u8]) -> usize {
            0
        }
    }

    fn ask(label: u32, words: Words) -> i64 {
        let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 1), badge: parley_proto::root_badge(2, 1) };
        match Ping.request(&mut cx, label, &words) {
            Outcome::Done(result) => result,
            other => panic!("ping answers at once, not {other:?}"),
        }
    }

    #[test]
    fn the_sum_comes_back() {
        assert_eq!(ask(ping::label::ping, [1, 2, 3, 4, 5, 6]), 21);
    }

    #[test]
    fn sums_wrap() {
        assert_eq!(ask(ping::label::ping, [u64::MAX, 3, 0, 0, 0, 0]), 2);
    }

    #[test]
    fn other_labels_are_unknown() {
        assert_eq!(ask(ping::label::ping + 1, [0; 6]), Errno::ENOSYS.negated());
    }
}
