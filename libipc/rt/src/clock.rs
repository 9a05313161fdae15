//! Nanoseconds since boot without entering the core.
//!
//! init passes the rate of the time stamp counter and its value at nanosecond zero in the auxiliary
//! vector. A multiplication by a fixed-point factor then replaces the system call; where the vector has
//! no rate, as in init itself, the core is asked.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::args::{Args, auxv};
use crate::sys;

/// Nanoseconds a tick, times 2^32; 0 if unknown.
static FACTOR: AtomicU64 = AtomicU64::new(0);
/// The counter at nanosecond zero.
static START: AtomicU64 = AtomicU64::new(0);

/// Takes rate and start from the auxiliary vector.
pub(crate) fn calibrate(args: Args) {
    if let (Some(hz), Some(start)) = (args.auxiliary(auxv::PARLEY_TSC_HZ), args.auxiliary(auxv::PARLEY_TSC_START)) {
        START.store(start, Ordering::Relaxed);
        FACTOR.store(factor(hz), Ordering::Relaxed);
    }
}

/// Nanoseconds since boot.
#[inline]
pub fn now() -> u64 {
    match FACTOR.load(Ordering::Relaxed) {
        0 => sys::clock(),
        factor => scale(ticks().wrapping_sub(START.load(Ordering::Relaxed)), factor),
    }
}

/// The time stamp counter.
#[inline]
fn ticks() -> u64 {
    // SAFETY: the core leaves CR4.TSD clear, so that the counter can be read in ring 3.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds a tick at `hz` ticks a second, times 2^32; 0 for a rate that makes no sense.
fn factor(hz: u64) -> u64 {
    if hz == 0 {
        return 0;
    }
    u64::try_from((1_000_000_000u128 << 32) / u128::from(hz)).unwrap_or(0)
}

#[inline]
fn scale(ticks: u64, factor: u64) -> u64 {
    ((u128::from(ticks) * u128::from(factor)) >> 32) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gigahertz_counts_nanoseconds() {
        assert_eq!(scale(12_345, factor(1_000_000_000)), 12_345);
    }

    #[test]
    fn a_day_is_off_by_less_than_a_millisecond() {
        let (hz, day) = (2_894_561_000u64, 86_400u64);
        let error = scale(hz * day, factor(hz)).abs_diff(day * 1_000_000_000);
        assert!(error < 1_000_000, "{error} ns");
    }

    #[test]
    fn senseless_rates_are_unknown() {
        assert_eq!((factor(0), factor(u64::MAX)), (0, 0));
    }
}
