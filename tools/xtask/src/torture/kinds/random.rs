//! Kills, restarts and swaps by the guest's program itself, and hangs.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::explain;
use crate::guest::{Job, Rig};
use crate::qemu::End;
use crate::torture::patient::PROGRAM;
use crate::torture::{Case, Kind, Tally, console};

/// Seconds for a round on a machine that is busy otherwise: ten times what it takes.
const SLOWEST: u64 = 12;

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, rounds) = (case.seed.to_string(), case.size.to_string());
    let faults = if case.kind == Kind::Hangs { "hangs" } else { "kills" };
    let mut job = Job::new(rig, case.kernel, &[PROGRAM, "--seed", &seed, "--rounds", &rounds, "--faults", faults])?;
    job.deterministic = true;
    job.timeout = Duration::from_secs(60 + SLOWEST * case.size);
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let output = String::from_utf8_lossy(&outcome.stdout);
    let fine = outcome.end == End::Orderly && outcome.status == Some(0);
    ensure!(fine, "{}", explain(rig, case.kernel, &outcome));
    match console::check(&output) {
        Ok(lines) => {
            let mut tally = Tally::of_guest(&output);
            tally.add("lines on the terminal", lines);
            Ok(tally)
        }
        Err(why) => bail!("{why}\n{}", explain(rig, case.kernel, &outcome)),
    }
}
