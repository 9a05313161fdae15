//! The scripts of `tests/system` as tests, through direct boot and once through real Limine.

use super::{Case, Verdict};
use crate::boot::Loader;
use crate::guest::Rig;
use crate::kernel::Kernel;
use crate::session::{Script, play};
use crate::setup::Need;

/// The script that is also played behind Limine.
const THROUGH_LIMINE: &str = "shell";

/// Every script on one kernel; only one of them where firmware makes booting slow.
pub fn cases(scripts: &[Script], kernel: Kernel, loader: Loader) -> Vec<Case<Rig>> {
    let applies = |script: &&Script| {
        script.kernels.contains(&kernel) && (loader == Loader::Direct || script.name == THROUGH_LIMINE)
    };
    scripts.iter().filter(applies).map(|script| case(script.clone(), kernel, loader)).collect()
}

fn case(script: Script, kernel: Kernel, loader: Loader) -> Case<Rig> {
    let way = match loader {
        Loader::Direct => "system",
        Loader::LimineBios => "limine-bios",
        Loader::LimineUefi => "limine-uefi",
    };
    let case = Case::one(format!("{kernel}/{way}/{}", script.name), move |rig: &Rig| match obstacle(rig, loader) {
        Some(why) => Verdict::Skipped(why),
        None => play(rig, &script, kernel, loader).into(),
    });
    if loader == Loader::Direct { case } else { case.through_limine() }
}

/// Why this loader cannot be tried on this machine.
fn obstacle(rig: &Rig, loader: Loader) -> Option<String> {
    let lacking = |need: Need| format!("{} is not installed", need.package());
    match loader {
        Loader::Direct => None,
        _ if rig.limine.is_none() => Some("Limine's files are not at hand".to_owned()),
        _ if Need::Xorriso.locate().is_none() => Some(lacking(Need::Xorriso)),
        Loader::LimineUefi if Need::Ovmf.locate().is_none() => Some(lacking(Need::Ovmf)),
        _ => None,
    }
}
