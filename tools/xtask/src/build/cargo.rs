//! The one cargo run that builds the guest, and what it made.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::kernel::Kernel;
use crate::setup::toolchain::Core;
use crate::workspace::Workspace;
use crate::{host, progress};

const LOADER: &str = "direct-boot";
const INIT: &str = "parley-init";
/// Mapped into every program.
const SHIM: &str = "parley-shim";
const SERVERS: &str = "server-";
/// Their programs go to `bin/`.
const PROGRAMS: [&str; 2] = ["parley-programs", "kernel-tests"];

/// The executables cargo made, by package.
pub struct Artifacts(BTreeMap<String, Vec<(String, PathBuf)>>);

/// Every package that is built for the guest, for these kernels.
pub fn guest_packages(workspace: &Workspace, kernels: &[Kernel]) -> Result<Vec<String>> {
    let mut names: Vec<String> = kernels.iter().map(|kernel| kernel.package()).collect();
    names.extend([LOADER, INIT, SHIM].map(str::to_owned));
    names.extend(PROGRAMS.map(str::to_owned));
    for name in &names {
        workspace.package(name)?;
    }
    names.extend(workspace.packages_like(SERVERS).map(|package| package.name.clone()));
    Ok(names)
}

/// The profile of the micro kernel, whose text has a limit, and of everything else; see Cargo.toml.
const SMALL: &str = "image-small";
const FAST: &str = "image";

/// Builds them; compiler messages go to stderr as cargo prints them.
pub fn build(workspace: &Workspace, core: Core, kernels: &[Kernel]) -> Result<Artifacts> {
    let (small, fast): (Vec<_>, Vec<_>) =
        guest_packages(workspace, kernels)?.into_iter().partition(|package| *package == Kernel::Micro.package());
    let _step = progress::late("building the guest");
    let mut artifacts = BTreeMap::<_, Vec<_>>::new();
    for (profile, packages) in [(SMALL, small), (FAST, fast)] {
        if packages.is_empty() {
            continue;
        }
        for artifact in run(&mut with_profile(workspace, core, profile, &packages))? {
            let built = (artifact.target.name, artifact.executable.expect("filtered by run"));
            artifacts.entry(package_name(&artifact.manifest_path, workspace)?).or_default().push(built);
        }
    }
    Ok(Artifacts(artifacts))
}

fn with_profile(workspace: &Workspace, core: Core, profile: &str, packages: &[String]) -> Command {
    let mut cargo = host::cargo();
    cargo.current_dir(&workspace.root);
    cargo.args(["build", "--quiet", "--profile", profile, "--bins"]);
    cargo.arg("--message-format=json-render-diagnostics");
    for package in packages {
        cargo.args(["-p", package]);
    }
    core.apply(&mut cargo);
    without_host_flags(&mut cargo);
    cargo
}

impl Artifacts {
    /// The package's one program.
    pub fn only(&self, package: &str) -> Result<PathBuf> {
        match self.0.get(package).map(Vec::as_slice) {
            Some([(_, path)]) => Ok(path.clone()),
            Some(several) => bail!("package `{package}` has {} programs, not one", several.len()),
            None => bail!("package `{package}` built no program; does it have a `[[bin]]`?"),
        }
    }

    /// The programs that go into the boot archive, by their path there.
    pub fn archive_paths(&self) -> Vec<(String, PathBuf)> {
        let all = self.0.iter().flat_map(|(package, bins)| bins.iter().map(move |bin| (package, bin)));
        let placed =
            all.filter_map(|(package, (name, path))| archive_path(package, name).map(|place| (place, path.clone())));
        placed.collect()
    }
}

/// RUSTFLAGS of the host would replace those that `.cargo/config.toml` gives the bare target.
pub fn without_host_flags(cargo: &mut Command) {
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
}

fn archive_path(package: &str, bin: &str) -> Option<String> {
    match package {
        INIT => Some("init".to_owned()),
        SHIM => Some("lib/shim".to_owned()),
        package if PROGRAMS.contains(&package) => Some(format!("bin/{bin}")),
        package if package.starts_with(SERVERS) => Some(format!("svc/{bin}")),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    target: BuiltTarget,
    executable: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
struct BuiltTarget {
    name: String,
}

fn run(cargo: &mut Command) -> Result<Vec<Message>> {
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut built = Vec::new();
    for line in BufReader::new(stdout).lines() {
        // Cargo's other messages lack these fields or have them null: they are not for us.
        match serde_json::from_str::<Message>(&line?) {
            Ok(message) if message.executable.is_some() => built.push(message),
            _ => {}
        }
    }
    if !child.wait()?.success() {
        bail!("the guest does not build; see the compiler's messages above");
    }
    Ok(built)
}

/// The package whose manifest this is: its folder's Cargo.toml is what cargo metadata listed.
fn package_name(manifest: &std::path::Path, workspace: &Workspace) -> Result<String> {
    let package = workspace.packages.iter().find(|package| package.manifest == manifest);
    let known = package.with_context(|| format!("cargo built {} unasked", manifest.display()))?;
    Ok(known.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_decide_where_programs_go() {
        assert_eq!(archive_path("parley-init", "init").as_deref(), Some("init"));
        assert_eq!(archive_path("server-vfs", "vfs").as_deref(), Some("svc/vfs"));
        assert_eq!(archive_path("kernel-tests", "ktest").as_deref(), Some("bin/ktest"));
        assert_eq!(archive_path("parley-micro", "micro"), None);
    }
}
