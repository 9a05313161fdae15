//! What date it is: the count of the core, and an offset that the time service knows.
//!
//! The offset never changes, so it is asked for once; from then on the date costs a look at the core's
//! count. Where even that is too much, times are marked and [settled](crate::fs::FileSystem::settle) later.

use parley_abi::Errno;
use parley_abi::slot::service;
use parley_proto::{Host, time};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// The date.
pub struct Clock {
    epoch: u64,
}

impl Clock {
    /// One that takes boot for the beginning of 1970.
    pub const fn new() -> Clock {
        Clock { epoch: 0 }
    }

    /// Asks the time service for the offset. Errors are those of the call; then the clock is as new.
    pub fn learn(&mut self, host: &mut dyn Host) -> Result<(), Errno> {
        let [epoch, ..] = host.call(service::TIME, time::label::epoch, [0; 6])?;
        self.epoch = epoch;
        Ok(())
    }

    /// The offset.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// One that knows the offset.
    pub fn of(epoch: u64) -> Clock {
        Clock { epoch }
    }

    /// Nanoseconds since 1970; a `u64` holds them until the year 2554.
    pub fn now(&self, host: &mut dyn Host) -> u64 {
        host.now().wrapping_add(self.epoch)
    }
}
