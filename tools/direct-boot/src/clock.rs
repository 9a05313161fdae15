//! Turns the registers of a PC's CMOS clock into seconds since 1970.
//!
//! The chip is the Motorola MC146818; its data sheet describes registers A to D. The century register is not used: this
//! project is younger than 2000.

/// Registers to read, in the order of [`unix_seconds`]: seconds, minutes, hours, day, month, year, status B.
pub const REGISTERS: [u8; 7] = [0x00, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0b];

const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const AFTERNOON: u8 = 1 << 7;

/// Seconds since 1970-01-01 UTC of the register values, or `None` where they are no date.
#[must_use]
pub fn unix_seconds(registers: [u8; 7]) -> Option<i64> {
    let [second, minute, hour, day, month, year, mode] = registers;
    let number = |raw: u8| i64::from(if mode & BINARY != 0 { raw } else { (raw >> 4) * 10 + (raw & 15) });
    let mut hours = number(hour & !AFTERNOON);
    if mode & HOURS_24 == 0 {
        hours = hours % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 };
    }
    let (day, month, year) = (number(day), number(month), 2000 + number(year));
    let valid = (1..=31).contains(&day) && (1..=12).contains(&month) && hours < 24;
    let days = days_since_1970(year, month, day);
    valid.then(|| ((days * 24 + hours) * 60 + number(minute)) * 60 + number(second))
}

/// Days from 1970-01-01 to a Gregorian date from 1970 on. Counting years from March puts the leap day last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_bcd_and_binary() {
        assert_eq!(unix_seconds([0x00, 0x00, 0x00, 0x01, 0x01, 0x26, 0x02]), Some(1_767_225_600));
        assert_eq!(unix_seconds([59, 59, 23, 29, 2, 24, 0x06]), Some(1_709_251_199));
    }

    #[test]
    fn reads_twelve_hour_clocks() {
        let noon = unix_seconds([0, 0, 0x12 | AFTERNOON, 1, 1, 0x26, 0]);
        let midnight = unix_seconds([0, 0, 0x12, 1, 1, 0x26, 0]);
        assert_eq!(midnight, Some(1_767_225_600));
        assert_eq!(noon, Some(1_767_225_600 + 12 * 3600));
    }

    #[test]
    fn refuses_what_is_no_date() {
        assert_eq!(unix_seconds([0; 7]), None);
        assert_eq!(unix_seconds([0xff; 7]), None);
    }
}
