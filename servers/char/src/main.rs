//! The character devices in ring 3. init grants the ports 0x3f8 to 0x3ff and binds interrupt 4 to bit 0.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

parley_rt::server!(durable parley_rt::durable::Checkpointed::new(
    parley_rt::durable::Lasting::of_process(),
    server_char::Char::new(server_drivers::Uart16550::com1(), server_drivers::HardwareEntropy),
));
parley_rt::wants!(PORTS, INTERRUPTS, LOG, STATE);
