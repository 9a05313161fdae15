//! The lines typed so far, and `!!` and `!N`.

use alloc::collections::VecDeque;
use alloc::string::String;

/// Lines kept.
const KEPT: usize = 100;

/// The history: lines are numbered from 1, and the oldest are forgotten.
#[derive(Default)]
pub struct History {
    lines: VecDeque<String>,
    forgotten: usize,
}

impl History {
    /// Adds a line. Blank ones, and one equal to the last, are not kept.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back(String::from(line));
    }

    /// Number and text of each line, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines.iter().enumerate().map(|(index, line)| (self.forgotten + index + 1, line.as_str()))
    }

    /// The line that `word` (`!!` or `!N`) stands for; `None` if it is not kept.
    pub fn recall(&self, word: &str) -> Option<&str> {
        let index = match word {
            "!!" => self.lines.len().checked_sub(1)?,
            _ => word.strip_prefix('!')?.parse::<usize>().ok()?.checked_sub(self.forgotten + 1)?,
        };
        self.lines.get(index).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recalls_by_number_and_the_last() {
        let mut history = History::default();
        for line in ["ls", "  ", "date", "date"] {
            history.add(line);
        }
        assert_eq!(history.lines().collect::<Vec<_>>(), [(1, "ls"), (2, "date")]);
        assert_eq!((history.recall("!!"), history.recall("!1")), (Some("date"), Some("ls")));
        for wrong in ["!", "!0", "!3", "!x", "!99999999999999999999", "ls"] {
            assert_eq!(history.recall(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_empty_history_recalls_nothing() {
        assert_eq!(History::default().recall("!!"), None);
    }

    #[test]
    fn numbers_stay_when_old_lines_go() {
        let mut history = History::default();
        for number in 1..=KEPT + 5 {
            history.add(&format!("echo {number}"));
        }
        assert_eq!(history.lines().next(), Some((6, "echo 6")));
        assert_eq!((history.recall("!6"), history.recall("!5")), (Some("echo 6"), None));
    }
}
