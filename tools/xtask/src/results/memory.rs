//! What it costs services in memory that they outlive their processes.

use serde::Serialize;

use crate::kernel::Kernel;

/// Bytes of a service that is a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Where.
    pub kernel: Kernel,
    /// The row, `memory_` and the service.
    pub row: String,
    /// What init holds for its state.
    pub granted: u64,
    /// What records and checkpoints take of that.
    pub records: u64,
    /// What the contents of files take of that.
    pub contents: u64,
    /// What the undo log has taken of that at the most.
    pub log: u64,
    /// The process's own memory.
    pub process: u64,
}

/// The rows.
pub const MEMORIES: [&str; 5] = ["memory_time", "memory_char", "memory_tqueue", "memory_vfs", "memory_vfs_1000"];

/// What the figures mean.
pub const LEGEND: &str = "Bytes of a service that is a process: what outlives it (records and checkpoints; the undo log, at the\n\
    most so far; contents of files, which are nowhere else), what init holds for all that, and its own memory.\n";

/// Head and lines of the table. `None`: there is nothing.
pub fn table(memories: &[Memory]) -> Option<Vec<Vec<String>>> {
    let head = ["service", "kernel", "records", "undo log", "contents", "held for it", "process"].map(str::to_owned);
    let line = |memory: &Memory| {
        let Memory { kernel, row, granted, records, contents, log, process } = memory;
        let figures = [records, log, contents, granted, process].map(u64::to_string);
        [row.clone(), kernel.to_string()].into_iter().chain(figures).collect()
    };
    (!memories.is_empty()).then(|| std::iter::once(head.to_vec()).chain(memories.iter().map(line)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each() {
        let (kernel, row) = (Kernel::Micro, "memory_vfs".to_owned());
        let memory = Memory { kernel, row, granted: 5, records: 4, contents: 3, log: 2, process: 1 };
        let lines = table(&[memory]).unwrap();
        assert_eq!(lines[1], ["memory_vfs", "micro", "4", "2", "3", "5", "1"]);
        assert_eq!(lines[0].len(), lines[1].len());
        assert_eq!(table(&[]), None);
    }
}
