//! The bootable image: one ISO for BIOS and UEFI, CD and stick.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Limine;
use crate::host;
use crate::kernel::Kernel;

/// xorriso's options for an El Torito CD that BIOS and UEFI both boot (Limine's USAGE.md).
const XORRISO: [&str; 17] = [
    "-as",
    "mkisofs",
    "-quiet",
    "-R",
    "-J",
    "-b",
    "boot/limine/limine-bios-cd.bin",
    "-no-emul-boot",
    "-boot-load-size",
    "4",
    "-boot-info-table",
    "--efi-boot",
    "boot/limine/limine-uefi-cd.bin",
    "-efi-boot-part",
    "--efi-boot-image",
    "--protective-msdos-label",
    "-o",
];

/// What goes into an image.
pub struct Image<'a> {
    /// The text of limine.conf.
    pub conf: String,
    /// The kernels its entries name.
    pub kernels: Vec<(Kernel, PathBuf)>,
    /// The boot archive.
    pub archive: &'a [u8],
}

impl Image<'_> {
    /// Writes the ISO; it boots from a stick by BIOS as well when Limine's host tool is there.
    pub fn write(&self, limine: &Limine, iso: &Path) -> Result<()> {
        let tree = tempfile::tempdir_in(iso.parent().context("an ISO needs a folder")?)?;
        self.lay_out(limine, tree.path())?;
        host::output(Command::new("xorriso").args(XORRISO).arg(iso).arg(tree.path()))?;
        if let Some(tool) = &limine.tool {
            host::output(Command::new(tool).arg("bios-install").arg(iso))?;
        }
        Ok(())
    }

    fn lay_out(&self, limine: &Limine, tree: &Path) -> Result<()> {
        let (boot, efi) = (tree.join("boot"), tree.join("EFI/BOOT"));
        let loader = boot.join("limine");
        std::fs::create_dir_all(&loader)?;
        std::fs::create_dir_all(&efi)?;
        for name in ["limine-bios.sys", "limine-bios-cd.bin", "limine-uefi-cd.bin"] {
            copy(&limine.folder.join(name), &loader.join(name))?;
        }
        copy(&limine.folder.join("BOOTX64.EFI"), &efi.join("BOOTX64.EFI"))?;
        std::fs::write(loader.join("limine.conf"), &self.conf)?;
        std::fs::write(boot.join("boot.tar"), self.archive)?;
        for (kernel, file) in &self.kernels {
            copy(file, &boot.join(format!("{kernel}.elf")))?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display())).map(drop)
}
