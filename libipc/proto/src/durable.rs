//! What a service says so that it outlives its instance.
//!
//! A service that implements [`Durable`] is handed to `parley_rt::server!(durable ...)`, and when its process dies the
//! next one goes on where the last event that was finished left it: nothing that was answered is lost, nothing that was
//! not finished has happened, and what was in progress is served as if it had just been sent. Two ways lead there,
//! and a service chooses by [`Durable::WRITE_AHEAD`]:
//!
//! - **Write-ahead**: of each event that changes something the run time keeps what the service saw of the world through
//!   [`Host`], in memory that init holds. The next instance sees the same again, from the last export on. An event costs
//!   as much as it sees, however large the state is. The service must do the same when it sees the same: no hardware,
//!   no counter that it did not export.
//! - **Checkpoint**: the state is exported whole after each such event. For services with little state, or that
//!   talk to hardware.
//!
//! In ring 0 nothing of this happens: there a service lives as long as the kernel.

use parley_abi::Errno;
use parley_abi::msg::Token;

use crate::seam::{Host, Service};

/// A service whose state outlives its instance.
pub trait Durable: Service {
    /// Version of what [`Durable::export`] writes. [`Durable::import`] may read older ones as well.
    const VERSION: u32;

    /// Events are kept and repeated; otherwise the state is exported after each.
    const WRITE_AHEAD: bool;

    /// Pages for exports and events; a quarter is for events, and an export must fit into three eighths.
    const PAGES: usize = 16;

    /// Whether a request with this label, on a connection with this badge, may change the state. Requests that do not
    /// cost nothing more than this question.
    fn changes(&self, label: u32, badge: u64) -> bool;

    /// Whether the last event did change the state; asked once after each. A write-ahead event that did not is not
    /// kept. For what [`Durable::changes`] cannot know before it happens.
    #[inline]
    fn has_changed(&mut self) -> bool {
        true
    }

    /// The service keeps this request to answer it later.
    fn holds(&self, token: Token) -> bool;

    /// There is nothing to keep: any two exports made while this says so are the same. An event that leaves it so is not
    /// kept by a service with checkpoints, which means that it happens again if the process dies before the answer has
    /// left.
    fn is_idle(&self) -> bool {
        false
    }

    /// Writes the state down and returns the bytes written. ENOSPC: it does not fit. ENOMEM.
    fn export(&self, into: &mut [u8]) -> Result<usize, Errno>;

    /// Takes on a state that [`Durable::export`] wrote in `version`. EINVAL: it is none, or of a version that cannot
    /// be read; ENOMEM. After an error the service is as before.
    fn import(&mut self, version: u32, from: &[u8]) -> Result<(), Errno>;

    /// Called once in place of [`Service::start`] when the state is that of an earlier instance: hardware is to be
    /// taken over. The alarm is set already.
    fn resume(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        let _ = host;
        Ok(())
    }
}
