//! A short run of each kind of torture; `cargo xtask torture` makes long ones.

use anyhow::{Result, ensure};

use super::Case;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::torture::{self, Fault, Kind};

/// Rounds, or one place in so many.
const SIZES: [(Kind, u64); 9] = [
    (Kind::Random, 8),
    (Kind::Hangs, 6),
    (Kind::Boundaries, 60),
    (Kind::Swaps, 40),
    (Kind::Instructions, 80),
    (Kind::Allocations, 48),
    (Kind::Flips, 4),
    (Kind::Interrupts, 3),
    (Kind::Resident, 4),
];
const SEED: u64 = 7;

/// All kinds that suit the kernel.
pub fn cases(kernel: Kernel) -> Vec<Case<Rig>> {
    let suits = |(kind, _): &(Kind, u64)| kind.suits(kernel);
    let case = |(kind, size)| {
        let run = move |rig: &Rig| run(rig, torture::Case { kernel, kind, seed: SEED, size });
        Case::one(format!("{kernel}/torture/{kind}"), move |rig: &Rig| run(rig).into())
    };
    SIZES.into_iter().filter(suits).map(case).collect()
}

fn run(rig: &Rig, case: torture::Case) -> Result<()> {
    let tally = case.run(rig)?;
    if case.kind == Kind::Resident {
        // Only an exception in ring 0 takes the machine down, and each does.
        let fault = Fault::of(&case);
        let down = if fault.ring == 0 { tally.get(&fault.to_string()) } else { 0 };
        ensure!(tally.get(&fault.to_string()) > 0 && tally.get(&fault.down()) == down, "{case:?}: {tally}");
    }
    Ok(())
}
