//! The unmodified Linux programs: assembled by gcc, linked statically, no libc.
//!
//! `tests/linux/NAME.S` becomes `bin/linux-NAME`. Nothing of ours goes into them: they prove
//! that a program made by somebody else's tools runs on each kernel.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::host;
use crate::workspace::Workspace;

const SOURCES: &str = "tests/linux";

/// Assembles all of them; pairs of archive path and file.
pub fn assemble(workspace: &Workspace) -> Result<Vec<(String, PathBuf)>> {
    let out = workspace.folder("guest/linux")?;
    let mut programs = Vec::new();
    for source in sources(&workspace.root.join(SOURCES), "S")? {
        let stem = source.file_stem().expect("it ends in .S").to_string_lossy();
        let name = format!("linux-{stem}");
        let file = out.join(&name);
        gcc(&source, &file)?;
        programs.push((format!("bin/{name}"), file));
    }
    Ok(programs)
}

/// The files of the folder with this extension, sorted.
pub fn sources(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut sources: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    sources.sort();
    Ok(sources)
}

fn gcc(source: &Path, out: &Path) -> Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-g", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-o"]);
    host::output(gcc.arg(out).arg(source)).map(drop)
}
