//! Stand-ins for the hardware, for tests and for the loop-back placement.
//!
//! They behave as the traits demand and nothing more: no ports, no chance, no time of their own.

use heapless::Deque;

use crate::{Entropy, Rtc, Uart};

/// Bytes that a [`FakeUart`] holds on either side.
pub const LINE: usize = 16 * 1024;

/// A serial port whose other end is the test.
pub struct FakeUart {
    /// What the port has not read yet. The test fills it.
    pub input: Deque<u8, LINE>,
    /// What the port has sent. The test empties it; when it is full, the oldest bytes are lost.
    pub output: Deque<u8, LINE>,
    /// Bytes that the port takes until the test makes room again; `usize::MAX` for ever.
    pub room: usize,
    /// Whether the port would interrupt when it is empty.
    pub transmit_interrupt: bool,
    /// Whether there is a device.
    pub present: bool,
    /// Causes that [`Uart::acknowledge`] will still report.
    pub causes: u32,
}

impl FakeUart {
    /// A port that takes everything, as an emulator's does.
    pub const fn new() -> FakeUart {
        FakeUart::with_room(usize::MAX)
    }

    /// A port that takes `room` bytes and is busy from then on.
    pub const fn with_room(room: usize) -> FakeUart {
        FakeUart {
            input: Deque::new(),
            output: Deque::new(),
            room,
            transmit_interrupt: false,
            present: true,
            causes: 0,
        }
    }

    /// Lets `bytes` arrive; returns how many there was room for.
    pub fn arrive(&mut self, bytes: &[u8]) -> usize {
        self.causes = 1;
        bytes.iter().take_while(|&&byte| self.input.push_back(byte).is_ok()).count()
    }
}

impl Default for FakeUart {
    fn default() -> Self {
        FakeUart::new()
    }
}

impl Uart for FakeUart {
    fn init(&mut self) -> bool {
        self.present
    }
    fn try_read(&mut self) -> Option<u8> {
        self.input.pop_front()
    }
    fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room);
        for &byte in &bytes[..count] {
            if self.output.is_full() {
                self.output.pop_front();
            }
            let _ = self.output.push_back(byte);
        }
        if self.room != usize::MAX {
            self.room -= count;
        }
        count
    }
    fn set_transmit_interrupt(&mut self, on: bool) {
        self.transmit_interrupt = on;
    }
    fn acknowledge(&mut self) -> bool {
        let pending = self.causes > 0;
        self.causes = self.causes.saturating_sub(1);
        pending
    }
}

/// A serial port that swallows all output and never has input: costs a console nothing but its own code.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentUart;

impl Uart for SilentUart {
    fn init(&mut self) -> bool {
        true
    }
    fn try_read(&mut self) -> Option<u8> {
        None
    }
    fn write(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    fn set_transmit_interrupt(&mut self, _on: bool) {}
    fn acknowledge(&mut self) -> bool {
        false
    }
}

/// A clock that always shows the same: seconds since 1970, or `None` for a broken one.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeRtc(pub Option<u64>);

impl Rtc for FakeRtc {
    fn read(&mut self) -> Option<u64> {
        self.0
    }
}

/// A count, as predictable as tests need it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeEntropy(pub u64);

impl Entropy for FakeEntropy {
    fn entropy(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// A counter that shows what it is told.
pub struct FakeCounter(pub u32);

impl crate::Counter for FakeCounter {
    fn ticks(&mut self) -> u32 {
        self.0 & crate::COUNTER_MASK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_port_is_busy() {
        let mut uart = FakeUart::with_room(3);
        assert_eq!(uart.write(b"hello"), 3);
        assert!(!uart.try_write(b'l'));
        uart.room = 1;
        assert!(uart.try_write(b'l'));
        assert_eq!(uart.output.iter().copied().collect::<Vec<u8>>(), b"hell");
    }
}
