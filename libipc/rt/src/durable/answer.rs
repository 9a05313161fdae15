//! What an event lets out once it is finished: an answer, and answers to requests that had been kept.

use parley_abi::msg::Token;
use parley_proto::Outcome;

/// Answers to requests that had been kept, at most, which one event gives.
pub const REPLIES: usize = 128;

/// The answer to the request of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None, or none that counts: the request is served again.
    None,
    /// A result or a negated errno.
    Done(i64),
    /// A connection with this badge, perhaps to be dropped by exec.
    Open(u64, bool),
}

impl Answer {
    /// The answer in an outcome, as far as it must not be given twice differently.
    #[inline(always)]
    pub fn of(outcome: &Outcome<'_>) -> Answer {
        match *outcome {
            Outcome::Done(result) => Answer::Done(result),
            Outcome::Open { badge, close_on_exec } => Answer::Open(badge, close_on_exec),
            _ => Answer::None,
        }
    }

    /// As two words; the first is below 2^32.
    pub fn words(self) -> [u64; 2] {
        match self {
            Answer::None => [0, 0],
            Answer::Done(result) => [1, result.cast_unsigned()],
            Answer::Open(badge, false) => [2, badge],
            Answer::Open(badge, true) => [3, badge],
        }
    }

    /// Out of two words.
    pub fn from_words([kind, value]: [u64; 2]) -> Answer {
        match kind {
            1 => Answer::Done(value.cast_signed()),
            2 | 3 => Answer::Open(value, kind == 3),
            _ => Answer::None,
        }
    }
}

/// Answers to requests that had been kept: they wait until the event is finished.
#[derive(Clone, Copy, Debug)]
pub struct Replies {
    list: [(Token, i64); REPLIES],
    count: usize,
}

impl Replies {
    /// None.
    pub const fn new() -> Replies {
        Replies { list: [(Token::NONE, 0); REPLIES], count: 0 }
    }

    /// Adds one. False: there is no room.
    pub fn push(&mut self, token: Token, result: i64) -> bool {
        let Some(place) = self.list.get_mut(self.count) else { return false };
        *place = (token, result);
        self.count += 1;
        true
    }

    /// All of them.
    #[inline]
    pub fn list(&self) -> &[(Token, i64)] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// There are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets them.
    #[inline]
    pub fn clear(&mut self) {
        self.count = 0;
    }
}
