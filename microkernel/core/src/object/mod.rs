//! Kernel objects, a file for each: what a handle can lead to.

pub mod connection;
pub mod doomed;
pub mod endpoint;
pub mod handle;
pub mod irq;
pub mod memory;
pub mod quota;
pub mod region;
pub mod space;
pub mod submission;
pub mod table;
pub mod thread;
