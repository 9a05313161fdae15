//! The core's short cuts do what the long way does.
//!
//! The same random history with short cuts and without must look the same in every detail, and everything that
//! ktest demands must hold without them, as it must on a processor that lacks what they need.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Case;
use super::ktest::{Suite, guest_case_with};
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;
use crate::results;

const PROGRAM: &str = "/bin/ktest-history";
/// Switches the short cuts off.
const OFF: &str = "short-cuts=off";
const SEEDS: [&str; 2] = ["1", "2"];
const STEPS: &str = "1000";
/// A message there and back.
const ROW: &str = "ipc_round_trip_0";

/// The histories on one kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    let run = move |rig: &Rig| {
        SEEDS.iter().try_for_each(|seed| same(rig, kernel, seed))?;
        saves(rig, kernel)
    };
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
    let (short, long) = (play(rig, kernel, seed, &[])?, play(rig, kernel, seed, &[OFF])?);
    if let Some((one, other)) = short.lines().zip(long.lines()).find(|(one, other)| one != other) {
        anyhow::bail!(
            "with short cuts: {one}\nwithout: {other}\nto see the steps before: \
             cargo xtask exec --icount --kernel {kernel} [--option {OFF}] -- {PROGRAM} --seed {seed} --steps {STEPS} --show 0"
        );
    }
    ensure!(short == long, "one history is longer than the other");
    Ok(())
}

/// They are taken, and worth it: a message there and back needs at most half of what the long way does. (A history
/// says nothing of that: most of what it does is unusual, so it pays for the checks.)
fn saves(rig: &Rig, kernel: Kernel) -> Result<()> {
    let median = |options: &[&str]| -> Result<u64> {
        let bench = results::parse(kernel, &output(rig, kernel, &["/bin/bench", ROW], options)?)?;
        let row = bench.rows.first().with_context(|| format!("no row {ROW}"))?;
        row.median.as_u64().with_context(|| format!("{ROW} has no whole median"))
    };
    let (with, without) = (median(&[])?, median(&[OFF])?);
    ensure!(2 * with <= without, "{ROW} takes {with} instructions with short cuts, and {without} without");
    Ok(())
}

/// What the history says.
fn play(rig: &Rig, kernel: Kernel, seed: &str, options: &[&str]) -> Result<String> {
    output(rig, kernel, &[PROGRAM, "--seed", seed, "--steps", STEPS], options)
}

fn output(rig: &Rig, kernel: Kernel, program: &[&str], options: &[&str]) -> Result<String> {
    let mut job = Job::new(rig, kernel, program)?;
    job.deterministic = true;
    job.timeout = Duration::from_secs(180);
    job.options.extend(options.iter().map(|&word| word.to_owned()));
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let status = rig.status(kernel, &outcome)?;
    ensure!(status == 0, "{} ended badly: {}", program[0], rig.explain(kernel, &outcome));
    Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
}
