//! A short run of the fuzzer on each kernel; `cargo xtask fuzz` makes long ones.

use super::Case;
use crate::commands::fuzz::Run;
use crate::guest::Rig;
use crate::kernel::Kernel;

const STEPS: u64 = 20_000;
const SEEDS: [u64; 2] = [1, 2];

/// Both seeds on one kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    let run = move |rig: &Rig| {
        SEEDS.iter().try_for_each(|&seed| Run { kernel, steps: STEPS, seed, block: 0 }.on(rig, &mut std::io::sink()))
    };
    Case::one(format!("{kernel}/fuzz"), move |rig: &Rig| run(rig).into())
}
