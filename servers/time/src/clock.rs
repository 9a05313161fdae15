//! Clocks and units: which clock a number names, and nanoseconds as C structures.
//!
//! All divisions are by constants, which compilers turn into multiplications.

use parley_abi::Errno;
use parley_abi::linux::{Timespec, Timeval, clock};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// Clocks of Linux (`include/uapi/linux/time.h`) that equal one of ours: there is no slewing that RAW
/// would leave out, nothing cheaper that COARSE could mean, and no suspension that BOOTTIME would count.
const MONOTONIC_RAW: u32 = 4;
const REALTIME_COARSE: u32 = 5;
const MONOTONIC_COARSE: u32 = 6;
const BOOTTIME: u32 = 7;

/// What a clock counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// From the start of the machine.
    SinceBoot,
    /// From 1970-01-01 00:00 UTC.
    Date,
}

impl Kind {
    /// The kind of the clock with this number, if there is one.
    pub const fn of(number: u32) -> Option<Kind> {
        match number {
            clock::REALTIME | REALTIME_COARSE => Some(Kind::Date),
            clock::MONOTONIC | MONOTONIC_RAW | MONOTONIC_COARSE | BOOTTIME => Some(Kind::SinceBoot),
            _ => None,
        }
    }
}

/// Nanoseconds as seconds and whole microseconds.
pub const fn timeval(nanoseconds: u64) -> Timeval {
    Timeval { sec: (nanoseconds / SECOND) as i64, usec: (nanoseconds % SECOND / 1000) as i64 }
}

/// A duration in nanoseconds; `u64::MAX` (584 years) stands for all that are longer.
///
/// EINVAL: negative, or the nanoseconds are not 0 to 999,999,999.
pub fn nanoseconds(duration: Timespec) -> Result<u64, Errno> {
    let seconds = u64::try_from(duration.sec).map_err(|_| Errno::EINVAL)?;
    let rest = u64::try_from(duration.nsec).ok().filter(|&rest| rest < SECOND).ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bad_durations_are_refused() {
        for (sec, nsec) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MIN, 0), (0, i64::MAX)] {
            assert_eq!(nanoseconds(Timespec { sec, nsec }), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn huge_durations_saturate() {
        assert_eq!(nanoseconds(Timespec { sec: i64::MAX, nsec: 999_999_999 }), Ok(u64::MAX));
    }

    #[test]
    fn clocks_are_known_by_number() {
        assert_eq!(Kind::of(0), Some(Kind::Date));
        assert_eq!(Kind::of(1), Some(Kind::SinceBoot));
        assert_eq!(Kind::of(5), Some(Kind::Date));
        for number in [4, 6, 7] {
            assert_eq!(Kind::of(number), Some(Kind::SinceBoot));
        }
        for number in [2, 3, 8, u32::MAX] {
            assert_eq!(Kind::of(number), None);
        }
    }

    proptest! {
        #[test]
        fn a_time_survives_the_trip(time: u64) {
            prop_assert_eq!(nanoseconds(Timespec::from_nanoseconds(time)), Ok(time));
            let coarse = timeval(time);
            prop_assert_eq!(coarse.sec as u64 * 1_000_000 + coarse.usec as u64, time / 1000);
        }
    }
}
