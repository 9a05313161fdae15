//! What follows when a service dies too often: each `then` of `init/services.toml`, with the driver whose bug can be called.

use anyhow::{Context, Result, ensure};
use parley_manifest::{Manifest, PATH, Then};

use super::super::demo;
use super::Case;
use crate::guest::{Job, Rig};
use crate::kernel::Kernel;
use crate::qemu::End;

/// Deaths that it may die here; its bug takes more for one request.
const DEATHS: u8 = 2;

/// Both on the kernel whose driver is a process.
pub fn cases() -> Vec<Case<Rig>> {
    let case =
        |name: &str, then: Then| Case::one(format!("micro/policy-{name}"), move |rig: &Rig| check(rig, then).into());
    vec![case("fail", Then::Fail), case("halt", Then::Halt)]
}

fn check(rig: &Rig, then: Then) -> Result<()> {
    let mut archive = rig.guest.archive();
    let manifest = archive.contents(PATH).context("the archive has no manifest")?;
    let mut manifest = Manifest::decode(manifest).ok().context("the archive's manifest is damaged")?;
    let driver = manifest.services.iter_mut().find(|entry| entry.name == "tqueue").context("there is no tqueue")?;
    (driver.restart.deaths, driver.restart.then) = (DEATHS, then);
    archive.insert(PATH, manifest.encode().context("the manifest is too long")?);
    let mut job = Job::new(rig, Kernel::Micro, &demo::PROGRAM)?;
    job.archive = archive.to_bytes()?;
    let outcome = rig.run(&job, &mut std::io::sink())?;
    let explain = || rig.explain(Kernel::Micro, &outcome);
    let console = String::from_utf8_lossy(&outcome.stdout);
    ensure!(outcome.log.contains("it panicked; 2 deaths in 10 s; giving it up"), "nothing was given up\n{}", explain());
    ensure!(outcome.end == End::Orderly, "no orderly end: {}\n{}", outcome.end.describe(), explain());
    match then {
        Then::Fail => {
            ensure!(console.contains("and this one request failed"), "the request did not fail\n{}", explain());
            ensure!(outcome.status.is_some_and(|status| status != 0), "the program did not go on\n{}", explain());
        }
        Then::Halt => {
            ensure!(outcome.log.contains("its policy is to halt"), "it does not say why it halts\n{}", explain());
            ensure!(outcome.status.is_none(), "the program went on\n{}", explain());
        }
    }
    Ok(())
}
