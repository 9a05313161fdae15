//! News that something may be ready, and who waits for them: what `poll` waits on.
//!
//! A program asks each of its files, and if none is ready it waits here. A service that has said "not ready" says
//! `changed` as soon as that may no longer be so, and then all who wait ask again. The number of the last news is the time
//! at which they came, so no instance gives one that another has given; nothing of this outlives a process, for a wait that
//! is made again of a new instance ends at once, and its program asks again.

use alloc::vec::Vec;

use parley_abi::Errno;
use parley_abi::msg::Token;

/// Who waits.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    token: Token,
    /// Nanoseconds since boot; `u64::MAX` is never.
    until: u64,
    /// The news that it had.
    seen: u64,
}

/// The last news, and who waits for the next.
#[derive(Debug)]
pub struct News {
    last: u64,
    waiters: Vec<Waiter>,
}

impl News {
    /// None yet.
    pub const fn new() -> News {
        News { last: 0, waiters: Vec::new() }
    }

    /// The number of the last.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// There are some at `now`.
    pub fn come(&mut self, now: u64) {
        self.last = now.max(self.last + 1);
    }

    /// Keeps one who has `seen` the last. ENOMEM.
    pub fn wait(&mut self, token: Token, until: u64) -> Result<(), Errno> {
        self.waiters.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.waiters.push(Waiter { token, until, seen: self.last });
        Ok(())
    }

    /// Takes out one whose wait ends at `now`, and whether that is because time is up.
    pub fn leave(&mut self, now: u64) -> Option<(Token, bool)> {
        let at = self.waiters.iter().position(|waiter| waiter.seen != self.last || waiter.until <= now)?;
        let waiter = self.waiters.swap_remove(at);
        Some((waiter.token, waiter.seen == self.last))
    }

    /// When one of them has to be looked after.
    pub fn due(&self) -> Option<u64> {
        let due = |waiter: &Waiter| if waiter.seen == self.last { waiter.until } else { 1 };
        self.waiters.iter().map(due).min().filter(|&at| at != u64::MAX)
    }

    /// Takes out the request `token`; whether it waits.
    pub fn remove(&mut self, token: Token) -> bool {
        let at = self.waiters.iter().position(|waiter| waiter.token == token);
        at.map(|at| self.waiters.swap_remove(at)).is_some()
    }
}

impl Default for News {
    fn default() -> News {
        News::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_with_news_or_with_time() {
        let mut news = News::new();
        news.come(10);
        for (token, until) in [(1, u64::MAX), (2, 50), (3, 40)] {
            news.wait(Token(token), until).unwrap();
        }
        assert_eq!((news.leave(39), news.due()), (None, Some(40)));
        assert_eq!((news.leave(45), news.leave(45)), (Some((Token(3), true)), None));
        news.come(45);
        assert_eq!(news.due(), Some(1), "at once");
        news.wait(Token(4), u64::MAX).unwrap();
        assert_eq!((news.remove(Token(2)), news.remove(Token(2))), (true, false));
        assert_eq!((news.leave(46), news.leave(46), news.due()), (Some((Token(1), false)), None, None));
    }

    #[test]
    fn no_two_news_have_one_number() {
        let mut news = News::new();
        let numbers = [5, 5, 5, 9].map(|now| {
            news.come(now);
            news.last()
        });
        assert_eq!(numbers, [5, 6, 7, 9]);
    }
}
