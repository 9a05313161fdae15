//! What `exec` promises: exact output, the exit status, added files; Linux programs unmodified.

use anyhow::{Context, Result, bail, ensure};

use super::super::demo;
use super::Case;
use crate::guest::{Job, Outcome, Rig};
use crate::kernel::Kernel;

/// Bytes that a careless console would change.
const EXACT: &[u8] = b"first\n\nthird\twith tab, no end of line";

/// All of them on one kernel.
pub fn cases(kernel: Kernel) -> Vec<Case<Rig>> {
    let hello: &[u8] = b"hello from Linux\n";
    vec![
        program(kernel, "linux-hello", hello, 0),
        program(kernel, "linux-status", b"", 42),
        program(kernel, "linux-enosys", b"", 0),
        program(kernel, "linux-poll", b"", 0),
        program(kernel, "c-exit", b"", 42),
        Case::one(format!("{kernel}/exec-add"), move |rig: &Rig| added(rig, kernel).into()),
        Case::one(format!("{kernel}/driver-bug"), move |rig: &Rig| driver_bug(rig, kernel).into()),
        Case::one(format!("{kernel}/exec-missing"), move |rig: &Rig| missing(rig, kernel).into()),
    ]
}

/// A program of `/bin` that must write exactly this and exit so.
fn program(kernel: Kernel, name: &'static str, stdout: &'static [u8], status: u8) -> Case<Rig> {
    let run = move |rig: &Rig| {
        let outcome = exec(rig, kernel, &[&format!("/bin/{name}")], |_| ())?;
        expect(rig, kernel, &outcome, stdout, status)
    };
    Case::one(format!("{kernel}/{name}"), move |rig: &Rig| run(rig).into())
}

fn added(rig: &Rig, kernel: Kernel) -> Result<()> {
    let mut archive = rig.guest.archive();
    archive.insert("/etc/exact", EXACT.to_vec());
    let bytes = archive.to_bytes()?;
    let outcome = exec(rig, kernel, &["/bin/cat", "/etc/exact"], |job| job.archive = bytes)?;
    expect(rig, kernel, &outcome, EXACT, 0)
}

fn missing(rig: &Rig, kernel: Kernel) -> Result<()> {
    let outcome = exec(rig, kernel, &["/bin/nonesuch"], |_| ())?;
    let status = rig.status(kernel, &outcome)?;
    ensure!(status != 0, "a program that is not there exited with 0");
    Ok(())
}

/// What `cargo xtask demo` shows.
fn driver_bug(rig: &Rig, kernel: Kernel) -> Result<()> {
    let outcome = exec(rig, kernel, &demo::PROGRAM, |_| ())?;
    demo::judge(kernel, &outcome).with_context(|| rig.explain(kernel, &outcome))
}

fn exec(rig: &Rig, kernel: Kernel, program: &[&str], change: impl FnOnce(&mut Job)) -> Result<Outcome> {
    let mut job = Job::new(rig, kernel, program)?;
    change(&mut job);
    rig.run(&job, &mut std::io::sink())
}

fn expect(rig: &Rig, kernel: Kernel, outcome: &Outcome, stdout: &[u8], status: u8) -> Result<()> {
    let found = rig.status(kernel, outcome)?;
    if found != status || outcome.stdout != stdout {
        bail!(
            "expected status {status} and \"{}\", got {found} and \"{}\"\n{}",
            stdout.escape_ascii(),
            outcome.stdout.escape_ascii(),
            rig.explain(kernel, outcome)
        );
    }
    Ok(())
}
