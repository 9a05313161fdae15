//! The servers' hardware: all their port and register access, behind traits.
//!
//! Servers forbid `unsafe`; what must touch a port or an instruction of its own lives here, in a few
//! short files that can be read in one sitting. A server is generic over a trait ([`Uart`], [`Rtc`],
//! [`Entropy`]), so tests and the loop-back placement give it a stand-in from [`fake`].
//!
//! # Why the constructors are safe to call
//! Making a driver touches nothing. Using one executes `in` and `out` on its fixed ports. In ring 3 these
//! fault unless the ports were granted to the process, so the worst that a program can do is to be killed.
//! In ring 0 a composition root binds exactly one service to each device. None of these devices can write
//! to memory, so no use of them breaks memory safety.
#![cfg_attr(not(test), no_std)]

mod cmos;
mod date;
mod entropy;
pub mod fake;
mod pm_timer;
mod serial;

pub use cmos::Cmos;
pub use entropy::HardwareEntropy;
pub use pm_timer::PmTimer;
pub use serial::Uart16550;

/// A serial port.
pub trait Uart {
    /// Brings the port up: 115,200 baud, 8N1, FIFOs on, receive interrupt on, transmit interrupt off.
    /// False: there is no such device, and it must not be used.
    fn init(&mut self) -> bool;

    /// Takes a byte that has arrived.
    fn try_read(&mut self) -> Option<u8>;

    /// Gives the device as many of `bytes` as it takes at once, and returns how many; 0 means that it is
    /// busy. Once it is empty again it interrupts, if that was asked for.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// Gives the device one byte. False: it is busy.
    fn try_write(&mut self, byte: u8) -> bool {
        self.write(&[byte]) == 1
    }

    /// Asks for interrupts when the transmitter is empty, or no longer. Asking while it is empty raises
    /// one at once.
    fn set_transmit_interrupt(&mut self, on: bool);

    /// Acknowledges what the device interrupts for. False: for nothing. The line is edge-triggered: a
    /// handler goes on until this says false, or the next interrupt never comes.
    fn acknowledge(&mut self) -> bool;
}

/// A clock that knows the date.
pub trait Rtc {
    /// Seconds since 1970-01-01 00:00 UTC. May spin for two milliseconds. `None`: the clock is not there,
    /// or shows no valid date.
    fn read(&mut self) -> Option<u64>;
}

/// A counter that never stops: [`COUNTER_HZ`] ticks a second, and 0 again after [`COUNTER_MASK`].
pub trait Counter {
    /// Its count, 0 to [`COUNTER_MASK`].
    fn ticks(&mut self) -> u32;
}

/// Ticks a second of a [`Counter`] (ACPI specification, power management timer).
pub const COUNTER_HZ: u64 = 3_579_545;
/// The largest count: every such counter has 24 bits, and some have more.
pub const COUNTER_MASK: u32 = 0xff_ffff;

/// A source of numbers that nobody can guess.
pub trait Entropy {
    /// Some of it. How much depends on the machine: it is a seed's ingredient, not a random number.
    fn entropy(&mut self) -> u64;
}
