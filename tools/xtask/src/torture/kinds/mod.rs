//! The kinds of faults, one file each.

mod allocations;
mod flips;
mod interrupts;
mod random;
pub mod resident;
mod systematic;

use anyhow::{Result, bail};

use super::patient::{Mark, Patient, Stop};
use super::{Case, Kind, Tally};
use crate::guest::{Outcome, Rig};
use crate::kernel::Kernel;

/// Runs a case.
pub fn run(rig: &Rig, case: &Case) -> Result<Tally> {
    match case.kind {
        Kind::Random | Kind::Hangs | Kind::Swaps => random::run(rig, case),
        Kind::Boundaries => systematic::boundaries(rig, case),
        Kind::Instructions => systematic::instructions(rig, case),
        Kind::Allocations => allocations::run(rig, case),
        Kind::Flips => flips::run(rig, case),
        Kind::Resident => resident::run(rig, case),
        Kind::Interrupts => interrupts::run(rig, case),
    }
}

/// The error that shows a machine which did not do as it should.
fn failed<T>(rig: &Rig, kernel: Kernel, why: &str, patient: Patient) -> Result<T> {
    bail!("{why}\n{}", explain(rig, kernel, &patient.autopsy(rig)?))
}

/// Runs to the beginning of the next pass of a script.
fn begin(patient: &mut Patient) -> Result<()> {
    loop {
        match patient.next()? {
            Stop::Mark(Mark::Begin(_)) => return Ok(()),
            Stop::Mark(Mark::End(_)) => bail!("the program gave up"),
            _ => {}
        }
    }
}

/// The machine's end: what the guest's program says is wrong comes first, the numbered lines not at all.
fn explain(rig: &Rig, kernel: Kernel, outcome: &Outcome) -> String {
    let output = String::from_utf8_lossy(&outcome.stdout);
    let verdict = output.lines().filter(|line| line.starts_with("FAIL"));
    let explained = rig.explain(kernel, outcome);
    let is_line = |line: &&str| !line.trim_start().starts_with("line ");
    verdict.chain(explained.lines().filter(is_line)).collect::<Vec<_>>().join("\n")
}
