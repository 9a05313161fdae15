//! Building everything that runs in the guest, and keeping symbols beside what is shipped.
//!
//! One cargo run makes kernels, servers, programs and the direct-boot loader; what cargo says it
//! made decides what goes where in the boot archive. Files are shipped without debug
//! information; the full ones stay for symbolising.

mod c;
mod cargo;
mod linux;
mod manifest;
mod strip;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::archive::Archive;
use crate::kernel::Kernel;
use crate::setup::{self, Need, toolchain};
use crate::workspace::Workspace;

pub use c::SHIM as C_SHIM;
pub use cargo::{guest_packages, without_host_flags};

/// Folder of this repository that is copied into the archive as it is.
const ROOT_FILES: &str = "init/root";

/// One guest program: what is shipped, and what explains its addresses.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Without debug information.
    pub shipped: PathBuf,
    /// With it.
    pub symbols: PathBuf,
}

/// Everything built for the guest.
pub struct Guest {
    /// The loader for QEMU's `-kernel`.
    pub loader: PathBuf,
    kernels: BTreeMap<Kernel, Program>,
    programs: BTreeMap<String, Program>,
    archive: Archive,
}

impl Guest {
    /// Builds the named kernels and everything that runs on them.
    pub fn build(workspace: &Workspace, kernels: &[Kernel]) -> Result<Guest> {
        let core = toolchain::ensure_core()?;
        setup::ensure(&[Need::Gcc, Need::Binutils])?;
        let artifacts = cargo::build(workspace, core, kernels)?;
        let mut stripper = strip::Stripper::new(workspace)?;
        let mut guest = Guest {
            loader: artifacts.only("direct-boot")?,
            kernels: BTreeMap::new(),
            programs: BTreeMap::new(),
            archive: Archive::default(),
        };
        for &kernel in kernels {
            let symbols = artifacts.only(&kernel.package())?;
            guest.kernels.insert(kernel, stripper.program(symbols)?);
        }
        for (path, symbols) in artifacts.archive_paths() {
            guest.programs.insert(path, stripper.program(symbols)?);
        }
        let foreign = [linux::assemble(workspace)?, c::compile(workspace, core)?].concat();
        for (path, file) in foreign {
            guest.programs.insert(path, stripper.program(file)?);
        }
        guest.pack(workspace)?;
        Ok(guest)
    }

    /// The boot archive, to be changed freely.
    pub fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// A kernel that was asked for in [`Guest::build`].
    pub fn kernel(&self, kernel: Kernel) -> &Program {
        &self.kernels[&kernel]
    }

    /// The kernels that were built.
    pub fn kernels(&self) -> impl Iterator<Item = Kernel> {
        self.kernels.keys().copied()
    }

    /// Every program in the archive, by its path there (`svc/vfs`, `bin/sh`, `init`).
    pub fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        self.programs.iter().map(|(path, program)| (path.as_str(), program))
    }

    fn pack(&mut self, workspace: &Workspace) -> Result<()> {
        let folder = workspace.root.join(ROOT_FILES);
        if folder.is_dir() {
            self.archive.insert_tree(&folder)?;
        }
        for (path, program) in &self.programs {
            let file = &program.shipped;
            let read = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
            self.archive.insert(path, read?);
        }
        let services = manifest::read(&workspace.root.join(manifest::FILE), |path| self.programs.contains_key(path))?;
        self.archive.insert(parley_manifest::PATH, manifest::encode(&services)?);
        Ok(())
    }
}
