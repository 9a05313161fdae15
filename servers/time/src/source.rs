//! What the clocks count by: the core's count, or a timer of the board.
//!
//! Deadlines are the core's in either case. A time by another source may run ahead of the core's count, so what it has
//! shown is kept (`keep`), and no clock goes back when one source takes over from the other.

use parley_proto::Host;
use server_drivers::{COUNTER_HZ, COUNTER_MASK, Counter};

use crate::clock::SECOND;

/// A source of time.
pub trait Source {
    /// It may run ahead of the core's count.
    const LEADS: bool;

    /// The service begins, or goes on from another instance.
    fn begin(&mut self, host: &mut dyn Host);

    /// Nanoseconds since boot.
    fn now(&mut self, host: &mut dyn Host) -> u64;
}

/// The core's count.
#[derive(Debug)]
pub struct Core;

impl Source for Core {
    const LEADS: bool = false;

    fn begin(&mut self, _: &mut dyn Host) {}

    #[inline(always)]
    fn now(&mut self, host: &mut dyn Host) -> u64 {
        host.now()
    }
}

/// A counter of the board, from an anchor on. Its 24 bits come round every 4.7 seconds; how often they have is told by the
/// core's count, which may be wrong by half of that.
#[derive(Debug)]
pub struct Counted<C> {
    counter: C,
    /// The count, and the nanoseconds since boot, when the service began.
    anchor: (u32, u64),
}

impl<C: Counter> Counted<C> {
    /// The counter, which is not touched before [`Source::begin`].
    pub const fn new(counter: C) -> Counted<C> {
        Counted { counter, anchor: (0, 0) }
    }
}

impl<C: Counter> Source for Counted<C> {
    const LEADS: bool = true;

    fn begin(&mut self, host: &mut dyn Host) {
        // In this order: what passes between the two looks puts the counter behind the core, not before it.
        let now = host.now();
        self.anchor = (self.counter.ticks(), now);
    }

    fn now(&mut self, host: &mut dyn Host) -> u64 {
        let (first, since) = self.anchor;
        let seen = u64::from(self.counter.ticks().wrapping_sub(first) & COUNTER_MASK);
        let core = host.now();
        let expected = scale(core.saturating_sub(since), COUNTER_HZ, SECOND);
        // The number of ticks nearest to what is expected that ends with what is seen.
        let round = u64::from(COUNTER_MASK) + 1;
        let ticks = (expected + round / 2).saturating_sub(seen) / round * round + seen;
        since.saturating_add(scale(ticks, SECOND, COUNTER_HZ))
    }
}

/// `value * to / from`, rounded down.
fn scale(value: u64, to: u64, from: u64) -> u64 {
    (u128::from(value) * u128::from(to) / u128::from(from)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::FakeHost;
    use proptest::prelude::*;
    use server_drivers::fake::FakeCounter;

    proptest! {
        /// Whatever passes between two looks, and wherever the counter begins: it shows ticks, in order.
        #[test]
        fn a_counter_that_comes_round_shows_all_its_ticks(first: u32, steps in prop::collection::vec(0u64..30 * SECOND, 1..40)) {
            let mut source = Counted::new(FakeCounter(first));
            let mut host = FakeHost::default();
            host.now = 77;
            source.begin(&mut host);
            let (mut passed, mut last) = (0, 77);
            for step in steps {
                passed += step;
                host.now = 77 + passed;
                let ticks = scale(passed, COUNTER_HZ, SECOND);
                source.counter.0 = first.wrapping_add(ticks as u32);
                let now = source.now(&mut host);
                prop_assert_eq!(now, 77 + scale(ticks, SECOND, COUNTER_HZ));
                prop_assert!(now >= last);
                last = now;
            }
        }
    }
}
