//! Numbers from samples: median, spread, and averages that stay exact.

use core::fmt;

/// What a set of samples says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spread {
    /// The middle sample; of an even number, the lower of the two in the middle, so that it is one that
    /// was measured.
    pub median: u64,
    /// The smallest.
    pub min: u64,
    /// The largest.
    pub max: u64,
}

impl Spread {
    /// Sorts `samples`, takes `overhead` off each (never below 0), and reads the spread off.
    pub fn of(samples: &mut [u64], overhead: u64) -> Spread {
        samples.sort_unstable();
        let at = |index: usize| samples.get(index).map_or(0, |sample| sample.saturating_sub(overhead));
        let last = samples.len().saturating_sub(1);
        Spread { median: at(last / 2), min: at(0), max: at(last) }
    }
}

/// `total / count`, written exactly: `2`, `0.5`, `1.33` (cut after two digits).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Average {
    /// Sum over all operations.
    pub total: u64,
    /// How many operations.
    pub count: u64,
}

impl Average {
    /// The nearest whole number.
    pub fn rounded(self) -> u64 {
        (self.total + self.count / 2).checked_div(self.count).unwrap_or(0)
    }
}

impl fmt::Display for Average {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = u128::from(self.total) * 100 / u128::from(self.count.max(1));
        let (whole, rest) = (hundredths / 100, hundredths % 100);
        match (rest, rest % 10) {
            (0, _) => write!(out, "{whole}"),
            (_, 0) => write!(out, "{whole}.{}", rest / 10),
            _ => write!(out, "{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_median_is_a_sample() {
        assert_eq!(Spread::of(&mut [9, 1, 5, 3], 1), Spread { median: 2, min: 0, max: 8 });
        assert_eq!(Spread::of(&mut [7], 10), Spread::default());
        assert_eq!(Spread::of(&mut [], 0), Spread::default());
    }

    #[test]
    fn averages_are_exact() {
        let text = |total| Average { total, count: 100 }.to_string();
        assert_eq!([text(200), text(50), text(133), text(102), text(0)], ["2", "0.5", "1.33", "1.02", "0"]);
        assert_eq!(Average { total: 250, count: 100 }.rounded(), 3);
        assert_eq!(Average { total: 250, count: 0 }.rounded(), 0);
    }

    proptest! {
        #[test]
        fn the_median_lies_within(mut samples in proptest::collection::vec(any::<u64>(), 1..50)) {
            let spread = Spread::of(&mut samples, 0);
            prop_assert!(spread.min <= spread.median && spread.median <= spread.max);
        }
    }
}
