//! What long runs came to, kept in a file: `tests/torture/results.json`.
//!
//! A run replaces what the file has of the same kind on the same kernel, and says of itself how it was made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{Kind, Tally};
use crate::kernel::Kernel;
use crate::workspace::Workspace;

/// A run of machines of one kind on one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What was done to them.
    pub kind: Kind,
    /// Their kernel.
    pub kernel: Kernel,
    /// The command that makes it again.
    pub command: String,
    /// Commit that it ran on, with `-dirty` when the tree differed from it.
    pub commit: String,
    /// The machines that ran.
    pub machines: u64,
    /// The machines in which something was wrong that must never be.
    pub failed: u64,
    /// What was done to the others and what came of it.
    pub counts: Tally,
}

impl Run {
    /// One of which no machine has ended yet.
    pub fn new(kind: Kind, kernel: Kernel, commit: &str) -> Run {
        let (command, commit, counts) = (String::new(), commit.to_owned(), Tally::default());
        Run { kind, kernel, command, commit, machines: 0, failed: 0, counts }
    }
}

/// Where the file of the tree is.
pub fn path(workspace: &Workspace) -> PathBuf {
    workspace.root.join("tests/torture/results.json")
}

/// What a file has; nothing if there is none.
pub fn read(path: &Path) -> Result<Vec<Run>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let wrong = || format!("{} is not what `cargo xtask torture --record` writes", path.display());
    serde_json::from_str(&std::fs::read_to_string(path).with_context(wrong)?).with_context(wrong)
}

/// Puts these runs into a file, in place of earlier ones of the same kind and kernel.
pub fn update(path: &Path, new: Vec<Run>) -> Result<()> {
    let mut runs = read(path)?;
    runs.retain(|old| new.iter().all(|run| (run.kind, run.kernel) != (old.kind, old.kernel)));
    runs.extend(new);
    runs.sort_by_key(|run| (run.kind, run.kernel));
    let text = serde_json::to_string_pretty(&runs)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kernel: Kernel, machines: u64) -> Run {
        Run { machines, ..Run::new(Kind::Random, kernel, "abc") }
    }

    #[test]
    fn a_later_run_takes_the_place_of_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        update(&file, vec![run(Kernel::Hybrid, 1), run(Kernel::Micro, 1)]).unwrap();
        update(&file, vec![run(Kernel::Hybrid, 2)]).unwrap();
        assert_eq!(read(&file).unwrap(), [run(Kernel::Micro, 1), run(Kernel::Hybrid, 2)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("--record"));
    }
}
