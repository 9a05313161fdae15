//! Installing Debian packages, when we may do so without asking.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{host, progress};

/// Installs the packages, after `apt-get update` when the lists do not know them yet.
pub fn install(packages: &[&str]) -> Result<()> {
    let Some(prefix) = privilege() else {
        bail!("missing packages: {0} (install them with: sudo apt install {0})", packages.join(" "));
    };
    let mut step = progress::step(format!("installing {}", packages.join(" ")));
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    if apt_get(prefix, &install).is_ok() {
        return Ok(());
    }
    step.set("apt-get update");
    apt_get(prefix, &["update"])?;
    step.set(format!("installing {}", packages.join(" ")));
    apt_get(prefix, &install)
}

/// The words that give root's rights here; `None` when there are none to be had quietly.
fn privilege() -> Option<&'static [&'static str]> {
    which::which("apt-get").ok()?;
    if rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    host::succeeds(Command::new("sudo").args(["-n", "true"])).then_some(&["sudo", "-n"])
}

fn apt_get(prefix: &[&str], args: &[&str]) -> Result<()> {
    let mut words = prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive"]);
    let mut command = Command::new(words.next().expect("there is at least `env`"));
    host::output(command.args(words).arg("apt-get").args(args)).map(drop)
}
