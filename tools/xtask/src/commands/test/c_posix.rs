//! The C test of the shim: `tests/c/posix.c` on each kernel, and on the host's own Linux.
//!
//! On the host it is linked with the host's C library: what passes there holds for POSIX, not only for Parley.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::ktest::{Suite, guest_case, judge};
use super::{Case, Named, Verdict};
use crate::guest::{Outcome, Rig};
use crate::host;
use crate::kernel::Kernel;
use crate::qemu::End;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

const SOURCE: &str = "tests/c/posix.c";
const LIMIT: Duration = Duration::from_secs(60);

/// On a kernel.
pub fn case(kernel: Kernel) -> Case<Rig> {
    guest_case(kernel, suite(format!("{kernel}/c-posix")), &["/bin/c-posix", "/c-posix"])
}

/// On the host.
pub fn host_case() -> Case<Workspace> {
    let suite = suite("host/posix-c".to_owned());
    Case::several(suite.case.clone(), move |workspace| on_host(workspace, &suite))
}

fn suite(case: String) -> Suite {
    Suite { prefix: format!("{case}/"), case, closing: "posix-c: " }
}

fn on_host(workspace: &Workspace, suite: &Suite) -> Vec<Named> {
    let whole = |verdict| vec![(suite.case.clone(), verdict)];
    if !setup::try_ensure(&[Need::Gcc]) || !has_headers() {
        return whole(Verdict::Skipped("no C compiler with a C library's headers (Debian: gcc libc6-dev)".into()));
    }
    match compile_and_run(workspace) {
        Ok(outcome) => judge(suite, &outcome, || String::from_utf8_lossy(&outcome.stdout).into_owned()),
        Err(error) => whole(Verdict::Failed(format!("{error:#}"))),
    }
}

/// Debian's gcc comes without the C library's headers unless they are asked for.
fn has_headers() -> bool {
    host::succeeds(Command::new("gcc").args(["-fsyntax-only", "-include", "unistd.h", "-x", "c", "/dev/null"]))
}

fn compile_and_run(workspace: &Workspace) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("no folder for a run")?;
    let program = folder.path().join("posix");
    let source = workspace.root.join(SOURCE);
    host::output(Command::new("gcc").args(["-Wall", "-Wextra", "-O2", "-o"]).arg(&program).arg(source))?;
    let mut command = Command::new(program);
    let captured = host::capture_within(command.arg(folder.path().join("scratch")), LIMIT)?;
    let status = Some(u8::from(!captured.success));
    Ok(Outcome { end: End::Orderly, status, stdout: captured.stdout.into_bytes(), log: String::new() })
}
