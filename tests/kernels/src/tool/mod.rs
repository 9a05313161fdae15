//! What tests are built with.

#[macro_use]
pub mod verdict;

pub mod assembly;
pub mod client;
pub mod edge;
pub mod elf;
pub mod file;
pub mod machine;
pub mod process;
pub mod random;
pub mod sandbox;
pub mod scope;
pub mod thread;
