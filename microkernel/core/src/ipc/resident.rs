//! Services linked into ring 0, as the core sees them: whoever keeps them is asked, and knows them by number.
//!
//! `microkernel/residents` makes them of the libraries that run in ring 3 elsewhere. The core names no service, and an
//! image without any says so with [`Nobody`]: which it is is known when it is linked, so the code that asks is not in it.

use crate::Given;
use crate::kernel::Core;
use crate::mem::Ref;
use crate::object::{Binding, Endpoint, Packed, Thread};

use super::call::Sent;

/// Keeps the services in ring 0. Without a say in it, there are none.
pub trait Residents: Sync {
    /// Places and starts them, lowest first. Called at boot.
    fn place(&self, _: &mut Core, _: Given) {}

    /// The name of one that has a place, for a dump.
    fn name(&self, _: u8) -> &'static str {
        "nobody"
    }

    /// Where requests to this service arrive, if it has a place.
    fn endpoint(&self, _: u8) -> Option<Ref<Endpoint>> {
        None
    }

    /// What their own entry code finds in connections to an endpoint that is served in this way.
    fn rows(&self, _: Option<Binding>) -> u64 {
        0
    }

    /// A row of a call table, with what their own entry code wants to know of it.
    fn prepare(&self, row: Packed) -> Packed {
        row
    }

    /// Has a service answer the request of a thread, which is written down in its block.
    fn request(&self, _: &mut Core, _: u8, _: Ref<Thread>) -> Sent {
        Sent::Waiting
    }

    /// There is news on a service's endpoint.
    fn has_event(&self, _: &mut Core, _: u8) {}

    /// Tells a service that the last handle to the connection with this badge is gone. False: it is busy.
    fn forgets(&self, _: &mut Core, _: u8, _: u64) -> bool {
        false
    }

    /// Delivers the news that had to wait while a service was busy.
    fn settle(&self, _: &mut Core) {}

    /// When the next of them wants to be called, in nanoseconds since boot; `u64::MAX`: none.
    fn next_alarm(&self) -> u64 {
        u64::MAX
    }

    /// Calls those whose alarm is due.
    fn ring_alarms(&self, _: &mut Core, _now: u64) {}
}

/// No services in ring 0.
pub struct Nobody;

impl Residents for Nobody {}
