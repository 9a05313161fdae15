//! A short run of each kind of torture; `cargo xtask torture` makes long ones.

use anyhow::Result;

use super::Case;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::torture::{self, Kind};

/// Rounds, or one place in so many.
const SIZES: [(Kind, u64); 7] = [
    (Kind::Random, 8),
    (Kind::Hangs, 6),
    (Kind::Boundaries, 48),
    (Kind::Instructions, 80),
    (Kind::Allocations, 48),
    (Kind::Flips, 4),
    (Kind::Interrupts, 3),
];
const SEED: u64 = 7;

/// All kinds that suit the kernel.
pub fn cases(kernel: Kernel) -> Vec<Case<Rig>> {
    let suits = |(kind, _): &(Kind, u64)| kind.suits(kernel);
    let case = |(kind, size)| {
        let run =
            move |rig: &Rig| -> Result<()> { torture::Case { kernel, kind, seed: SEED, size }.run(rig).map(drop) };
        Case::one(format!("{kernel}/torture/{kind}"), move |rig: &Rig| run(rig).into())
    };
    SIZES.into_iter().filter(suits).map(case).collect()
}
