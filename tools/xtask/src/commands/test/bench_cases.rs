//! The figures themselves: repeatable, no worse than agreed, and right.
//!
//! The tests share one measurement: the determinism test makes it twice, the gate compares it with the baseline, another
//! test with the limits that the project has set itself. Stepping through single operations from the host shows that the
//! guest counts correctly.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Case;
use crate::commands::{compare, plot};
use crate::guest::{MEMORY, Rig};
use crate::kernel::Kernel;
use crate::plot::BLACKOUTS;
use crate::qemu::Accel;
use crate::results::{Baseline, Report, Setting};
use crate::{parallel, trace};

/// Rows that are stepped through: one hop, one with data, one with every register, two that wake somebody.
const STEPPED: [&str; 5] = ["getpid", "pread_file_1", "ipc_round_trip_6", "notify_switch", "irq_to_driver"];

/// Consecutive operations of each that must agree.
const OPERATIONS: usize = 2;

/// A measurement that is made once, when a test first needs it.
type Shared = Arc<OnceLock<Result<Report, String>>>;

/// All of them.
pub fn cases() -> Vec<Case<Rig>> {
    let first = Shared::default();
    let (again, once_more) = (first.clone(), first.clone());
    vec![
        Case::one("compare/deterministic", move |rig: &Rig| deterministic(rig, &first).into()),
        Case::one("bench/baseline", move |rig: &Rig| no_worse(rig, &again).into()),
        Case::one("bench/limits", move |rig: &Rig| within_limits(rig, &once_more).into()),
        Case::one("bench/plot", |rig: &Rig| blackout_is_seen(rig).into()),
        Case::one("bench/single-step", |rig: &Rig| stepped(rig).into()),
    ]
}

fn measure(rig: &Rig) -> Result<Report> {
    let setting = Setting { accel: Accel::Tcg, deterministic: true };
    compare::measure(rig, &Kernel::ALL, setting, MEMORY, Duration::from_secs(120))
}

fn shared<'a>(rig: &Rig, report: &'a Shared) -> Result<&'a Report> {
    let made = report.get_or_init(|| measure(rig).map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

/// Two whole measurements must agree in every figure.
fn deterministic(rig: &Rig, report: &Shared) -> Result<()> {
    compare::same(&shared(rig, report)?.rows, &measure(rig)?.rows)
}

/// No figure may be much above the agreed one.
fn no_worse(rig: &Rig, report: &Shared) -> Result<()> {
    let agreed = Baseline::read(&Baseline::path(&rig.workspace))?;
    let judgement = agreed.judge(&Baseline::of(shared(rig, report)?)?);
    if let Some(hint) = judgement.hint() {
        eprintln!("xtask: {hint}");
    }
    match judgement.complaint() {
        Some(complaint) => bail!("{complaint}"),
        None => Ok(()),
    }
}

/// No figure may be above its limit.
fn within_limits(rig: &Rig, report: &Shared) -> Result<()> {
    let limits = Baseline::read(&Baseline::limits(&rig.workspace))?;
    let run = Baseline::of(shared(rig, report)?)?;
    let exceeded = limits.exceeded_by(&run);
    ensure!(exceeded.is_empty(), "above the limits of tests/bench/limits.json:\n{}", exceeded.join("\n"));
    let dear = run.too_durable();
    ensure!(dear.is_empty(), "outliving the process costs more than 2 %:\n{}", dear.join("\n"));
    let compared = run.get("pread_file_4096_volatile", "micro").is_some();
    ensure!(compared, "no row of a server that does not outlive its process was measured");
    Ok(())
}

/// One request around a crash waits for the next instance, the others do not; and the slowest is the row's own figure, or
/// nearly so.
fn blackout_is_seen(rig: &Rig) -> Result<()> {
    let row = BLACKOUTS[0][1];
    let data = plot::measure(rig, vec![vec![row.to_owned()]])?;
    let timeline = data.blackouts.get(row).with_context(|| format!("no requests around {row}"))?;
    let mut took: Vec<u64> = timeline.requests.iter().map(|request| request.1).collect();
    took.sort_unstable();
    let (median, slowest) = (took[took.len() / 2], took[took.len() - 1]);
    ensure!(slowest > 10 * median && slowest < timeline.limit, "{median} in the median and {slowest} at the most");
    let figure = Baseline::read(&Baseline::path(&rig.workspace))?.get(row, "micro").context("no such figure")?;
    ensure!(slowest > figure, "{slowest} at the most, and with each `rep` counted once {figure}");
    Ok(())
}

/// The instructions seen from the host are those the guest counted.
fn stepped(rig: &Rig) -> Result<()> {
    let kernels = [Kernel::Micro, Kernel::Mono];
    let runs: Vec<_> = kernels.into_iter().flat_map(|kernel| STEPPED.map(|row| (kernel, row))).collect();
    parallel::map(runs, |(kernel, row)| verify(rig, kernel, row)).into_iter().collect()
}

fn verify(rig: &Rig, kernel: Kernel, row: &str) -> Result<()> {
    let recording = trace::record(rig, kernel, row, OPERATIONS)?;
    let said = recording.bench.rows.iter().find(|found| found.row == row && found.kernel == kernel.name());
    let said = said.and_then(|found| found.median_collapsed.as_u64()).context("the benchmark printed no such row")?;
    for operation in 0..OPERATIONS {
        let seen = recording.count(operation);
        ensure!(
            seen as u64 == said,
            "{row} on {kernel}: median_collapsed={said}, but single-stepping sees {seen} instructions; \
             `cargo xtask trace {row} --kernel {kernel} --steps` lists them"
        );
    }
    Ok(())
}
