//! `getpid`: the cheapest question a program can ask a service.

use parley_abi::linux::nr;
use parley_proto::Caller;

use super::meter::{Failure, Meter};

/// The rows of this family.
pub const ROWS: &[&str] = &["getpid", "getppid"];

/// Measures them.
pub fn measure<C: Caller>(meter: &mut Meter<'_>, via: &mut C) -> Result<(), Failure> {
    meter.row("getpid", || via.invoke(nr::GETPID, [0; 6]))?;
    meter.row("getppid", || via.invoke(nr::GETPPID, [0; 6]))
}
