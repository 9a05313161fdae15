//! Calls that reach no service: what entering ring 0 costs.

use parley_abi::call::NOTIFY;
use parley_abi::msg::{Flags, pack};
use parley_abi::row::ROWS as TABLE_ROWS;
use parley_abi::{Errno, slot};
use parley_proto::Caller;
use parley_rt::{Trap, sys};

use super::meter::{Failure, InRow, Meter};

/// The rows of this family.
pub const ROWS: &[&str] = &["null_syscall", "unknown_syscall", "notify_idle"];

/// A number that has a row in the call table, an empty one.
const UNKNOWN: u16 = TABLE_ROWS as u16 - 1;

/// Measures them.
pub fn measure(meter: &mut Meter<'_>, via: &mut Trap) -> Result<(), Failure> {
    meter.row("null_syscall", sys::null)?;
    meter.row("unknown_syscall", || unknown(via.invoke(UNKNOWN, [0; 6])))?;
    let endpoint = sys::endpoint_create(slot::QUOTA).in_row("creating an endpoint")?;
    let measured = meter.row("notify_idle", || notify(endpoint));
    sys::handle_drop(endpoint).in_row("dropping the endpoint")?;
    measured
}

/// ENOSYS is what this row wants to see; success would be the failure.
#[inline(always)]
fn unknown(result: i64) -> i64 {
    if result == Errno::ENOSYS.negated() { 0 } else { Errno::EIO.negated() }
}

/// Sets a bit that nobody waits for.
#[inline(always)]
fn notify(endpoint: u32) -> i64 {
    // SAFETY: the call touches no memory of ours.
    unsafe { sys::raw(pack(NOTIFY, Flags::empty(), 0), u64::from(endpoint), [1, 0, 0, 0, 0, 0], 0, 0).rax as i64 }
}
