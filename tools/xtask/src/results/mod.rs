//! The figures: one row for each kernel and operation, and the report made of them.

mod baseline;
mod faults;
mod header;
mod memory;
mod parse;
mod reference;
mod table;

pub use baseline::Baseline;
pub use header::{Header, Setting, git_revision, promised_rows};
pub use memory::{MEMORIES, Memory};
pub use parse::{Bench, parse};
pub use reference::Reference;
pub use table::{markdown, terminal};

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::torture::Run;

/// The column of marshalling without protection, measured on the micro kernel.
pub const LOOPBACK: &str = "loopback";

/// What one operation costs on one kernel. The fields are those of results.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `micro`, `hybrid`, `mono` or `loopback`.
    pub kernel: String,
    /// The operation, in lower snake case; names never change.
    pub row: String,
    /// What the three figures below count.
    pub unit: String,
    /// How often it was measured.
    pub n: Number,
    /// The figure of the table.
    pub median: Number,
    /// The least of the n.
    pub min: Number,
    /// The most.
    pub max: Number,
    /// The median with each `rep` string instruction counted once.
    pub median_collapsed: Number,
    /// Privilege crossings an operation.
    pub crossings: Number,
    /// Address-space switches an operation.
    pub space_switches: Number,
    /// Bytes copied between address spaces, or user and kernel, an operation.
    pub bytes_copied: Number,
}

/// results.json.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Under what conditions it was measured.
    pub header: Header,
    /// By operation in the order measured, then by kernel.
    pub rows: Vec<Row>,
    /// Other systems' figures, where the unit is theirs too.
    pub references: Vec<Reference>,
    /// What services keep over their death.
    pub memories: Vec<Memory>,
    /// What faults in services came to, when it was measured last.
    pub faults: Vec<Run>,
}

impl Report {
    /// The operations, each once, in the order measured.
    pub fn operations(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.row.as_str()) {
                names.push(&row.row);
            }
        }
        names
    }

    /// One figure.
    pub fn find(&self, kernel: &str, operation: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.kernel == kernel && row.row == operation)
    }
}
