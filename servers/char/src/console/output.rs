//! The way out: a ring of bytes between those who write and a port that takes its time.
//!
//! Emulated ports take everything at once, real ones sixteen bytes and then nothing for a millisecond. So
//! bytes pass through the ring straight to the port as long as it takes them, and what it leaves waits for
//! its interrupt.

use heapless::Deque;
use server_drivers::Uart;

/// Bytes that wait for the port.
pub const RING: usize = 4096;

/// A port and what it has not taken yet.
pub struct Output<U> {
    /// The port, in both directions.
    pub uart: U,
    ring: Deque<u8, RING>,
    /// Whether the port was asked to interrupt when it is empty.
    asks: bool,
}

impl<U: Uart> Output<U> {
    /// A silent port.
    pub const fn new(uart: U) -> Output<U> {
        Output { uart, ring: Deque::new(), asks: false }
    }

    /// What waits for the port, in two pieces since it is a ring, and whether the port was asked to interrupt.
    pub fn waiting(&self) -> ([&[u8]; 2], bool) {
        let (first, second) = self.ring.as_slices();
        ([first, second], self.asks)
    }

    /// Takes over a port, with these bytes waiting for it. False: they do not fit.
    pub fn take_over(&mut self, waiting: [&[u8]; 2], asks: bool) -> bool {
        self.ring.clear();
        self.asks = asks;
        waiting.into_iter().flatten().all(|&byte| self.ring.push_back(byte).is_ok())
    }

    /// Nothing waits for the port.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Bytes of text that [`Output::text`] is sure to take.
    pub fn room(&self) -> usize {
        // Every one of them may be a line feed, and become two.
        (RING - self.ring.len()) / 2
    }

    /// Appends text, with LF as CR LF. At most [`Output::room`] bytes.
    pub fn text(&mut self, text: &[u8]) {
        debug_assert!(text.len() <= self.room());
        for &byte in text {
            if byte == b'\n' {
                let _ = self.ring.push_back(b'\r');
            }
            let _ = self.ring.push_back(byte);
        }
    }

    /// Appends what is shown of a key, unless the ring is full: nobody waits for an echo.
    pub fn echo(&mut self, text: &[u8]) {
        if text.len() <= self.room() {
            self.text(text);
        }
    }

    /// Moves bytes from the ring to the port while it takes them.
    pub fn pump(&mut self) {
        while !self.ring.is_empty() {
            let taken = self.uart.write(self.ring.as_slices().0);
            if taken == 0 {
                return;
            }
            for _ in 0..taken {
                self.ring.pop_front();
            }
        }
    }

    /// Tells the port again what it was asked for.
    pub fn ask_again(&mut self) {
        self.uart.set_transmit_interrupt(self.asks);
    }

    /// Asks the port for an interrupt when it is empty, or not. Costs nothing if that is nothing new.
    pub fn ask_for_interrupt(&mut self, wanted: bool) {
        if wanted != self.asks {
            self.asks = wanted;
            self.uart.set_transmit_interrupt(wanted);
        }
    }
}
