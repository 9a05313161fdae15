//! What cargo knows about the tree: its packages, their programs, the target folder.
//!
//! Programs are discovered here, never listed by hand: a new one in `init/programs` or a new
//! server is in the boot archive with the next build.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::host;

/// The workspace as `cargo metadata` describes it.
pub struct Workspace {
    /// The repository's top folder.
    pub root: PathBuf,
    /// Where cargo builds, and where everything we make goes as well.
    pub target: PathBuf,
    /// Every workspace member.
    pub packages: Vec<Package>,
}

/// One workspace member.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// As in its manifest.
    pub name: String,
    /// Its Cargo.toml.
    pub manifest: PathBuf,
    /// The names of its binaries.
    pub bins: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<RawTarget>,
}

#[derive(Deserialize)]
struct RawTarget {
    name: String,
    kind: Vec<String>,
}

impl Workspace {
    /// Asks cargo, from the folder this program was built from or the current one.
    pub fn find() -> Result<Workspace> {
        let mut cargo = host::cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR") {
            cargo.current_dir(manifest);
        }
        parse(&host::output(&mut cargo)?)
    }

    /// The package of that name.
    pub fn package(&self, name: &str) -> Result<&Package> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .with_context(|| format!("no package `{name}` in {}; is it a workspace member?", self.root.display()))
    }

    /// The packages with programs whose name starts with `prefix`.
    pub fn packages_like<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Package> {
        let wanted = move |p: &&Package| p.name.starts_with(prefix) && !p.bins.is_empty();
        self.packages.iter().filter(wanted)
    }

    /// A folder of ours under the target folder, created.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.target.join(name);
        std::fs::create_dir_all(&path).with_context(|| cannot_create(&path))?;
        Ok(path)
    }
}

fn parse(json: &str) -> Result<Workspace> {
    let metadata: Metadata = serde_json::from_str(json).context("`cargo metadata` printed something unexpected")?;
    let packages = metadata.packages.into_iter().map(|raw| Package {
        name: raw.name,
        manifest: raw.manifest_path,
        bins: bins(raw.targets),
    });
    Ok(Workspace { root: metadata.workspace_root, target: metadata.target_directory, packages: packages.collect() })
}

fn bins(targets: Vec<RawTarget>) -> Vec<String> {
    let is_bin = |target: &RawTarget| target.kind.iter().any(|kind| kind == "bin");
    targets.into_iter().filter(is_bin).map(|target| target.name).collect()
}

fn cannot_create(path: &Path) -> String {
    format!("cannot create the folder {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_the_targets_of_kind_bin() {
        let json = r#"{"workspace_root":"/w","target_directory":"/w/target","packages":[
            {"name":"server-vfs","manifest_path":"/w/v","targets":[{"name":"server_vfs","kind":["lib"]},
                                            {"name":"vfs","kind":["bin"]}]},
            {"name":"server-drivers","manifest_path":"/w/d","targets":[
               {"name":"server_drivers","kind":["lib"]}]}]}"#;
        let workspace = parse(json).unwrap();
        let servers: Vec<_> = workspace.packages_like("server-").collect();
        assert_eq!(servers.len(), 1, "a library alone is no server");
        assert_eq!(servers[0].bins, ["vfs"]);
        assert!(workspace.package("parley-init").is_err());
    }
}
