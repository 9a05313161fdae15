//! The process service: tells a process who it is and who its parent is.
//!
//! Both are written into the badge of the connection that init gave to the process, so the service keeps
//! nothing: there is no table to fill up, to search or to lose. A process cannot lie about itself, since
//! only the core puts the badge on a message.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use parley_abi::Errno;
use parley_abi::msg::Words;
use parley_proto::{Cx, Outcome, ROOT, RowSink, Service, process};

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proc;

impl process::Process for Proc {
    /// EBADF: the connection belongs to no process.
    fn getpid(&mut self, cx: &mut Cx<'_>) -> Outcome<'_> {
        Outcome::from(cx.root_pid().map(i64::from).ok_or(Errno::EBADF))
    }

    /// 0 for a process that the core started. EBADF: the connection belongs to no process.
    fn getppid(&mut self, cx: &mut Cx<'_>) -> Outcome<'_> {
        Outcome::from(root_parent(cx.badge).map(i64::from).ok_or(Errno::EBADF))
    }
}

/// The parent's id in a badge that [`parley_proto::root_badge`] made.
const fn root_parent(badge: u64) -> Option<u32> {
    match badge & ROOT {
        0 => None,
        _ => Some(((badge & !ROOT) >> 32) as u32),
    }
}

impl Service for Proc {
    fn rows(sink: &mut impl RowSink) {
        process::rows(sink);
    }

    #[inline(always)]
    fn request(&mut self, cx: &mut Cx<'_>, label: u32, words: &Words) -> Outcome<'_> {
        process::dispatch(self, cx, label, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parley_abi::msg::Token;
    use parley_proto::{Host, root_badge};

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

    fn ask(badge: u64, label: u32) -> i64 {
        let mut cx = Cx { host: &mut Nowhere, token: Token::new(1, 1), badge };
        match Proc.request(&mut cx, label, &[0; 6]) {
            Outcome::Done(result) => result,
            other => panic!("answered at once, not {other:?}"),
        }
    }

    #[test]
    fn ids_come_from_the_badge() {
        let badge = root_badge(42, 7);
        assert_eq!(ask(badge, process::label::getpid), 42);
        assert_eq!(ask(badge, process::label::getppid), 7);
        assert_eq!(ask(root_badge(1, 0), process::label::getppid), 0);
    }

    #[test]
    fn other_connections_are_refused() {
        for badge in [0, 1, 42, ROOT - 1] {
            assert_eq!(ask(badge, process::label::getpid), Errno::EBADF.negated());
            assert_eq!(ask(badge, process::label::getppid), Errno::EBADF.negated());
        }
    }

    #[test]
    fn other_rows_are_unknown() {
        assert_eq!(ask(root_badge(2, 1), process::label::getppid + 1), Errno::ENOSYS.negated());
    }
}
