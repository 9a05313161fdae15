//! The 16550 serial port, driven by interrupts in both directions.
//!
//! The crate `uart_16550` knows the registers and the order of initialisation. What is added is the
//! counting of FIFO room: each port access leaves the virtual machine on real hypervisors, so a byte must
//! not cost a look at the line status when the room is known already.

use uart_16550::backend::{Backend, PioBackend};
use uart_16550::spec::FIFO_SIZE;
use uart_16550::spec::registers::{FifoTriggerLevel, IER, InterruptType, LSR, offsets};
use uart_16550::{BaudRate, Config};

use crate::Uart;

/// Looks at a line status that make sure a full FIFO has left at 115,200 baud: a look takes about a
/// microsecond, sixteen bytes 1.4 milliseconds. More would hang the start on a stuck device.
const DRAIN_LOOKS: u32 = 10_000;

/// A 16550 behind I/O ports.
pub struct Uart16550 {
    device: uart_16550::Uart16550<PioBackend>,
    /// Bytes that the transmitter takes before its status must be looked at again.
    room: usize,
}

impl Uart16550 {
    /// The first serial port: I/O ports 0x3f8 to 0x3ff, interrupt 4.
    pub const fn com1() -> Uart16550 {
        // SAFETY: 1. 0x3f8 to 0x3ff is COM1 on every PC, or nothing at all; 2. the device cannot write to
        // memory; 3. ring 3 faults without a grant, see the crate's page.
        match unsafe { uart_16550::Uart16550::new_port(0x3f8) } {
            Ok(device) => Uart16550 { device, room: 0 },
            Err(_) => panic!("0x3f8 is not a port"),
        }
    }

    /// Reads the line status, and learns from it whether the transmitter is empty.
    fn status(&mut self) -> LSR {
        let status = self.device.lsr();
        if status.contains(LSR::THR_EMPTY) {
            self.room = if self.device.fifo_enabled() { FIFO_SIZE } else { 1 };
        }
        status
    }

    /// Waits, not for ever, until what the core has written before us is on the wire: initialisation
    /// clears the FIFO.
    fn drain(&mut self) {
        for _ in 0..DRAIN_LOOKS {
            if self.device.lsr().contains(LSR::TRANSMITTER_EMPTY) {
                return;
            }
            core::hint::spin_loop();
        }
    }
}

impl Uart for Uart16550 {
    fn init(&mut self) -> bool {
        if !self.device.check_present() {
            return false;
        }
        self.drain();
        let config = Config {
            interrupts: IER::DATA_READY,
            baud_rate: BaudRate::Baud115200,
            fifo_trigger_level: Some(FifoTriggerLevel::Eight),
            ..Config::DEFAULT
        };
        self.device.init(config).is_ok()
    }

    fn try_read(&mut self) -> Option<u8> {
        if !self.status().contains(LSR::DATA_READY) {
            return None;
        }
        // SAFETY: DATA is one of the device's registers.
        Some(unsafe { self.device.backend_mut().read(offsets::DATA as u8) })
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        if self.room == 0 {
            self.status();
        }
        let count = bytes.len().min(self.room);
        for &byte in &bytes[..count] {
            // SAFETY: DATA is one of the device's registers.
            unsafe { self.device.backend_mut().write(offsets::DATA as u8, byte) };
        }
        self.room -= count;
        count
    }

    fn set_transmit_interrupt(&mut self, on: bool) {
        let causes = if on { IER::DATA_READY | IER::THR_EMPTY } else { IER::DATA_READY };
        // SAFETY: IER is one of the device's registers.
        unsafe { self.device.backend_mut().write(offsets::IER as u8, causes.bits()) };
    }

    fn acknowledge(&mut self) -> bool {
        // Reading the cause acknowledges an empty transmitter; received data is acknowledged by
        // reading it, which is the handler's next step anyway.
        match self.device.isr().interrupt_type() {
            None => return false,
            Some(InterruptType::ReceiverLineStatus) => drop(self.status()),
            Some(InterruptType::ModemStatus) => drop(self.device.msr()),
            Some(_) => {}
        }
        true
    }
}
