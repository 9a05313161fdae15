//! `compare`: the main job. Three kernels, one benchmark, one table.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::Guest;
use crate::cmdline::HARDWARE;
use crate::guest::{Job, MEMORY, Rig};
use crate::kernel::{Kernel, KernelChoice};
use crate::qemu::{Accel, AccelChoice};
use crate::results::{self, Baseline, Bench, Header, LOOPBACK, Memory, Reference, Report, Row, Setting};
use crate::setup::{self, Need};
use crate::torture::record;
use crate::workspace::Workspace;
use crate::{parallel, progress};

const PROGRAM: &str = "/bin/bench";

/// Measure what each kernel design costs, and print the table
///
/// Boots the micro, hybrid and mono kernels, runs one and the same benchmark program on each, and
/// writes target/compare/results.json and results.md as well. By default instructions are counted
/// under emulation, so that two runs give the same figures; with --accel kvm cycles are. Below the
/// table: what services keep in memory, and what faults in them did (tests/torture/results.json).
#[derive(Args)]
pub struct Compare {
    /// Which kernel
    #[arg(long, value_enum, default_value = "all")]
    kernel: KernelChoice,
    /// Measure twice and fail unless both give the same figures
    #[arg(long)]
    repeat: bool,
    /// Write the figures to tests/bench/baseline.json, which `cargo xtask test` holds them to
    #[arg(long)]
    update_baseline: bool,
    /// What executes the guest's instructions; tcg counts them exactly
    #[arg(long, value_enum, default_value = "tcg")]
    accel: AccelChoice,
    /// RAM of the machines in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY)]
    memory: u32,
    /// Give up on a kernel after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
}

impl Compare {
    pub fn run(self) -> Result<u8> {
        if self.update_baseline && (self.kernel != KernelChoice::All || self.accel.resolve() != Accel::Tcg) {
            bail!("--update-baseline wants every kernel's counted instructions: no other --kernel or --accel with it");
        }
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let kernels = self.kernel.kernels();
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        let setting = self.setting();
        let measure = || measure(&rig, &kernels, setting, self.memory, Duration::from_secs(self.timeout));
        let report = measure()?;
        if self.repeat {
            same(&report.rows, &measure()?.rows)?;
        }
        print!("{}", results::terminal(&report));
        write(&rig.workspace, &report)?;
        if self.update_baseline {
            let path = Baseline::path(&rig.workspace);
            Baseline::of(&report)?.write(&path)?;
            println!("written: {}", path.display());
        }
        Ok(0)
    }

    fn setting(&self) -> Setting {
        let accel = self.accel.resolve();
        Setting { accel, deterministic: accel == Accel::Tcg }
    }
}

/// Boots every kernel, two at a time, and puts the figures together.
pub fn measure(rig: &Rig, kernels: &[Kernel], setting: Setting, memory: u32, timeout: Duration) -> Result<Report> {
    let names: Vec<_> = kernels.iter().map(|kernel| kernel.name()).collect();
    let step = progress::step(format!("measuring {}", names.join(", ")));
    let started = Instant::now();
    let benches = parallel::map(kernels.to_vec(), |kernel| -> Result<(Kernel, Bench)> {
        let mut job = job(rig, kernel, setting, &[])?;
        job.memory = memory;
        job.timeout = timeout;
        Ok((kernel, bench(rig, &job)?))
    });
    step.print(|| eprintln!("xtask: measured in {}", progress::seconds(started)));
    drop(step);
    let benches = all_or_errors(benches)?;
    check_complete(&benches)?;
    // Theirs are instructions: beside cycles they would say nothing.
    let references = if setting.deterministic { Reference::read(&rig.workspace)? } else { Vec::new() };
    let mut report = assemble(Header::collect(&rig.workspace, setting)?, benches, references)?;
    report.memories = memories(rig, kernels, setting, memory)?;
    report.faults = record::read(&record::path(&rig.workspace))?;
    Ok(report)
}

/// What services keep, each kernel in a machine of its own: they do not give it back.
fn memories(rig: &Rig, kernels: &[Kernel], setting: Setting, memory: u32) -> Result<Vec<Memory>> {
    let benches = parallel::map(kernels.to_vec(), |kernel| {
        let mut job = job(rig, kernel, setting, &results::MEMORIES)?;
        job.memory = memory;
        bench(rig, &job)
    });
    Ok(all_or_errors(benches)?.into_iter().flat_map(|bench| bench.memories).collect())
}

/// Two runs' rows; an error names the first figure that differs.
pub fn same(first: &[Row], second: &[Row]) -> Result<()> {
    for (one, two) in first.iter().zip(second) {
        if one != two {
            bail!(
                "two runs differ: {} on {} took {} and then {}; is there input from outside?\n{one:?}\n{two:?}",
                one.row,
                one.kernel,
                one.median,
                two.median
            );
        }
    }
    if first.len() != second.len() {
        bail!("two runs differ: {} rows and then {}", first.len(), second.len());
    }
    Ok(())
}

/// A run of the benchmark with these arguments.
pub fn job(rig: &Rig, kernel: Kernel, setting: Setting, args: &[&str]) -> Result<Job> {
    let mut job = Job::new(rig, kernel, &[&[PROGRAM, "--unit", setting.unit()], args].concat())?;
    job.accel = setting.accel;
    job.deterministic = setting.deterministic;
    job.options.push(HARDWARE.into());
    Ok(job)
}

/// Runs it and reads what it says.
pub fn bench(rig: &Rig, job: &Job) -> Result<Bench> {
    let outcome = rig.run(job, &mut std::io::sink())?;
    let status = rig.status(job.kernel, &outcome)?;
    if status != 0 {
        bail!("{PROGRAM} exited with {status}\n{}", rig.explain(job.kernel, &outcome));
    }
    let output = String::from_utf8_lossy(&outcome.stdout);
    results::parse(job.kernel, &output)
        .with_context(|| format!("{PROGRAM} failed\n{}", rig.explain(job.kernel, &outcome)))
}

/// Every kernel's failure, not only the first's.
fn all_or_errors<T>(results: Vec<Result<T>>) -> Result<Vec<T>> {
    let (good, bad): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    if bad.is_empty() {
        return good.into_iter().collect();
    }
    let messages = bad.into_iter().filter_map(Result::err).map(|error| format!("{error:#}"));
    bail!("{}", messages.collect::<Vec<_>>().join("\n"))
}

/// Every promised row, and every row any kernel has, must be there on each. Only what happens to servers when they are
/// swapped or die, and what it costs them that they can, is measured where they are processes.
fn check_complete(benches: &[(Kernel, Bench)]) -> Result<()> {
    let mut wanted: Vec<&str> = results::promised_rows().to_vec();
    let own = |(kernel, bench): &'_ (Kernel, Bench)| -> Vec<String> {
        let rows = bench.rows.iter().filter(|row| row.kernel == kernel.name());
        rows.map(|row| row.row.clone()).collect()
    };
    let present: BTreeMap<Kernel, Vec<String>> = benches.iter().map(|entry| (entry.0, own(entry))).collect();
    wanted.extend(present.values().flatten().map(String::as_str));
    wanted.retain(|row| !row.contains("_blackout_") && !row.ends_with("_volatile"));
    let missing = present.iter().flat_map(|(kernel, rows)| {
        let lacking = wanted.iter().filter(|name| !rows.iter().any(|row| row == *name));
        lacking.map(move |name| format!("{kernel}/{name}"))
    });
    let mut missing: Vec<_> = missing.collect();
    missing.sort();
    missing.dedup();
    if !missing.is_empty() {
        bail!("the benchmark printed no row for: {}", missing.join(" "));
    }
    Ok(())
}

/// The rows by operation, then by column; loop-back from the micro kernel's run only.
fn assemble(mut header: Header, benches: Vec<(Kernel, Bench)>, references: Vec<Reference>) -> Result<Report> {
    let mut rows: Vec<Row> = Vec::new();
    for (kernel, bench) in benches {
        header.boot_instructions.extend(bench.boot_instructions.map(|n| (kernel.name().to_owned(), n)));
        let kept = |row: &Row| row.kernel != LOOPBACK || kernel == Kernel::Micro;
        rows.extend(bench.rows.into_iter().filter(kept));
    }
    let mut report = Report { header, rows, references, memories: Vec::new(), faults: Vec::new() };
    let order: Vec<String> = report.operations().into_iter().map(str::to_owned).collect();
    report.rows.sort_by_key(|row| (order.iter().position(|name| *name == row.row), column(&row.kernel)));
    Ok(report)
}

fn column(kernel: &str) -> usize {
    Kernel::from_name(kernel).map_or(Kernel::ALL.len(), |kernel| kernel as usize)
}

fn write(workspace: &Workspace, report: &Report) -> Result<()> {
    let folder = workspace.folder("compare")?;
    let (json, md) = (folder.join("results.json"), folder.join("results.md"));
    std::fs::write(&json, serde_json::to_string_pretty(report)? + "\n")?;
    std::fs::write(&md, results::markdown(report))?;
    println!("\nwritten: {} and {}", json.display(), md.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(kernel: Kernel, rows: &[&str]) -> (Kernel, Bench) {
        let line = |name: &&str| {
            format!(
                "bench: row={name} placement=ring3 unit=x n=1 median=1 min=1 max=1 median_collapsed=1 \
                 crossings=0 space_switches=0 bytes_copied=0\n"
            )
        };
        let output: String = rows.iter().map(line).collect();
        (kernel, results::parse(kernel, &(output + "bench: done\n")).unwrap())
    }

    #[test]
    fn a_row_that_one_kernel_lacks_is_named() {
        let promised = results::promised_rows();
        let more: Vec<_> = promised.iter().copied().chain(["extra"]).collect();
        assert!(check_complete(&[bench(Kernel::Micro, promised), bench(Kernel::Mono, promised)]).is_ok());
        let uneven = [bench(Kernel::Micro, &more), bench(Kernel::Mono, promised)];
        let error = check_complete(&uneven).unwrap_err().to_string();
        assert!(error.ends_with(": mono/extra"), "{error}");
    }

    #[test]
    fn different_figures_are_found() {
        let (_, one) = bench(Kernel::Micro, &["getpid"]);
        let (_, mut two) = bench(Kernel::Micro, &["getpid"]);
        assert!(same(&one.rows, &two.rows).is_ok());
        two.rows[0].crossings = 9.into();
        assert!(same(&one.rows, &two.rows).is_err());
        assert!(same(&one.rows, &[]).is_err());
    }
}
