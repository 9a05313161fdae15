//! Time: the time stamp counter, measured once against a clock of known rate.

use core::arch::x86_64::_rdtsc;

use super::apic::Apic;
use super::ports::{in8, out8};
use crate::mem::Phys;

/// How long the calibration takes, in nanoseconds.
const CALIBRATION: u64 = 5_000_000;
/// Rate of the PIT (Intel 8254).
const PIT_HZ: u64 = 1_193_182;

/// Nanoseconds from the time stamp counter, and timer ticks from nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Counter at nanosecond zero.
    pub start: u64,
    /// Counts a second.
    pub hz: u64,
    /// Nanoseconds a count, times 2^32.
    pub(super) scale: u64,
    /// Timer ticks a nanosecond, times 2^32.
    timer_scale: u64,
}

/// The time stamp counter.
#[inline(always)]
pub fn counter() -> u64 {
    // SAFETY: the instruction is there on every x86-64 processor.
    unsafe { _rdtsc() }
}

impl Clock {
    /// A clock that stands at zero, until it is calibrated.
    pub fn uncalibrated(start: u64) -> Clock {
        Clock { start, ..Clock::default() }
    }

    /// Nanoseconds since boot.
    #[inline(always)]
    pub fn now(&self) -> u64 {
        ((counter().wrapping_sub(self.start) as u128 * self.scale as u128) >> 32) as u64
    }

    /// Timer ticks in `nanoseconds`: at least 1, at most what the timer can count.
    pub fn timer_ticks(&self, nanoseconds: u64) -> u32 {
        let ticks = (nanoseconds as u128 * self.timer_scale as u128) >> 32;
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }

    /// Measures the time stamp counter and the APIC timer by a clock of known rate: the HPET, whose registers are at this
    /// physical address, or else the PIT's second channel. Nanosecond zero is `start`.
    pub fn calibrate(start: u64, apic: &Apic, hpet: Option<u64>) -> Clock {
        apic.start_counting();
        let before = counter();
        let nanoseconds = hpet.map_or_else(wait_by_pit, |at| wait_by_hpet(Phys(at).pointer()));
        let counted = counter() - before;
        Clock::from_rates(start, counted, apic.stop_counting() as u64, nanoseconds)
    }

    fn from_rates(start: u64, counts: u64, ticks: u64, nanoseconds: u64) -> Clock {
        let ratio = |a: u64, b: u64| (((a as u128) << 32) / b.max(1) as u128) as u64;
        let hz = (counts as u128 * 1_000_000_000 / nanoseconds.max(1) as u128) as u64;
        Clock { start, hz, scale: ratio(nanoseconds, counts), timer_scale: ratio(ticks, nanoseconds) }
    }
}

/// Waits by the HPET (IA-PC HPET specification); returns the nanoseconds waited.
fn wait_by_hpet(registers: *mut u64) -> u64 {
    let (capabilities, configuration, main_counter) = (0, 2, 30);
    // SAFETY: `registers` are the HPET's, in the direct map, uncached; these three are 64-bit registers.
    let read = |register: usize| unsafe { registers.add(register).read_volatile() };
    // SAFETY: as above; bit 0 lets the main counter run.
    unsafe { registers.add(configuration).write_volatile(read(configuration) | 1) };
    let femtoseconds = (read(capabilities) >> 32).max(1);
    let begin = read(main_counter);
    loop {
        let passed = read(main_counter).wrapping_sub(begin) as u32 as u64;
        let nanoseconds = (passed as u128 * femtoseconds as u128 / 1_000_000) as u64;
        if nanoseconds >= CALIBRATION {
            return nanoseconds;
        }
    }
}

/// Waits by the PIT's second channel, which counts down once; returns the nanoseconds waited.
fn wait_by_pit() -> u64 {
    let count = (PIT_HZ * CALIBRATION / 1_000_000_000) as u16;
    out8(0x61, in8(0x61) & !2 | 1);
    out8(0x43, 0b1011_0000);
    out8(0x42, count as u8);
    out8(0x42, (count >> 8) as u8);
    while in8(0x61) & 0x20 == 0 {}
    count as u64 * 1_000_000_000 / PIT_HZ
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_become_nanoseconds_and_ticks() {
        let clock = Clock::from_rates(0, 12_500_000, 500_000, 5_000_000);
        assert_eq!(clock.hz, 2_500_000_000);
        assert!((99_999..=100_000).contains(&clock.timer_ticks(1_000_000)));
        assert_eq!(clock.timer_ticks(0), 1);
        assert_eq!(clock.timer_ticks(u64::MAX), u32::MAX);
    }
}
