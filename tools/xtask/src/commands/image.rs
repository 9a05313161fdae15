//! `image`: the ISO for real machines, virtual ones and sticks.

use anyhow::Result;
use clap::Args;

use crate::build::Guest;
use crate::kernel::Kernel;
use crate::limine::{Limine, iso};
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Make a bootable ISO (BIOS and UEFI) with all three kernels: target/parley.iso
#[derive(Args)]
pub struct Image {}

impl Image {
    pub fn run(self) -> Result<u8> {
        setup::ensure(&[Need::Xorriso])?;
        let workspace = Workspace::find()?;
        let limine = Limine::obtain(&workspace)?;
        let guest = Guest::build(&workspace, &Kernel::ALL)?;
        let file = workspace.target.join("parley.iso");
        let image = iso::Image {
            conf: std::fs::read_to_string(workspace.root.join("limine.conf"))?,
            kernels: Kernel::ALL.map(|kernel| (kernel, guest.kernel(kernel).shipped.clone())).into(),
            archive: &guest.archive().to_bytes()?,
        };
        image.write(&limine, &file)?;
        println!("{} ({} KiB)", file.display(), file.metadata()?.len() / 1024);
        println!("Limine: {} ({})", limine.folder.display(), limine.source);
        if limine.tool.is_none() {
            println!("note: without Limine's host tool it boots as a CD and by UEFI, not from a stick by BIOS");
        }
        Ok(0)
    }
}
