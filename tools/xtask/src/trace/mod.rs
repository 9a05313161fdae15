//! One operation of the benchmark, instruction by instruction.
//!
//! `record` steps the machine through it from the host, from one RDTSC of the measuring pair to the
//! other, and thereby checks what the benchmark counted; `parts` says what each instruction was for;
//! `table` and `listing` show it.
//!
//! Stepping through QEMU's gdb stub rather than `-d exec` has two reasons: the system boots at full
//! speed, and each step tells the page-table root, so that programs that share addresses are told apart.

mod listing;
mod parts;
mod record;
mod table;

pub use listing::listing;
pub use record::record;
pub use table::table;

use crate::results::Bench;

/// One instruction that was executed; a repeated one counts once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it is.
    pub address: u64,
    /// Who executed it.
    pub who: Who,
}

/// Whose instruction it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Ring 0.
    Kernel,
    /// Ring 3, by index in [`Recording::spaces`].
    Program(usize),
}

/// An address space that took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its page-table root.
    pub root: u64,
    /// The name of the file that runs there, if it is one of the archive.
    pub program: Option<String>,
}

impl Space {
    /// The file's name; the benchmark makes address spaces without one for its echo server.
    pub fn name(&self) -> &str {
        self.program.as_deref().unwrap_or("(echo)")
    }
}

/// What was seen of a row.
pub struct Recording {
    /// Consecutive operations, each from the first RDTSC to just before the second.
    pub operations: Vec<Vec<Step>>,
    /// Instructions of an empty operation, measured the same way.
    pub empty: usize,
    /// The benchmark's own program first.
    pub spaces: Vec<Space>,
    /// What the benchmark itself said at the end of the same run.
    pub bench: Bench,
}

impl Recording {
    /// Instructions of one operation, without those of the measuring pair.
    pub fn count(&self, operation: usize) -> usize {
        self.operations[operation].len() - self.empty
    }
}
