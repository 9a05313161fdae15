//! What was done to machines, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts by name, in the order of the alphabet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// `count` more of `what`.
    pub fn add(&mut self, what: impl Into<String>, count: u64) {
        if count > 0 {
            *self.0.entry(what.into()).or_default() += count;
        }
    }

    /// How many of `what`.
    pub fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Adds another one.
    pub fn join(&mut self, other: &Tally) {
        for (what, count) in &other.0 {
            self.add(what.clone(), *count);
        }
    }

    /// Reads `12 kills, 5 swaps` out of the last line of the guest's program.
    pub fn of_guest(output: &str) -> Tally {
        let mut tally = Tally::default();
        let Some(line) = output.lines().rev().find(|line| line.starts_with("torture: ")) else { return tally };
        for part in line.trim_start_matches("torture: ").split([',', ':']) {
            if let Some((count, what)) = part.trim().split_once(' ')
                && let Ok(count) = count.parse()
            {
                tally.add(what, count);
            }
        }
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|(what, count)| format!("{count} {what}")).collect();
        write!(f, "{}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_guest_counts() {
        let output =
            "torture: round 1: 9 kills\nline 00000001\ntorture: 3 rounds, 820 operations, 12 kills, seed 1: ok\n";
        let tally = Tally::of_guest(output);
        assert_eq!((tally.get("rounds"), tally.get("operations"), tally.get("kills")), (3, 820, 12));
        assert_eq!(tally.to_string(), "12 kills, 820 operations, 3 rounds");
    }

    #[test]
    fn tallies_add_up() {
        let mut tally = Tally::default();
        tally.add("kills", 2);
        tally.add("swaps", 3);
        let mut sum = tally.clone();
        sum.join(&tally);
        assert_eq!((sum.get("kills"), sum.get("swaps"), sum.get("nothing")), (4, 6, 0));
    }
}
