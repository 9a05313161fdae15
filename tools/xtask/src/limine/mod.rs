//! Limine, the boot loader: where its files come from.
//!
//! They are never in the repository. In this order: the folder `LIMINE_DIR`, a system package,
//! our cache under the target folder, Limine's binary release branch (then cached). What is
//! downloaded must have the pinned checksums.

pub mod conf;
pub mod fetch;
pub mod iso;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use crate::host;
use crate::setup::Need;
use crate::workspace::Workspace;

/// What an image needs; the host tool may come as source.
pub const FILES: [&str; 4] = ["limine-bios.sys", "limine-bios-cd.bin", "limine-uefi-cd.bin", "BOOTX64.EFI"];

/// Where distributions put it.
const SYSTEM: [&str; 2] = ["/usr/share/limine", "/usr/local/share/limine"];

/// Limine's files on this machine.
#[derive(Clone, Debug)]
pub struct Limine {
    /// The folder with [`FILES`].
    pub folder: PathBuf,
    /// How we came by it.
    pub source: Source,
    /// The host tool that makes an ISO bootable from a disk or stick by BIOS, if it can be had.
    pub tool: Option<PathBuf>,
}

/// How Limine's files came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `LIMINE_DIR`.
    Variable,
    /// A package of the system.
    System,
    /// The pinned release, fetched now or before.
    Release,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Source::Variable => "LIMINE_DIR",
            Source::System => "system package",
            Source::Release => "pinned release",
        })
    }
}

impl Limine {
    /// What is on this machine already; `None` when it would have to be fetched.
    pub fn local(workspace: &Workspace) -> Result<Option<Limine>> {
        if let Some(folder) = std::env::var_os("LIMINE_DIR").filter(|value| !value.is_empty()) {
            let folder = PathBuf::from(folder);
            if let Some(missing) = missing_file(&folder) {
                bail!("LIMINE_DIR={} has no {missing}; point it at a Limine release", folder.display());
            }
            return Limine::at(workspace, folder, Source::Variable).map(Some);
        }
        let system = SYSTEM.iter().map(Path::new).find(|folder| missing_file(folder).is_none());
        if let Some(folder) = system {
            return Limine::at(workspace, folder.to_owned(), Source::System).map(Some);
        }
        match fetch::cached(workspace) {
            Some(folder) => Limine::at(workspace, folder, Source::Release).map(Some),
            None => Ok(None),
        }
    }

    /// What is here, or fetched now; an error says in one line why it cannot be had.
    pub fn obtain(workspace: &Workspace) -> Result<Limine> {
        match Limine::local(workspace)? {
            Some(limine) => Ok(limine),
            None => Limine::at(workspace, fetch::fetch(workspace)?, Source::Release),
        }
    }

    fn at(workspace: &Workspace, folder: PathBuf, source: Source) -> Result<Limine> {
        let tool = match host_tool(&folder) {
            Some(tool) => Some(tool),
            None => build_tool(workspace, &folder)?,
        };
        Ok(Limine { folder, source, tool })
    }
}

/// The first of [`FILES`] that the folder lacks.
fn missing_file(folder: &Path) -> Option<&'static str> {
    FILES.into_iter().find(|name| !folder.join(name).is_file())
}

fn host_tool(folder: &Path) -> Option<PathBuf> {
    let beside = folder.join("limine");
    if beside.is_file() { Some(beside) } else { which::which("limine").ok() }
}

/// Compiles the tool from the source that releases carry; `None` without source or compiler.
fn build_tool(workspace: &Workspace, folder: &Path) -> Result<Option<PathBuf>> {
    let source = folder.join("limine.c");
    if !source.is_file() || Need::Gcc.locate().is_none() {
        return Ok(None);
    }
    // Named by its source: another LIMINE_DIR means another tool.
    let digest = fetch::hex(&Sha256::digest(std::fs::read(&source)?));
    let tool = workspace.folder("limine")?.join(format!("limine-{}", &digest[..12]));
    if !tool.is_file() {
        host::output(Command::new("gcc").args(["-O2", "-w", "-o"]).arg(&tool).arg(&source))?;
    }
    Ok(Some(tool))
}
