//! Dates: what the clock chip's registers mean, in seconds since 1970.
//!
//! Arithmetic only, so that it is tested on the host against every date there is.

/// Status B: the registers are binary, otherwise binary-coded decimal.
const BINARY: u8 = 1 << 2;
/// Status B: hours run to 23, otherwise to 12 with [`PM`].
const HOURS_24: u8 = 1 << 1;
/// Hour register in 12-hour format: after noon.
const PM: u8 = 1 << 7;

/// The clock chip's registers, as read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raw {
    pub second: u8,
    pub minute: u8,
    pub hour: u8,
    pub day: u8,
    pub month: u8,
    pub year: u8,
    pub century: u8,
    pub status_b: u8,
}

impl Raw {
    /// Seconds since 1970; `None` if that is no date from 1970 on, as when no chip answers and every
    /// register reads 0xff.
    pub fn seconds(self) -> Option<u64> {
        let year = self.full_year()?;
        let month = in_range(self.number(self.month)?, 1, 12)?;
        let day = in_range(self.number(self.day)?, 1, days_in_month(year, month))?;
        let minute = in_range(self.number(self.minute)?, 0, 59)?;
        // A leap second, should a chip ever show one, is the first second of the next minute.
        let second = in_range(self.number(self.second)?, 0, 60)?;
        let days = days_since_1970(year, month, day);
        Some(((days * 24 + self.full_hour()?) * 60 + minute) * 60 + second)
    }

    /// Value of a register in the format that the chip is set to.
    fn number(self, register: u8) -> Option<u64> {
        if self.status_b & BINARY != 0 {
            return Some(register.into());
        }
        let (tens, ones) = (register >> 4, register & 15);
        (tens < 10 && ones < 10).then(|| u64::from(tens * 10 + ones))
    }

    /// The hour, 0 to 23. In 12-hour format 12 am is 0 and 12 pm is 12.
    fn full_hour(self) -> Option<u64> {
        if self.status_b & HOURS_24 != 0 {
            return in_range(self.number(self.hour)?, 0, 23);
        }
        let hour = in_range(self.number(self.hour & !PM)?, 1, 12)?;
        Some(hour % 12 + if self.hour & PM != 0 { 12 } else { 0 })
    }

    /// The year. Machines without a century register show anything there: then it is this century.
    fn full_year(self) -> Option<u64> {
        let year = in_range(self.number(self.year)?, 0, 99)?;
        let century = self.number(self.century).filter(|century| (19..=29).contains(century)).unwrap_or(20);
        in_range(century * 100 + year, 1970, 2999)
    }
}

fn in_range(value: u64, least: u64, most: u64) -> Option<u64> {
    (least..=most).contains(&value).then_some(value)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_in_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Years are counted from March, so that the leap day comes last and the lengths of the months before it
/// follow the line (153 m + 2) / 5 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    /// Days from 0000-03-01 to 1970-01-01.
    const TO_1970: u64 = 719_468;
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - TO_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-02 03:04:05.
    const SAMPLE: u64 = 1_767_323_045;

    fn bcd(value: u64) -> u8 {
        (((value / 10) << 4) | (value % 10)) as u8
    }

    fn sample(status_b: u8) -> Raw {
        Raw { second: 5, minute: 4, hour: 3, day: 2, month: 1, year: 26, century: 20, status_b }
    }

    #[test]
    fn both_number_formats_are_read() {
        assert_eq!(sample(BINARY | HOURS_24).seconds(), Some(SAMPLE));
        let decimal = Raw { year: 0x26, century: 0x20, ..sample(HOURS_24) };
        assert_eq!(decimal.seconds(), Some(SAMPLE));
    }

    #[test]
    fn twelve_hour_clocks_are_read() {
        let at = |hour| Raw { hour, ..sample(BINARY) }.seconds();
        let midnight = SAMPLE - 3 * 3600;
        assert_eq!(at(12), Some(midnight));
        assert_eq!(at(11), Some(midnight + 11 * 3600));
        assert_eq!(at(12 | PM), Some(midnight + 12 * 3600));
        assert_eq!(at(11 | PM), Some(midnight + 23 * 3600));
        assert_eq!(at(0), None);
        assert_eq!(at(13), None);
    }

    #[test]
    fn a_missing_century_is_this_one() {
        assert_eq!(Raw { century: 0xff, ..sample(BINARY | HOURS_24) }.seconds(), Some(SAMPLE));
        assert_eq!(Raw { century: 0, ..sample(BINARY | HOURS_24) }.seconds(), Some(SAMPLE));
    }

    #[test]
    fn no_chip_is_no_date() {
        let absent = Raw {
            second: 0xff,
            minute: 0xff,
            hour: 0xff,
            day: 0xff,
            month: 0xff,
            year: 0xff,
            century: 0xff,
            status_b: 0xff,
        };
        assert_eq!(absent.seconds(), None);
        assert_eq!(Raw { day: 31, month: 2, ..sample(BINARY | HOURS_24) }.seconds(), None);
    }

    #[test]
    fn days_follow_each_other_for_a_thousand_years() {
        let mut expected = 0;
        for year in 1970..2970 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_since_1970(year, month, day), expected, "{year}-{month}-{day}");
                    expected += 1;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn binary_and_decimal_agree(second in 0u64..60, minute in 0u64..60, hour in 0u64..24, day in 1u64..29,
                month in 1u64..13, year in 0u64..100) {
            let fields = [second, minute, hour, day, month, year, 20];
            let raw = |make: fn(u64) -> u8, status_b| {
                let [second, minute, hour, day, month, year, century] = fields.map(make);
                Raw { second, minute, hour, day, month, year, century, status_b }
            };
            let binary = raw(|value| value as u8, BINARY | HOURS_24).seconds();
            prop_assert!(binary.is_some());
            prop_assert_eq!(raw(bcd, HOURS_24).seconds(), binary);
        }

        #[test]
        fn nonsense_never_panics(bytes in any::<[u8; 8]>()) {
            let [second, minute, hour, day, month, year, century, status_b] = bytes;
            let _ = Raw { second, minute, hour, day, month, year, century, status_b }.seconds();
        }
    }
}
