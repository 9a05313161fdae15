//! Spans of time: `1.5` read as seconds, and seconds shown as `1:02:03`.

use core::fmt;
use parley_abi::linux::Timespec;

/// Reads decimal seconds, cut to nanoseconds. `None`: not a number, or above `i64::MAX` seconds.
pub fn parse(text: &str) -> Option<Timespec> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let sec = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nsec = fraction.bytes().chain(core::iter::repeat(b'0')).take(9);
    Some(Timespec { sec, nsec: nsec.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')) })
}

/// Nanoseconds, shown as hours, minutes and seconds with milliseconds.
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (millis, seconds) = (self.0 / 1_000_000 % 1000, self.0 / 1_000_000_000);
        write!(out, "{}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_nanoseconds() {
        assert_eq!(parse("2"), Some(Timespec { sec: 2, nsec: 0 }));
        assert_eq!(parse("1.5"), Some(Timespec { sec: 1, nsec: 500_000_000 }));
        assert_eq!(parse(".0000000019"), Some(Timespec { sec: 0, nsec: 1 }));
        for wrong in ["", ".", "-1", "1e9", "1.2.3", "+1", "99999999999999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_readable() {
        assert_eq!(Span(3_723_004_999_999).to_string(), "1:02:03.004");
    }

    proptest! {
        #[test]
        fn nothing_crashes_it(text in any::<String>()) {
            if let Some(time) = parse(&text) {
                prop_assert!(time.sec >= 0 && (0..1_000_000_000).contains(&time.nsec));
            }
        }
    }
}
