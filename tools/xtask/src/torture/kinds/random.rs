//! Kills, restarts and swaps by the guest's program itself, at random or at every boundary, and hangs.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::explain;
use crate::guest::{Job, Rig};
use crate::qemu::End;
use crate::torture::patient::PROGRAM;
use crate::torture::{Case, Kind, Tally, console};

/// Seconds for a round on a machine that is busy otherwise: ten times what it takes.
const SLOWEST: u64 = 12;
/// Seconds for all swaps of a script, likewise.
const SWEEP: u64 = 600;
/// Operations of each kind in it: the trace has room for a pass of so many.
const OPERATIONS: &str = "3";

pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    let (seed, size) = (case.seed.to_string(), case.size.to_string());
    let (what, limit): (&[&str], _) = match case.kind {
        Kind::Swaps => (&["--script", "everything", "--operations", OPERATIONS, "--faults", "swaps", "--step"], SWEEP),
        Kind::Hangs => (&["--faults", "hangs", "--rounds"], SLOWEST * case.size),
        _ => (&["--faults", "kills", "--rounds"], SLOWEST * case.size),
    };
    let mut job = Job::new(rig, case.kernel, &[&[PROGRAM, "--seed", &seed], what, &[&size]].concat())?;
    job.deterministic = true;
    job.timeout = Duration::from_secs(60 + limit);
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let output = String::from_utf8_lossy(&outcome.stdout);
    let fine = outcome.end == End::Orderly && outcome.status == Some(0);
    ensure!(fine, "{}", explain(rig, case.kernel, &outcome));
    match console::check(&output) {
        Ok(lines) => {
            let mut tally = Tally::of_guest(&output);
            tally.add("lines on the terminal", lines);
            if case.kind == Kind::Swaps {
                let [struck, missed] = ["boundaries struck", "missed"].map(|count| tally.get(count));
                ensure!(struck > 0 && missed * 10 <= struck, "most boundaries were to be struck: {tally}");
            }
            Ok(tally)
        }
        Err(why) => bail!("{why}\n{}", explain(rig, case.kernel, &outcome)),
    }
}
