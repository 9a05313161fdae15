//! Adding up the files of each workspace member.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::source::{Counts, count};
use crate::host;
use crate::setup::toolchain;
use crate::workspace::Workspace;

/// A workspace member and what it has.
pub struct Crate {
    /// As in its manifest.
    pub name: String,
    /// The sum of its files.
    pub counts: Counts,
}

/// Every workspace member, in the order of their names.
pub fn crates(workspace: &Workspace) -> Result<Vec<Crate>> {
    let mut crates = Vec::new();
    for package in &workspace.packages {
        let sources = package.manifest.with_file_name("src");
        let mut counts = Counts::default();
        if sources.is_dir() {
            add_folder(&sources, &mut Vec::new(), &mut counts)?;
        }
        crates.push(Crate { name: package.name.clone(), counts });
    }
    crates.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(crates)
}

/// The members that are linked into the micro kernel.
pub fn micro_core(workspace: &Workspace) -> Result<Vec<String>> {
    let mut tree = host::cargo();
    tree.current_dir(&workspace.root);
    tree.args(["tree", "-p", "parley-micro", "--edges", "normal", "--prefix", "none", "--target", toolchain::TARGET]);
    let listed = host::output(&mut tree)?;
    let mut names: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names.retain(|name| workspace.package(name).is_ok());
    Ok(names)
}

/// Adds a folder of modules; those that are only tests are left out: `skipped` collects where they would lie.
fn add_folder(folder: &Path, skipped: &mut Vec<PathBuf>, counts: &mut Counts) -> Result<()> {
    let (mut files, mut folders) = entries(folder)?;
    let mut counted = Vec::new();
    for file in files.drain(..) {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let (found, test_modules) = count(&text);
        let home = home_of_modules(&file);
        skipped.extend(test_modules.iter().flat_map(|name| [home.join(name), home.join(format!("{name}.rs"))]));
        counted.push((file, found));
    }
    counted.retain(|(file, _)| !skipped.contains(file));
    counted.iter().for_each(|(_, found)| *counts += *found);
    folders.retain(|folder| !skipped.contains(folder));
    folders.iter().try_for_each(|folder| add_folder(folder, skipped, counts))
}

/// Where the modules that a file declares lie.
fn home_of_modules(file: &Path) -> PathBuf {
    match file.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => file.with_file_name(""),
        _ => file.with_extension(""),
    }
}

/// The Rust files and the folders in a folder.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let read = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for path in read.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok((files, folders))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_for_tests_are_left_out_with_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        write("lib.rs", "#[cfg(test)]\nmod tests;\nmod a;\n");
        write("a.rs", "fn f() {}\n");
        write("tests/mod.rs", "fn t() {}\n");
        std::fs::create_dir(folder.path().join("b")).unwrap();
        write("b.rs", "#[cfg(test)]\nmod tests;\n");
        write("b/tests.rs", "fn of_b() {}\n");
        write("note.txt", "no Rust\n");
        let mut counts = Counts::default();
        add_folder(folder.path(), &mut Vec::new(), &mut counts).unwrap();
        assert_eq!((counts.lines, counts.functions), (2, 1));
    }
}
