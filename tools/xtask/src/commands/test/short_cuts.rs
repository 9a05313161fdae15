//! The core's short cuts do what the long way does.
//!
//! The same random history with short cuts and without must look the same in every detail, and everything that
//! ktest demands must hold without them, as it must on a processor that lacks what they need.

use anyhow::{Context, Result, ensure};

use super::Case;
use super::ktest::{Suite, guest_case_with};
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;

const PROGRAM: &str = "/bin/ktest-history";
/// Switches the short cuts off.
const OFF: &str = "short-cuts=off";
const SEEDS: [&str; 2] = ["1", "2"];
const STEPS: &str = "3000";
/// Begins the line that is not the same with short cuts and without.
const TOOK: &str = "took: ";

/// The histories on one kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    let run = move |rig: &Rig| SEEDS.iter().try_for_each(|seed| same(rig, kernel, seed));
    Case::one(format!("{kernel}/short-cuts"), move |rig: &Rig| run(rig).into())
}

/// All of ktest's on the micro kernel without short cuts.
pub fn ktest_case() -> Case<Rig> {
    let kernel = Kernel::Micro;
    let suite =
        Suite { case: format!("{kernel}/ktest-long-way"), prefix: format!("{kernel}/long-way/"), closing: "ktest: " };
    guest_case_with(kernel, suite, &["/bin/ktest"], &[OFF])
}

fn same(rig: &Rig, kernel: Kernel, seed: &str) -> Result<()> {
    let ((short, fast), (long, slow)) = (play(rig, kernel, seed, &[])?, play(rig, kernel, seed, &[OFF])?);
    if let Some((one, other)) = short.lines().zip(long.lines()).find(|(one, other)| one != other) {
        anyhow::bail!(
            "with short cuts: {one}\nwithout: {other}\nto see the steps before: \
             cargo xtask exec --icount --kernel {kernel} [--option {OFF}] -- {PROGRAM} --seed {seed} --steps {STEPS} --show 0"
        );
    }
    ensure!(short == long, "one history is longer than the other");
    ensure!(fast < slow, "short cuts save nothing: {fast} ns with them, {slow} ns without");
    Ok(())
}

/// What the program says, and how long it took.
fn play(rig: &Rig, kernel: Kernel, seed: &str, options: &[&str]) -> Result<(String, u64)> {
    let mut job = Job::new(rig, kernel, &[PROGRAM, "--seed", seed, "--steps", STEPS])?;
    job.deterministic = true;
    job.options.extend(options.iter().map(|&word| word.to_owned()));
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let status = rig.status(kernel, &outcome)?;
    ensure!(status == 0, "the history ended badly: {}", rig.explain(kernel, &outcome));
    let output = String::from_utf8_lossy(&outcome.stdout);
    let took = output.lines().find_map(|line| line.strip_prefix(TOOK)?.split(' ').next()?.parse().ok());
    let rest: Vec<_> = output.lines().filter(|line| !line.starts_with(TOOK)).collect();
    Ok((rest.join("\n"), took.context("the history did not say how long it took")?))
}
