//! `torture`: servers die, hang and rot under programs that check what they see.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use crate::build::Guest;
use crate::guest::Rig;
use crate::kernel::{Kernel, KernelChoice};
use crate::results::git_revision;
use crate::setup::{self, Need};
use crate::torture::{Case, Kind, Run, record};
use crate::workspace::Workspace;
use crate::{children, parallel};

/// Kill, swap and corrupt servers under load until time is up, and fail if a program notices
///
/// Machine after machine is booted, each with one kind of fault and a seed of its own; `tests/torture/README.md` says
/// what each kind does and what must hold. A failure prints the command that makes it again. Examples:
///
///   cargo xtask torture --minutes 10 --seed 1
///   cargo xtask torture --kernel micro --kind boundaries --cases 1
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Torture {
    /// Which kernel
    #[arg(long, value_enum, default_value = "all")]
    kernel: KernelChoice,
    /// Only this kind of fault
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// When to stop; machines that run then are still waited for
    #[arg(long, value_name = "N", default_value_t = 5)]
    minutes: u64,
    /// What all choices follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Rounds of each machine; of what is systematic, every Nth place. Without it, what suits the kind
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    size: Option<u64>,
    /// Stop after so many machines
    #[arg(long, value_name = "N")]
    cases: Option<u64>,
    /// Machines side by side
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Put what it comes to into this file, in place of earlier runs of the same kind and kernel
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

impl Torture {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let kernels = self.kernel.kernels();
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        let started = Instant::now();
        let limit = Duration::from_secs(60 * self.minutes);
        let commit = git_revision(&rig.workspace);
        let mut runs: Vec<Run> = Vec::new();
        let mut cases = self.plan(&kernels);
        while started.elapsed() < limit && !children::interrupted() {
            let batch: Vec<Case> = cases.by_ref().take(self.jobs.max(1)).collect();
            if batch.is_empty() {
                break;
            }
            for (case, result) in parallel::map(batch, |case| (case, case.run(&rig))) {
                let Case { kernel, kind, seed, .. } = case;
                if result.is_err() && children::interrupted() {
                    continue;
                }
                let place = runs.iter().position(|run| (run.kernel, run.kind) == (kernel, kind));
                let run = match place {
                    Some(place) => &mut runs[place],
                    None => runs.push_mut(Run::new(kind, kernel, &commit)),
                };
                run.machines += 1;
                let at = started.elapsed().as_secs();
                match result {
                    Ok(tally) => {
                        println!("{at:5} s  {kernel} {kind} seed {seed}: {tally}");
                        run.counts.join(&tally);
                    }
                    Err(error) => {
                        run.failed += 1;
                        println!("{at:5} s  FAIL {kernel} {kind} seed {seed}: {error:#}");
                    }
                }
            }
        }
        println!();
        for Run { kernel, kind, counts, .. } in &runs {
            println!("{kernel} {kind}: {counts}");
        }
        let machines: u64 = runs.iter().map(|run| run.machines).sum();
        let failed: u64 = runs.iter().map(|run| run.failed).sum();
        let seconds = started.elapsed().as_secs();
        println!("torture: {machines} machines, {failed} failed, seed {}, {seconds} s", self.seed);
        if let Some(path) = &self.record {
            // What was interrupted is not what its command makes.
            if !children::interrupted() {
                runs.iter_mut().for_each(|run| run.command = self.command(run));
                record::update(path, runs)?;
                println!("recorded in {}", path.display());
            }
        }
        Ok(u8::from(failed > 0))
    }

    /// What makes this run again, alone.
    fn command(&self, run: &Run) -> String {
        let Run { kernel, kind, machines, .. } = run;
        let (seed, size, minutes) = (self.seed, self.size.unwrap_or(kind.usual()), self.minutes);
        format!(
            "cargo xtask torture --kernel {kernel} --kind {kind} --seed {seed} --size {size} \
             --cases {machines} --minutes {minutes}"
        )
    }

    /// Machine after machine: every kind on every kernel, then the same with the next seed.
    fn plan(&self, kernels: &[Kernel]) -> impl Iterator<Item = Case> + use<> {
        let kinds = self.kind.map_or(Kind::ALL.to_vec(), |kind| vec![kind]);
        let (kernels, size) = (kernels.to_vec(), self.size);
        let seeds = self.seed..;
        let cases = seeds.flat_map(move |seed| {
            let (kinds, kernels) = (kinds.clone(), kernels.clone());
            kinds.into_iter().flat_map(move |kind| {
                let case = move |kernel| Case { kernel, kind, seed, size: size.unwrap_or(kind.usual()) };
                kernels.clone().into_iter().filter(move |kernel| kind.suits(*kernel)).map(case)
            })
        });
        cases.take(self.cases.unwrap_or(u64::MAX) as usize)
    }
}
