//! What the processor offers as chance: RDRAND where it exists, and the cycle counter.
//!
//! Neither is trusted alone. RDRAND may be missing, or fail; the counter can be guessed to within some
//! bits. Their mixture is at least as good as the better of them.

use x86_64::instructions::random::RdRand;

use crate::Entropy;

/// Tries before RDRAND counts as failed (Intel SDM volume 1, 7.3.17.1).
const TRIES: u32 = 10;

/// RDRAND, if the processor has it, and the time stamp counter.
///
/// Without RDRAND this is the counter only: good enough to tell one boot from another, not to make keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct HardwareEntropy;

impl Entropy for HardwareEntropy {
    fn entropy(&mut self) -> u64 {
        random().unwrap_or(0) ^ scramble(ticks())
    }
}

fn random() -> Option<u64> {
    let source = RdRand::new()?;
    (0..TRIES).find_map(|_| source.get_u64())
}

fn ticks() -> u64 {
    // SAFETY: 1. every x86-64 processor has RDTSC; 2. it touches no memory. Where CR4.TSD forbids it to
    // ring 3 it faults.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Spreads each bit over all others, reversibly (the finaliser of SplitMix64).
const fn scramble(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_readings_differ() {
        assert_ne!(HardwareEntropy.entropy(), HardwareEntropy.entropy());
    }

    #[test]
    fn neighbours_end_up_far_apart() {
        let distance = (scramble(1) ^ scramble(2)).count_ones();
        assert!((16..48).contains(&distance), "{distance}");
    }
}
