//! `fuzz`: random system calls until something breaks, or the steps are done.
//!
//! The guest program `ktest-fuzz` does the work. The machine counts instructions, so that a seed gives
//! the same run each time, timer interrupts included, and a failure can be made again.

use std::io::stdout;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use super::host_fuzz;
use crate::build::Guest;
use crate::guest::{Job, Rig};
use crate::kernel::{Kernel, KernelChoice};
use crate::qemu::End;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

const PROGRAM: &str = "/bin/ktest-fuzz";

/// Make random system calls, and fail if a kernel panics, hangs, leaks or breaks its own rules
///
/// The same seed makes the same run; a failure prints the command that makes it again. Example:
///
///   cargo xtask fuzz --kernel all --steps 10000000 --seed 1
///
/// With --host it fuzzes the parsers of `tests/parsers` instead, on this machine and guided by coverage; that
/// takes a nightly toolchain and cargo-fuzz:
///
///   cargo xtask fuzz --host program --seconds 60
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Fuzz {
    /// Which kernel
    #[arg(long, value_enum, default_value = "all")]
    kernel: KernelChoice,
    /// System calls on each kernel
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    steps: u64,
    /// What all choices follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// The block of 2,000 steps to begin with: to make one again without those before it
    #[arg(long, value_name = "B", default_value_t = 0)]
    block: u64,
    /// Fuzz parsers on this machine: the one called this, or all
    #[arg(long, value_name = "PARSER", num_args = 0..=1, default_missing_value = host_fuzz::ALL,
        conflicts_with_all = ["kernel", "steps", "block"])]
    host: Option<String>,
    /// Seconds for each parser
    #[arg(long, value_name = "N", default_value_t = 60, requires = "host")]
    seconds: u64,
}

impl Fuzz {
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        if let Some(parser) = &self.host {
            return host_fuzz::run(&workspace, parser, self.seconds, self.seed);
        }
        setup::ensure(&[Need::Qemu])?;
        let kernels = self.kernel.kernels();
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        let mut failed = 0;
        for kernel in kernels {
            println!("--- {kernel}");
            let run = Run { kernel, steps: self.steps, seed: self.seed, block: self.block };
            let started = Instant::now();
            match run.on(&rig, &mut stdout().lock()) {
                Ok(()) => println!("{:.0} steps a second", self.steps as f64 / started.elapsed().as_secs_f64()),
                Err(error) => {
                    failed = 1;
                    println!("FAIL {error:#}");
                }
            }
        }
        Ok(failed)
    }
}

/// A run on one kernel.
#[derive(Clone, Copy)]
pub struct Run {
    /// The kernel.
    pub kernel: Kernel,
    /// Steps to make.
    pub steps: u64,
    /// The seed.
    pub seed: u64,
    /// The first block.
    pub block: u64,
}

impl Run {
    /// Runs it; what the program prints goes to `out`. The error tells how to make it again.
    pub fn on(&self, rig: &Rig, out: &mut dyn std::io::Write) -> Result<()> {
        let outcome = rig.run(&self.job(rig)?, out)?;
        let done = format!("fuzz: {} steps, seed {}: ok", self.steps, self.seed);
        let said = String::from_utf8_lossy(&outcome.stdout).lines().any(|line| line == done);
        let fine = outcome.end == End::Orderly && outcome.status == Some(0) && said;
        ensure!(fine, "{}\n\nmake it again: {}", rig.explain(self.kernel, &outcome), self.command());
        Ok(())
    }

    fn job(&self, rig: &Rig) -> Result<Job> {
        let [steps, seed, block] = [self.steps, self.seed, self.block].map(|number| number.to_string());
        let program = [PROGRAM, "--seed", &seed, "--steps", &steps, "--block", &block];
        let mut job = Job::new(rig, self.kernel, &program)?;
        job.deterministic = true;
        // Ten times what it takes on a slow machine.
        job.timeout = Duration::from_secs(60 + self.steps / 1000);
        Ok(job)
    }

    fn command(&self) -> String {
        let Run { kernel, steps, seed, block } = self;
        let first = if *block == 0 { String::new() } else { format!(" --block {block}") };
        format!("cargo xtask fuzz --kernel {kernel} --seed {seed} --steps {steps}{first}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_everything_that_matters() {
        let run = Run { kernel: Kernel::Mono, steps: 5, seed: 7, block: 0 };
        assert_eq!(run.command(), "cargo xtask fuzz --kernel mono --seed 7 --steps 5");
        let later = Run { block: 3, ..run };
        assert!(later.command().ends_with("--steps 5 --block 3"));
    }
}
