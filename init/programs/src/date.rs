//! Dates: seconds since 1970 as a person writes them.
//!
//! UTC only, no leap seconds, the proleptic Gregorian calendar: POSIX "Seconds Since the Epoch".

use core::fmt;

/// A point in time, UTC, to the second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// Year; negative before the year 0.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Day of the week, 0 = Sunday.
    pub weekday: u8,
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const DAY: i64 = 86_400;

/// Days in 400 years: the calendar repeats after them.
const ERA: i64 = 146_097;

impl DateTime {
    /// The date `seconds` after 1970-01-01T00:00:00Z; before it when negative.
    pub fn from_unix(seconds: i64) -> DateTime {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        DateTime {
            year,
            month,
            day,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
        }
    }

    /// Name of the day of the week.
    pub fn weekday_name(&self) -> &'static str {
        WEEKDAYS[self.weekday as usize % WEEKDAYS.len()]
    }
}

/// Year, month, day of the day `days` after 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms", `civil_from_days`: years begin in March, so that the leap day is a year's last).
fn civil(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// ISO 8601, then the weekday: `2026-01-01T00:00:00Z Thursday`.
impl fmt::Display for DateTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DateTime { year, month, day, hour, minute, second, .. } = self;
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z {}", self.weekday_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(seconds: i64) -> String {
        DateTime::from_unix(seconds).to_string()
    }

    #[test]
    fn known_dates() {
        assert_eq!(text(0), "1970-01-01T00:00:00Z Thursday");
        assert_eq!(text(-1), "1969-12-31T23:59:59Z Wednesday");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z Tuesday");
        assert_eq!(text(1_767_225_600), "2026-01-01T00:00:00Z Thursday");
        assert_eq!(text(4_107_542_399), "2100-02-28T23:59:59Z Sunday");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00Z Monday");
    }

    #[test]
    fn extremes_do_not_overflow() {
        text(i64::MIN);
        text(i64::MAX);
    }

    proptest! {
        #[test]
        fn the_next_day_is_the_next_weekday(seconds in -1i64 << 40..1i64 << 40) {
            let (today, tomorrow) = (DateTime::from_unix(seconds), DateTime::from_unix(seconds + DAY));
            prop_assert_eq!((today.weekday + 1) % 7, tomorrow.weekday);
            prop_assert!(tomorrow.day == today.day + 1 || tomorrow.day == 1);
            prop_assert!((1..=12).contains(&today.month) && (1..=31).contains(&today.day));
        }
    }
}
