//! What other systems need for the same, as it was measured once on the same emulator.
//!
//! `tests/bench/references.json` has the figures and how they came about. They stand beside ours in the table; nothing is
//! held to them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::Workspace;

/// Another system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The head of its column.
    pub name: String,
    /// Its version and how it was measured, in a sentence.
    pub how: String,
    /// By operation, each iteration of a `rep` counted, as in our medians.
    pub instructions: BTreeMap<String, u64>,
    /// The same with each `rep` counted once, where that differs.
    #[serde(default)]
    pub collapsed: BTreeMap<String, u64>,
}

impl Reference {
    /// All that the file has, in its order.
    pub fn read(workspace: &Workspace) -> Result<Vec<Reference>> {
        let path = workspace.root.join("tests/bench/references.json");
        let wrong = || format!("cannot read {}", path.display());
        let text = std::fs::read_to_string(&path).with_context(wrong)?;
        serde_json::from_str(&text).with_context(wrong)
    }

    /// `4744 (648)`, and `-` where there is nothing to compare.
    pub fn cell(&self, operation: &str) -> String {
        match (self.instructions.get(operation), self.collapsed.get(operation)) {
            (None, _) => "-".to_owned(),
            (Some(count), None) => count.to_string(),
            (Some(count), Some(collapsed)) => format!("{count} ({collapsed})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Baseline;

    #[test]
    fn each_figure_stands_beside_one_of_ours() {
        let workspace = Workspace::find().unwrap();
        let ours = Baseline::read(&Baseline::path(&workspace)).unwrap();
        for reference in Reference::read(&workspace).unwrap() {
            for operation in reference.instructions.keys() {
                assert!(ours.has(operation), "{} has {operation}, the benchmark has not", reference.name);
            }
        }
    }
}
