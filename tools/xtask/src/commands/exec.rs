//! `exec`: one guest program, as if it were a program of the host.

use std::io::stdout;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use super::MachineOptions;
use crate::boot::Loader;
use crate::build::Guest;
use crate::guest::{Job, Rig};
use crate::kernel::{Kernel, KernelChoice};
use crate::log;
use crate::qemu::PROCESSOR;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Boot, run one guest program and return its exit status
///
/// The program's output comes out on stdout, byte for byte. Examples:
///
///   cargo xtask exec -- /bin/ls -l /bin
///   cargo xtask exec --kernel all --add ./hello:/bin/hello -- /bin/hello
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Exec {
    /// Which kernel
    #[arg(long, value_enum, default_value = "micro")]
    kernel: KernelChoice,
    /// Put a file of this machine into the guest; may be repeated
    #[arg(long, value_name = "HOSTFILE:GUESTPATH")]
    add: Vec<String>,
    /// Count instructions: each run takes the same ones (implies --accel tcg)
    #[arg(long)]
    icount: bool,
    /// A word for the kernel, such as short-cuts=off, or hardware (the program may have interrupts and ports)
    #[arg(long, value_name = "WORD")]
    option: Vec<String>,
    /// The processor, as QEMU's -cpu names it, such as max,-fsgsbase
    #[arg(long, value_name = "MODEL", default_value = PROCESSOR)]
    processor: String,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    #[command(flatten)]
    machine: MachineOptions,
    /// The program's path in the guest, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<String>,
}

impl Exec {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let kernels = self.kernel.kernels();
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        let mut first_failure = 0;
        for &kernel in &kernels {
            if kernels.len() > 1 {
                eprintln!("--- {kernel}");
            }
            let status = self.on(&rig, kernel)?;
            if first_failure == 0 {
                first_failure = status;
            }
        }
        Ok(first_failure)
    }

    fn on(&self, rig: &Rig, kernel: Kernel) -> Result<u8> {
        let job = self.job(rig, kernel)?;
        let outcome = rig.run(&job, &mut stdout().lock())?;
        let status = rig.status(kernel, &outcome)?;
        // Why a program could not be started, for example: the log is not the program's output.
        log::errors(&outcome.log).for_each(|line| eprintln!("{line}"));
        Ok(status)
    }

    fn job(&self, rig: &Rig, kernel: Kernel) -> Result<Job> {
        let mut archive = rig.guest.archive();
        for spec in &self.add {
            archive.insert_added(spec)?;
        }
        if self.program.iter().any(String::is_empty) {
            bail!("an empty argument cannot be passed: the kernel command line separates by spaces");
        }
        Ok(Job {
            kernel,
            program: self.program.clone(),
            archive: archive.to_bytes()?,
            loader: Loader::Direct,
            accel: self.machine.accelerator(self.icount),
            processor: self.processor.clone(),
            memory: self.machine.memory,
            deterministic: self.icount,
            options: self.option.clone(),
            timeout: Duration::from_secs(self.timeout),
        })
    }
}
