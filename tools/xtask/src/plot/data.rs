//! What was measured: the requests around each disturbance, and what a copied page costs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Everything that is drawn. As a file it has a line for each row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The machine and the commit.
    pub conditions: String,
    /// By row.
    pub blackouts: BTreeMap<String, Timeline>,
    /// By row.
    pub copies: BTreeMap<String, Copy>,
}

/// The requests of a client around a disturbance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The target for the slowest, in instructions with each `rep` counted once: what is measured is more.
    pub limit: u64,
    /// When the client wanted to call, in instructions since the disturbance was asked for, and how many it took from
    /// then to the answer.
    pub requests: Vec<(i64, u64)>,
}

/// A copy of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Instructions that a page cost on the average.
    pub page: u64,
    /// Pages copied.
    pub pages: u64,
}

impl Data {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Data> {
        let wrong = || format!("{} is not what `cargo xtask plot` writes", path.display());
        serde_json::from_str(&std::fs::read_to_string(path).with_context(wrong)?).with_context(wrong)
    }

    /// Writes a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let blackouts = lines(&self.blackouts)?;
        let copies = lines(&self.copies)?;
        let conditions = serde_json::to_string(&self.conditions)?;
        let text = format!(
            "{{\n\"conditions\": {conditions},\n\"blackouts\": {{\n{blackouts}\n}},\n\"copies\": {{\n{copies}\n}}\n}}\n"
        );
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Data that nobody measured.
    #[cfg(test)]
    pub fn sample() -> Data {
        let timeline = Timeline { limit: 300_000, requests: vec![(-20_000, 500), (1000, 271_999), (300_000, 450)] };
        let rows = super::BLACKOUTS.into_iter().flatten();
        let copy = |name: String| {
            let page = if name.ends_with("_10") { 200 } else { 100 };
            (name, Copy { page, pages: 10 })
        };
        let names = super::COPIES.iter().flat_map(|(row, _)| {
            super::KILLED.map(|every| format!("{row}_killed_{every}")).into_iter().chain([(*row).to_owned()])
        });
        Data {
            conditions: "nowhere".into(),
            blackouts: rows.map(|row| (row.to_owned(), timeline.clone())).collect(),
            copies: names.map(copy).collect(),
        }
    }
}

fn lines(rows: &BTreeMap<String, impl Serialize>) -> Result<String> {
    let line = |(row, value)| -> Result<String> {
        Ok(format!("  {}: {}", serde_json::to_string(row)?, serde_json::to_string(value)?))
    };
    Ok(rows.iter().map(line).collect::<Result<Vec<_>>>()?.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_can_be_read_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        Data::sample().write(file.path()).unwrap();
        assert_eq!(Data::read(file.path()).unwrap(), Data::sample());
    }
}
