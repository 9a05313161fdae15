//! What init remembers of a service for people: `svc log`, and what it died of last.

use alloc::collections::VecDeque;
use core::fmt::{self, Write};

use crate::report::Text;

/// Lines that are kept.
const KEPT: usize = 32;

/// The last lines about one service, and its last death.
#[derive(Debug, Default)]
pub struct History {
    lines: VecDeque<Text>,
    /// What the last instance died of, with a backtrace if it was a fault; empty: nothing yet.
    pub death: Text,
}

impl History {
    /// Adds a line with its time in nanoseconds since boot. Where memory is short, it is left out.
    pub fn add(&mut self, now: u64, line: fmt::Arguments<'_>) {
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        if self.lines.try_reserve(1).is_ok() {
            let microseconds = now / 1000;
            let mut text = Text::default();
            // `Text` cannot fail: what does not fit is left out.
            let _ = writeln!(text, "[{:4}.{:06}] {line}", microseconds / 1_000_000, microseconds % 1_000_000);
            self.lines.push_back(text);
        }
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(Text::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go() {
        let mut history = History::default();
        for number in 0..KEPT + 2 {
            history.add(1_500_000_000 + number as u64 * 1000, format_args!("line {number}"));
        }
        assert_eq!(history.lines().count(), KEPT);
        assert_eq!(history.lines().next(), Some("[   1.500002] line 2\n"));
    }
}
