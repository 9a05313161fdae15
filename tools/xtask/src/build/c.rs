//! The C programs: compiled by gcc, linked with the shim as a static library.
//!
//! `tests/c/NAME.c` becomes `bin/c-NAME`. They see no headers but the shim's and the compiler's own, so what
//! compiles here needs nothing of the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{linux, without_host_flags};
use crate::setup::toolchain::{self, Core};
use crate::workspace::Workspace;
use crate::{host, progress};

const SOURCES: &str = "tests/c";
const HEADERS: &str = "libipc/posix/include";
const SCRIPT: &str = "libipc/rt/program.ld";
/// The package that is the static library.
pub const SHIM: &str = "parley-c";
const LIBRARY: &str = "libparley_c.a";

/// No stack protector: its canary would be in thread-local storage, which nobody sets up.
const FLAGS: [&str; 11] = [
    "-g",
    "-O2",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-nostdinc",
    "-nostdlib",
    "-static",
    "-fno-pie",
    "-no-pie",
    "-fno-stack-protector",
];
const LINKING: &str = "-Wl,-z,max-page-size=4096,--gc-sections,--build-id=none";

/// Compiles all of them; pairs of archive path and file.
pub fn compile(workspace: &Workspace, core: Core) -> Result<Vec<(String, PathBuf)>> {
    let library = shim(workspace, core)?;
    let own_headers = host::output(Command::new("gcc").arg("-print-file-name=include"))?;
    let out = workspace.folder("guest/c")?;
    let mut programs = Vec::new();
    for source in linux::sources(&workspace.root.join(SOURCES), "c")? {
        let stem = source.file_stem().expect("it ends in .c").to_string_lossy();
        let file = out.join(format!("c-{stem}"));
        let mut gcc = Command::new("gcc");
        gcc.args(FLAGS).arg("-isystem").arg(workspace.root.join(HEADERS));
        gcc.arg("-isystem").arg(own_headers.trim());
        gcc.arg(LINKING).arg("-T").arg(workspace.root.join(SCRIPT)).arg("-o").arg(&file);
        host::output(gcc.arg(&source).arg(&library))?;
        programs.push((format!("bin/c-{stem}"), file));
    }
    Ok(programs)
}

/// Builds the static library. A cargo run of its own, as it is the one guest package that is no program.
fn shim(workspace: &Workspace, core: Core) -> Result<PathBuf> {
    let mut cargo = host::cargo();
    cargo.current_dir(&workspace.root);
    cargo.args(["build", "--quiet", "--profile", "image", "--lib", "-p", SHIM]);
    core.apply(&mut cargo);
    without_host_flags(&mut cargo);
    let _step = progress::late("building the C shim");
    host::output(&mut cargo)?;
    Ok(workspace.target.join(Path::new(toolchain::TARGET)).join("image").join(LIBRARY))
}
