//! `trace`: where each instruction of a benchmark row goes.

use anyhow::Result;
use clap::Args;

use crate::build::Guest;
use crate::guest::Rig;
use crate::kernel::{Kernel, KernelChoice};
use crate::setup::{self, Need};
use crate::symbols::Symbols;
use crate::trace::{listing, record, table};
use crate::workspace::Workspace;

/// Step through one operation of a benchmark row and show where its instructions go
///
/// The figures are those of `median_collapsed` in `compare`. The rows' names: `cargo xtask exec --
/// /bin/bench --list`. With --steps every instruction is listed, disassembled if objdump is there.
#[derive(Args)]
pub struct Trace {
    /// The row, such as ipc_round_trip_6
    row: String,
    /// Which kernel
    #[arg(long, value_enum, default_value = "micro")]
    kernel: KernelChoice,
    /// List every instruction
    #[arg(long)]
    steps: bool,
}

impl Trace {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Qemu])?;
        let workspace = Workspace::find()?;
        let kernels = self.kernel.kernels();
        let guest = Guest::build(&workspace, &kernels)?;
        let rig = Rig { workspace, guest, limine: None };
        for kernel in kernels {
            self.on(&rig, kernel)?;
        }
        Ok(0)
    }

    fn on(&self, rig: &Rig, kernel: Kernel) -> Result<()> {
        let recording = record(rig, kernel, &self.row, 1)?;
        let mut symbols = Symbols::new(&rig.guest, kernel);
        println!("{} on {kernel}: {} instructions\n", self.row, recording.count(0));
        if self.steps {
            print!("{}", listing(&recording, 0, &mut symbols));
            println!();
        }
        println!("{}", table(&recording, 0, &mut symbols));
        Ok(())
    }
}
