//! Taking the debug information out of what is shipped to the guest.
//!
//! Line tables are ten times the code; in the guest they would only cost memory and boot time.
//! Without any tool for it the full file is shipped: slower, not wrong.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use super::Program;
use crate::host;
use crate::setup::toolchain;
use crate::workspace::Workspace;

/// Strips files into a folder of its own, each only when it changed.
pub struct Stripper {
    tool: Option<PathBuf>,
    folder: PathBuf,
}

impl Stripper {
    /// Looks for the tool: the toolchain's own objcopy, LLVM's, or GNU's.
    pub fn new(workspace: &Workspace) -> Result<Stripper> {
        let system = || ["llvm-objcopy", "objcopy"].into_iter().find_map(|name| which::which(name).ok());
        let tool = toolchain::rust_objcopy().or_else(system);
        if tool.is_none() {
            eprintln!("xtask: no objcopy: guest files keep their debug information");
        }
        Ok(Stripper { tool, folder: workspace.folder("guest/stripped")? })
    }

    /// The program with its shipped form beside it.
    pub fn program(&mut self, symbols: PathBuf) -> Result<Program> {
        let Some(tool) = &self.tool else {
            return Ok(Program { shipped: symbols.clone(), symbols });
        };
        let name = symbols.file_name().context("a program without a name")?;
        let shipped = self.folder.join(name);
        if modified(&shipped) <= modified(&symbols) {
            strip(tool, &symbols, &shipped)?;
        }
        Ok(Program { shipped, symbols })
    }
}

fn strip(tool: &Path, from: &Path, to: &Path) -> Result<()> {
    // Renamed into place, so that another xtask at the same time never ships half a file.
    let partial = to.with_extension(format!("partial-{}", std::process::id()));
    host::output(Command::new(tool).arg("--strip-all").arg(from).arg(&partial))?;
    std::fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

/// When the file was last written; `None`, which is before everything, when there is none.
fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
}
