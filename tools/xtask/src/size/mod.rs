//! How large the tree is, and how much of it must be trusted word by word.
//!
//! `source` counts one file, `crates` adds up the workspace's members; the images' sizes come from
//! [`crate::elf_file`]. `cargo xtask size --check` holds the micro core to its limits.

mod crates;
mod source;

pub use crates::{Crate, crates, micro_core};
pub use source::Counts;
