//! Messages: calls, replies, events, and the services that are linked into ring 0.

pub mod call;
pub mod fault;
pub mod lease;
pub mod receive;
pub mod recover;
pub mod reply;
pub mod resident;

/// Longest chain of servers waiting for servers that is followed.
pub const LONGEST_CHAIN: usize = 64;
