//! `build`: everything for the guest, without booting it.

use anyhow::Result;
use clap::Args;

use crate::build::Guest;
use crate::kernel::KernelChoice;
use crate::workspace::Workspace;

/// Build kernels, servers, programs and the boot archive, and say where they are
#[derive(Args)]
pub struct Build {
    /// Which kernel
    #[arg(long, value_enum, default_value = "all")]
    kernel: KernelChoice,
}

impl Build {
    pub fn run(self) -> Result<u8> {
        let workspace = Workspace::find()?;
        let guest = Guest::build(&workspace, &self.kernel.kernels())?;
        for kernel in guest.kernels() {
            println!("{kernel:<9} {}", guest.kernel(kernel).symbols.display());
        }
        println!("{:<9} {}", "loader", guest.loader.display());
        let file = workspace.folder("guest")?.join("boot.tar");
        let archive = guest.archive();
        let bytes = archive.to_bytes()?;
        std::fs::write(&file, &bytes)?;
        println!("{:<9} {} ({} KiB)", "archive", file.display(), bytes.len() / 1024);
        archive.paths().for_each(|path| println!("          /{path}"));
        Ok(0)
    }
}
