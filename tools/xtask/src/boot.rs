//! From kernel, archive and command line to something a machine can boot.
//!
//! The kernel cannot tell the ways apart: Limine reads the three from an ISO, the direct-boot
//! loader from one tar that QEMU puts into memory.

use std::path::Path;

use anyhow::{Context, Result};

use crate::archive::ustar;
use crate::build::Guest;
use crate::kernel::Kernel;
use crate::limine::{Limine, conf, iso};
use crate::qemu::Boot;
use crate::setup::firmware;

/// Who starts the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// tools/direct-boot: nothing to download, no firmware to wait for.
    Direct,
    /// Limine, from BIOS.
    LimineBios,
    /// Limine, from UEFI.
    LimineUefi,
}

/// What is to be started.
pub struct Launch<'a> {
    /// Which kernel.
    pub kernel: Kernel,
    /// Its command line.
    pub cmdline: &'a str,
    /// Its boot archive, well-formed or not.
    pub archive: &'a [u8],
}

impl Launch<'_> {
    /// Puts what the direct-boot loader wants into `folder`.
    pub fn direct(&self, guest: &Guest, folder: &Path) -> Result<Boot> {
        let kernel = std::fs::read(&guest.kernel(self.kernel).shipped)?;
        let parts: [(&str, &[u8]); 3] =
            [("kernel", &kernel), ("cmdline", self.cmdline.as_bytes()), ("boot.tar", self.archive)];
        let initrd = folder.join("outer.tar");
        std::fs::write(&initrd, ustar(parts)?).context("cannot write the outer archive")?;
        Ok(Boot::Direct { loader: guest.loader.clone(), initrd })
    }

    /// Makes an ISO in `folder` that boots without asking.
    pub fn limine(&self, guest: &Guest, limine: &Limine, folder: &Path, uefi: bool) -> Result<Boot> {
        let iso = folder.join("boot.iso");
        let image = iso::Image {
            conf: conf::unattended(self.kernel, self.cmdline),
            kernels: vec![(self.kernel, guest.kernel(self.kernel).shipped.clone())],
            archive: self.archive,
        };
        image.write(limine, &iso)?;
        let uefi = if uefi { Some(private_firmware(folder)?) } else { None };
        Ok(Boot::Cd { iso, uefi })
    }
}

/// The firmware's code and a copy of its variables that this machine may write to.
pub fn private_firmware(folder: &Path) -> Result<(std::path::PathBuf, std::path::PathBuf)> {
    let (code, vars) = firmware::find().context("no UEFI firmware; install the package ovmf")?;
    let own = folder.join("vars.fd");
    std::fs::copy(&vars, &own).with_context(|| format!("cannot copy {}", vars.display()))?;
    Ok((code, own))
}
