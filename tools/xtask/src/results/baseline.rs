//! The benchmark gate: what each operation cost when somebody last agreed to it.
//!
//! `tests/bench/baseline.json` maps operation and column to `median_collapsed`. Counts are exact, so a
//! rise is somebody's doing: it goes into the file with the commit that causes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Report;
use crate::workspace::Workspace;

/// The command that rewrites the file.
const UPDATE: &str = "cargo xtask compare --update-baseline";

/// How much a count may rise, in per cent.
const TOLERANCE: u64 = 2;

/// Counts by operation and column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baseline(BTreeMap<String, BTreeMap<String, u64>>);

/// How a run compares with the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What has become worse or cannot be compared.
    pub failures: Vec<String>,
    /// What has become better.
    pub improvements: Vec<String>,
}

impl Baseline {
    /// Where the file is.
    pub fn path(workspace: &Workspace) -> PathBuf {
        workspace.root.join("tests/bench/baseline.json")
    }

    /// Where the limits are: counts that no commit may exceed, in the same form.
    pub fn limits(workspace: &Workspace) -> PathBuf {
        workspace.root.join("tests/bench/limits.json")
    }

    /// What in `run` lies above these counts, or was not measured.
    pub fn exceeded_by(&self, run: &Baseline) -> Vec<String> {
        let over = |(row, kernel, limit): (&str, &str, u64)| match run.get(row, kernel) {
            None => Some(format!("{row} on {kernel}: not measured, the limit is {limit}")),
            Some(count) if count > limit => Some(format!("{row} on {kernel}: {count}, the limit is {limit}")),
            Some(_) => None,
        };
        self.entries().filter_map(over).collect()
    }

    /// The rows in which outliving its process costs a server too much: more than [`TOLERANCE`] over the row that ends in
    /// `_volatile`, the same of a server that does not.
    pub fn too_durable(&self) -> Vec<String> {
        let dear = |(row, kernel, without): (&str, &str, u64)| {
            let with = self.get(row.strip_suffix("_volatile")?, kernel)?;
            let dear = with * 100 > without * (100 + TOLERANCE);
            dear.then(|| format!("{row} on {kernel}: {without}, and {with} where the state outlives the process"))
        };
        self.entries().filter_map(dear).collect()
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<Baseline> {
        let advice = || format!("cannot read {}; `{UPDATE}` writes it", path.display());
        let text = std::fs::read_to_string(path).with_context(advice)?;
        serde_json::from_str(&text).with_context(advice)
    }

    /// The figures of a run.
    pub fn of(report: &Report) -> Result<Baseline> {
        let mut baseline = Baseline::default();
        for row in &report.rows {
            let count = row.median_collapsed.as_u64();
            let count = count.with_context(|| format!("{} on {} is no whole number", row.row, row.kernel))?;
            baseline.0.entry(row.row.clone()).or_default().insert(row.kernel.clone(), count);
        }
        Ok(baseline)
    }

    /// Writes the file, one operation a line, so that a change shows as such.
    pub fn write(&self, path: &Path) -> Result<()> {
        let line = |(row, counts)| -> Result<String> {
            Ok(format!("  {}: {}", serde_json::to_string(row)?, serde_json::to_string(counts)?))
        };
        let lines = self.0.iter().map(line).collect::<Result<Vec<_>>>()?;
        let text = format!("{{\n{}\n}}\n", lines.join(",\n"));
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// What became of the counts in `run`.
    pub fn judge(&self, run: &Baseline) -> Judgement {
        let mut judgement = Judgement::default();
        for (row, kernel, old) in self.entries() {
            match run.get(row, kernel) {
                None => judgement.failures.push(format!("{row} on {kernel}: was {old}, is not measured any more")),
                Some(new) if new * 100 > old * (100 + TOLERANCE) => {
                    judgement.failures.push(format!("{row} on {kernel}: {old} -> {new}"));
                }
                Some(new) if new < old => judgement.improvements.push(format!("{row} on {kernel}: {old} -> {new}")),
                Some(_) => {}
            }
        }
        let unknown = run.entries().filter(|(row, kernel, _)| self.get(row, kernel).is_none());
        judgement
            .failures
            .extend(unknown.map(|(row, kernel, new)| format!("{row} on {kernel}: {new}, not in the file")));
        judgement
    }

    /// Whether any column has this operation.
    #[cfg(test)]
    pub fn has(&self, operation: &str) -> bool {
        self.0.contains_key(operation)
    }

    /// One of the counts.
    pub fn get(&self, row: &str, kernel: &str) -> Option<u64> {
        self.0.get(row)?.get(kernel).copied()
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.0
            .iter()
            .flat_map(|(row, counts)| counts.iter().map(move |(kernel, &n)| (row.as_str(), kernel.as_str(), n)))
    }
}

impl Judgement {
    /// The failures as one message.
    pub fn complaint(&self) -> Option<String> {
        let head = format!("instruction counts rose by more than {TOLERANCE} % over tests/bench/baseline.json");
        let tail = format!("if that is meant: `{UPDATE}`, in the same commit");
        (!self.failures.is_empty()).then(|| format!("{head}\n{}\n{tail}", self.failures.join("\n")))
    }

    /// The improvements as one message.
    pub fn hint(&self) -> Option<String> {
        let tail = format!("`{UPDATE}` keeps what was won");
        (!self.improvements.is_empty()).then(|| format!("fewer instructions: {}; {tail}", self.improvements.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(counts: &[(&str, u64)]) -> Baseline {
        let entry = |&(row, count): &(&str, u64)| (row.to_owned(), BTreeMap::from([("micro".to_owned(), count)]));
        Baseline(counts.iter().map(entry).collect())
    }

    #[test]
    fn two_per_cent_more_is_still_good() {
        let old = baseline(&[("a", 100), ("b", 100), ("c", 100)]);
        let judgement = old.judge(&baseline(&[("a", 102), ("b", 103), ("c", 90)]));
        assert_eq!(judgement.failures, ["b on micro: 100 -> 103"]);
        assert_eq!(judgement.improvements, ["c on micro: 100 -> 90"]);
        assert!(judgement.complaint().unwrap().contains("--update-baseline"));
    }

    #[test]
    fn durability_may_cost_two_per_cent() {
        let run =
            baseline(&[("a", 102), ("a_volatile", 100), ("b", 103), ("b_volatile", 100), ("c", 1), ("c_volatile", 5)]);
        assert_eq!(run.too_durable(), ["b_volatile on micro: 100, and 103 where the state outlives the process"]);
    }

    #[test]
    fn limits_forgive_nothing() {
        let limits = baseline(&[("a", 100), ("b", 100), ("c", 100)]);
        let exceeded = limits.exceeded_by(&baseline(&[("a", 100), ("b", 101), ("d", 1000)]));
        assert_eq!(exceeded, ["b on micro: 101, the limit is 100", "c on micro: not measured, the limit is 100"]);
    }

    #[test]
    fn rows_must_be_on_both_sides() {
        let judgement = baseline(&[("old", 1)]).judge(&baseline(&[("new", 2)]));
        assert_eq!(judgement.failures.len(), 2);
        assert_eq!(Judgement::default().complaint(), None);
    }

    #[test]
    fn the_file_can_be_read_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = baseline(&[("a", 1), ("b", 2)]);
        written.write(file.path()).unwrap();
        assert_eq!(Baseline::read(file.path()).unwrap(), written);
    }
}
